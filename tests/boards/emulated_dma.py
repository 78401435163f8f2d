"""Emulated pynq Devices that interrupt: an AXI DMA (our twin, looped back) behind an AXI interrupt controller, with a
UIO stand-in that other circuits may have as well."""
from __future__ import annotations

import asyncio
import hashlib
import threading
from pathlib import Path
from typing import Any

from bitfiles import bit_file, hwh_file
from emulated_device import EmulatedZynq, Window
from pynq.interrupt import _InterruptController

from qnn_pynq.families.blocks.axi_dma_twin import AxiDmaTwin
from qnn_pynq.families.blocks.axi_stream_twin import Fifo
from qnn_pynq.overlay import Ip, Overlay, OverlayFile
from qnn_pynq.streams.description import Dma

DMA, INTC, IRQ = 0x40400000, 0x41800000, 61
BIT = bit_file()
PINS = ("mm2s_introut", "s2mm_introut")


class Intc:
    """AXI INTC (PG099): level inputs, masked into one line."""

    range = 0x1000

    def __init__(self, lines: Any) -> None:
        self._lines = lines
        self._seen = self._enabled = self._master = 0
        self.deaf = False

    def read(self, offset: int) -> int:
        self._latch()
        return {0x00: self._seen, 0x04: self._seen & self._enabled, 0x08: self._enabled, 0x1C: self._master}.get(
            offset, 0)

    def write(self, offset: int, value: int) -> None:
        if offset == 0x08:
            self._enabled = value
        elif offset == 0x0C:
            self._seen &= ~value
        elif offset == 0x10:
            self._enabled |= value
        elif offset == 0x14:
            self._enabled &= ~value
        elif offset == 0x1C:
            self._master = value

    def _latch(self) -> None:
        for number, high in enumerate(self._lines()):
            self._seen |= int(high) << number

    @property
    def line(self) -> bool:
        self._latch()
        return not self.deaf and self._master == 3 and bool(self._seen & self._enabled)


class Uio:
    """Stands for pynq's UioController: events are set from a thread that looks at the line."""

    def __init__(self, device: InterruptingZynq) -> None:
        self._device = device
        self._waiting: list[Any] = []
        self._stop = threading.Event()
        self.fired = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def add_event(self, event: Any, number: int) -> None:
        self._waiting.append((asyncio.get_event_loop(), event))

    def _watch(self) -> None:
        while not self._stop.wait(0.0005):
            with self._device.bus:
                rises = bool(self._waiting) and self._device.line
            if rises:
                waiting, self._waiting = self._waiting, []
                for loop, event in waiting:
                    self.fired += 1
                    # Never at once: pynq registers its waiter after telling its parent.
                    loop.call_soon_threadsafe(event.set)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


def overlay(folder: Path) -> Overlay:
    """The descriptor, its files beside it."""
    files = {}
    for key, name, contents in (("bitstream", "dma.bit", BIT), ("hwh", "dma.hwh", hwh_file())):
        (folder / name).write_bytes(contents)
        files[key] = OverlayFile(name, hashlib.sha256(contents).hexdigest(), len(contents), ())
    ip = Ip("axi_dma_0", "xilinx.com:ip:axi_dma:7.1", DMA, 0x10000, "s2mm_introut")
    return Overlay("dma-loop", "DMA loop", "stream", ("Pynq-Z1", "Pynq-Z2"), ip, 100.0, files, {}, {}, {}, {}, folder)


class Parser:
    """What pynq reads from a .hwh, written down."""

    def __init__(self) -> None:
        def ip(name: str, vlnv: str, address: int, parameters: dict, interrupts: dict) -> dict:
            return {"fullpath": name, "type": vlnv, "phys_addr": address, "addr_range": 0x10000, "state": None,
                    "bdtype": None, "parameters": parameters, "registers": {}, "interrupts": interrupts, "gpio": {},
                    "memtype": "REGISTER", "mem_id": "S_AXI_LITE"}

        self.interrupt_pins = {
            "axi_dma_0/" + pin: {"controller": "axi_intc_0", "index": index, "fullpath": "axi_dma_0/" + pin}
            for index, pin in enumerate(PINS)}
        self.interrupt_controllers = {"axi_intc_0": {"parent": "", "index": 0, "raw_irq": IRQ}}
        parameters = {"c_include_sg": "0", "c_sg_length_width": "26", "c_include_mm2s": "1", "c_include_s2mm": "1",
                      "c_include_mm2s_dre": "0", "c_include_s2mm_dre": "0", "c_m_axi_mm2s_data_width": "32",
                      "c_m_axi_s2mm_data_width": "32"}
        self.ip_dict = {
            "axi_dma_0": ip("axi_dma_0", "xilinx.com:ip:axi_dma:7.1", DMA, parameters,
                            {pin: self.interrupt_pins["axi_dma_0/" + pin] for pin in PINS}),
            "axi_intc_0": ip("axi_intc_0", "xilinx.com:ip:axi_intc:4.1", INTC, {}, {})}
        self.mem_dict: dict = {}
        self.gpio_dict: dict = {}
        self.hierarchy_dict: dict = {}
        self.clock_dict: dict = {}
        self.systemgraph = None


class InterruptingZynq(EmulatedZynq):
    """A Pynq-Z1 whose line to the processor another thread looks at: by default that of its controller, `intc`.

    `reads` counts those of the circuit's registers.
    """

    intc: Intc

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.reads = 0
        self.bus = threading.RLock()

    def mmap(self, base_addr: int, length: int) -> Window:
        window = super().mmap(base_addr, length)
        read, write = window._read, window._write

        def locked_read(offset: int) -> int:
            with self.bus:
                self.reads += base_addr == self.overlay.ip.address
                return read(offset)

        def locked_write(offset: int, value: int) -> None:
            with self.bus:
                write(offset, value)

        return Window(locked_read, locked_write, length)

    def settle(self) -> None:
        with self.bus:
            super().settle()

    @property
    def line(self) -> bool:
        return self.intc.line


class DmaZynq(InterruptingZynq):
    """A Pynq-Z1 whose logic is an AXI DMA that gets what it sends, behind an interrupt controller.

    `seconds` is what a transfer takes.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(overlay(folder), **options)
        self.seconds = 0.0

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> Any:
        return Parser()

    def program(self) -> None:
        loop = Fifo()
        self.twin = AxiDmaTwin(self.overlay, self.pool.memory, self.clock, Dma("axi_dma_0", DMA), loop, loop)
        self.twin.inject(lambda twin, event, value: self.seconds if event == "duration" else value)
        self.intc = Intc(lambda: [self.twin.interrupts[pin] for pin in PINS])
        self.windows = {INTC: self.intc}


class Interrupts:
    """The UIO device of the processor's first interrupt, for as long as it is entered."""

    def __init__(self, device: InterruptingZynq) -> None:
        self._device = device

    def __enter__(self) -> Uio:
        self._uio = _InterruptController._uio_devices[IRQ] = Uio(self._device)
        return self._uio

    def __exit__(self, *_: Any) -> None:
        self._uio.stop()
        _InterruptController._uio_devices.clear()
        _InterruptController._controllers.clear()
        _InterruptController._last_timestamp = None
