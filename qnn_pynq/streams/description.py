"""Descriptions of circuits with streams: what goes in and out, how, and through which DMA."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..contracts.chip import GP0
from ..families.blocks.axi_dma_registers import DMA_ADDRESS, WINDOW, Dma
from .names import hexadecimal
from .types import StreamType

__all__ = ["CIRCUIT_ADDRESS", "DESCRIPTION_FORMAT", "DESCRIPTION_VERSION", "DMA_ADDRESS", "WINDOW", "Description",
           "Dma", "Stream"]

DESCRIPTION_FORMAT = "qnn-pynq-streams"
DESCRIPTION_VERSION = 1
CIRCUIT_ADDRESS = GP0 + 0x3C00000  # where Vivado puts the first circuit that is none of its own
_FIRST_ARGUMENT = 0x10  # UG1399, "S_AXILITE Control Register Map": behind the control registers


@dataclass(frozen=True)
class Stream:
    """One stream, or one array that the circuit reads or writes by itself.

    Attributes
    ----------
    name : str
        A C identifier; the keyword in Python, the port in the circuit.
    type : StreamType
    shape : tuple of int
        Of one sample; () is a single number.
    dma : str or None
        The AXI DMA that moves it; None: the circuit is an AXI master, and gets the address in a register.
    tlast : str
        Where TLAST stands. "batch": on the last beat of a batch; "sample": on the last beat of every sample;
        "never": nowhere (inputs only: the circuit does not look at it).
    lanes : int
        Elements in one beat.
    rounding : str
        What Python does with bits that the type does not have: "nearest" (ties to even), or "type", as the C++
        type does.
    overflow : str
        What it does with numbers outside: "refuse", "saturate", or "type".
    raw : bool
        Python gives and gets the integers of the bits, not values.
    """

    name: str
    type: StreamType
    shape: tuple[int, ...]
    dma: str | None = "axi_dma_0"
    tlast: str = "batch"
    lanes: int = 1
    rounding: str = "nearest"
    overflow: str = "refuse"
    raw: bool = False

    @cached_property
    def elements(self) -> int:
        """Numbers in a sample."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    @property
    def beats(self) -> int:
        """Beats of a sample."""
        return self.elements // self.lanes

    @property
    def beat_bits(self) -> int:
        """Width of TDATA."""
        return self.lanes * self.type.container_bits

    @cached_property
    def sample_bytes(self) -> int:
        return self.elements * self.type.container.itemsize


@dataclass(frozen=True)
class Description:
    """A circuit with streams.

    Attributes
    ----------
    control : str
        "none": the circuit runs whenever data come (ap_ctrl_none); "start": it is started through its registers and
        told the number of samples (ap_ctrl_hs on s_axilite).
    ip : str
        Instance of the circuit in the block design; `vlnv`, `address` and `range` are its.
    cycles_per_sample, latency_cycles : float
        For the emulated board's clock.
    max_samples : int or None
        The largest batch that the circuit takes.
    """

    name: str
    inputs: tuple[Stream, ...]
    outputs: tuple[Stream, ...]
    dmas: tuple[Dma, ...]
    ip: str
    vlnv: str
    title: str = ""
    control: str = "none"
    address: int = CIRCUIT_ADDRESS
    range: int = WINDOW
    clock_mhz: float = 100.0
    boards: tuple[str, ...] = ("Pynq-Z1", "Pynq-Z2")
    cycles_per_sample: float = 0.0
    latency_cycles: float = 0.0
    max_samples: int | None = None
    source: str = field(default="description", compare=False)

    @cached_property
    def streams(self) -> tuple[Stream, ...]:
        return self.inputs + self.outputs

    def stream(self, name: str) -> Stream:
        """The stream of that name; KeyError."""
        return {stream.name: stream for stream in self.streams}[name]

    def dma(self, name: str) -> Dma:
        """The DMA of that name; KeyError."""
        return {dma.name: dma for dma in self.dmas}[name]

    @property
    def arguments(self) -> dict[str, int]:
        """Offsets of the circuit's argument registers, as HLS lays them out: 64-bit addresses, then `samples`."""
        found: dict[str, int] = {}
        if self.control == "start":
            offset = _FIRST_ARGUMENT
            for stream in self.streams:
                if stream.dma is None:
                    found[stream.name] = offset
                    offset += 12
            found["samples"] = offset
        return found

    def to_json(self) -> dict[str, Any]:
        """The description as JSON has it, every field written out."""
        return {
            "format": DESCRIPTION_FORMAT, "version": DESCRIPTION_VERSION, "name": self.name, "title": self.title,
            "boards": list(self.boards), "clock_mhz": self.clock_mhz, "control": self.control,
            "inputs": [_stream_json(stream, True) for stream in self.inputs],
            "outputs": [_stream_json(stream, False) for stream in self.outputs],
            "dmas": [{"name": dma.name, "address": hexadecimal(dma.address), "range": hexadecimal(dma.range),
                      "length_bits": dma.length_bits, "scatter_gather": dma.scatter_gather,
                      "data_bits": dma.data_bits, "unaligned": dma.unaligned, "interrupt": dma.interrupt}
                     for dma in self.dmas] or None,
            "ip": {"name": self.ip, "vlnv": self.vlnv, "address": hexadecimal(self.address),
                   "range": hexadecimal(self.range)},
            "timing": {"cycles_per_sample": self.cycles_per_sample, "latency_cycles": self.latency_cycles},
            "max_samples": self.max_samples,
        }


def _stream_json(stream: Stream, is_input: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"name": stream.name, "type": stream.type.text, "shape": list(stream.shape)}
    if stream.dma is None:
        found["port"] = "axi-master"
    else:
        found.update(port="dma", dma=stream.dma, tlast=stream.tlast, lanes=stream.lanes)
    if is_input:
        found.update(rounding=stream.rounding, overflow=stream.overflow)
    found["raw"] = stream.raw
    return found
