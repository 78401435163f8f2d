"""Twin of the multi-layer offload overlays (BlackBoxJam, QNN-MO-PYNQ W1A2 and W1A3).

Written from the documented rules of upstream's HLS block (one convolution and one optional pool per start,
weights that stay from load to load, unused lanes that are multiplied, rows of pad channels that are computed),
not run beside it: `verified` in the overlay descriptors says what was compared with what. Time is a model: lower
bounds by the slowest stage of the dataflow.
"""

from __future__ import annotations

import logging
import math
from collections import OrderedDict
from typing import Any

import numpy as np

from ...contracts.clock import Clock
from ...contracts.twin import Memory
from ...faults import Fault
from ...kernels import ConvLayer, pack, unpack
from ...networks.maps import Conv, Pool
from ..blocks.hls_control_twin import ControlTwin
from .descriptor import check_identity
from .twin_shapes import Hang, Reg, check_shape, pools

__all__ = ["QnnMoTwin"]

_log = logging.getLogger(__name__)
_ARGUMENTS = tuple(int(reg) for reg in Reg if reg >= Reg.IN1)
_WORD = np.dtype("<u8")
_KEPT = 32  # prepared convolutions, and settings
_SETTINGS = tuple(int(reg) for reg in Reg if reg >= Reg.LAYER_TYPE)


class QnnMoTwin(ControlTwin):
    """Emulated BlackBoxJam of multi-layer offload.

    Decisions where upstream is silent: a start while busy is lost; argument registers read 0, as they are
    documented to be written only; settings with which the line buffers would compute wrong data, read what
    is not there or leave data behind make the circuit hang, and a warning says why; addresses that are
    misaligned or outside live buffers raise BusError at the start, before anything runs.

    Hook points of `inject`: "duration" (seconds of a run; inf hangs), "result" (uint8 bytes of the output),
    "done" (bool).

    Attributes
    ----------
    weights : uint64 (PEs, words at the largest kernel)
    thresholds : uint64 (PEs, entries, words)
        What the last loads left in the circuit; survives a reset.
    loads, runs : int
        How many there were.
    """

    def __init__(self, overlay: Any, memory: Memory, clock: Clock) -> None:
        super().__init__(overlay, memory, clock, _ARGUMENTS, Reg.DO_INIT, 0x100)
        check_identity(overlay)
        g = self._limits = overlay.geometry
        self._bits = g["activation_bits"]
        self._pixel = self._bits * g["max_inputs"] // 8
        entry = g["threshold_bits"] // 64
        self.weights = np.zeros((g["pe"], self._block(g["max_kernel"])), np.uint64)
        self.thresholds = np.zeros((g["pe"], g["max_outputs"] // g["pe"], entry), np.uint64)
        self.loads = self.runs = 0
        self._prepared: OrderedDict[Any, ConvLayer] = OrderedDict()
        self._latest: dict[Any, ConvLayer] = {}  # since the last load
        self._shapes: dict[tuple[int, ...], tuple[int, ...]] = {}  # of settings that were checked

    def _block(self, kernel: int) -> int:
        """Weight words of a PE that a load with this kernel register fills."""
        g = self._limits
        return int(kernel**2 * g["max_outputs"] * g["max_inputs"] // (g["pe"] * g["simd"]))

    def _argument(self, offset: int) -> int:
        return 0

    # -- starts -------------------------------------------------------------------------------------------

    def _operate(self) -> float:
        try:
            cycles = self._load() if self.registers[Reg.DO_INIT] else self._compute()
        except Hang as why:
            _log.warning("%s hangs: %s", self.overlay.name, why)
            return math.inf
        return float(cycles * self._cycle)

    def _load(self) -> int:
        """Both ports stream their whole buffer; weights beyond what this kernel register fills stay."""
        kernel, g = self.registers[Reg.KERNEL_DIM], self._limits
        if not 1 <= kernel <= g["max_kernel"]:
            raise Hang(f"load with KernelDim {kernel}, the circuit has 1 to {g['max_kernel']}")
        pes, block = g["pe"] // 2, self._block(kernel)
        words = pes * (block + self.thresholds[0].size)
        first, second = self._address(Reg.IN1), self._address(Reg.IN2)
        read = self.memory.read
        for port, words_of_port in enumerate((read(first, 8 * words), read(second, 8 * words))):
            stream = words_of_port.view(_WORD)
            part = slice(port * pes, (port + 1) * pes)
            self.weights[part, :block] = stream[: pes * block].reshape(pes, block)
            self.thresholds[part] = stream[pes * block :].reshape(self.thresholds[part].shape)
        self._latest = {}
        self.loads += 1
        return words

    def _compute(self) -> int:
        r, g = self.registers, self._limits
        layer = self._layer()
        lanes = layer.input_shape[2]
        size, out_size, channels = r[Reg.IFM_DIM], layer.output_shape[0], layer.output_shape[2]
        origin, target = self._address(Reg.IN1), self._address(Reg.OUT)
        source = self.memory.read(origin, size**2 * self._pixel)
        self.memory.read(target, out_size**2 * self._pixel)  # must exist before anything runs
        codes = unpack(source.reshape(1, size, size, self._pixel), self._bits, lanes)
        packed = pack(layer.run(codes).reshape(-1, channels), self._bits)
        pixels = np.zeros((out_size**2, self._pixel), np.uint8)
        pixels[:, : packed.shape[1]] = packed
        pixels = pixels.reshape(-1)
        self._result = target, self._hook("result", pixels) if self._faults else pixels
        self.runs += 1
        tiles = lanes // g["simd"] * (channels // g["pe"])
        words = self._pixel // 8
        return max(r[Reg.OFM_DIM] ** 2 * r[Reg.KERNEL_DIM] ** 2 * tiles, size**2 * words, out_size**2 * words)

    # -- faults -------------------------------------------------------------------------------------------

    def _flip_weight(self, fault: Fault) -> None:
        """In the circuit, until the next load; at a load in shared memory, until the host writes there again."""
        if self.registers[Reg.DO_INIT]:
            kernel, g = self.registers[Reg.KERNEL_DIM], self._limits
            weights = g["pe"] // 2 * self._block(min(max(kernel, 1), g["max_kernel"]))
            port = Reg.IN2 if fault.amount < 0.5 else Reg.IN1
            words = self.memory.read(self._address(port), 8 * weights).view(_WORD)
        else:
            words = self.weights.reshape(-1)
        place, bit = divmod(fault.place % (64 * words.size), 64)
        words[place] ^= np.uint64(1 << bit)
        self._latest = {}

    def _before(self, fault: Fault) -> None:
        super()._before(fault)
        if self.registers[Reg.DO_INIT]:
            self._former = self.weights.copy(), self.thresholds.copy()

    def _after(self, fault: Fault, begun: float, seconds: float) -> float:
        if not self.registers[Reg.DO_INIT]:
            return super()._after(fault, begun, seconds)
        weights, thresholds = self._former
        words = self.weights.reshape(-1)
        if fault.kind == "done without data":
            self.weights, self.thresholds = weights, thresholds
        elif fault.kind == "early done":  # what was not there yet when the next run began
            first = int(fault.amount * words.size)
            words[first:] = weights.reshape(-1)[first:]
            seconds *= fault.amount
        elif fault.kind == "corrupt word":
            words[fault.place % words.size] ^= np.uint64(1 + fault.place % (2**64 - 1))
        else:
            return super()._after(fault, begun, seconds)
        return seconds

    # -- one convolution ----------------------------------------------------------------------------------

    def _layer(self) -> ConvLayer:
        """The kernel for weights and registers as they are; kept, since weights come back image by image."""
        settings = tuple(map(self.registers.__getitem__, _SETTINGS))
        shape = self._shapes.get(settings)
        if shape is None:
            if len(self._shapes) == _KEPT:
                self._shapes.clear()
            shape = self._shapes[settings] = self._shape()
        layer = self._latest.get(shape)
        if layer is None:
            kernel, tiles, rows = shape[0], shape[4], shape[5]
            words = self.weights[:, : rows * kernel**2 * tiles]
            entries = self.thresholds[:, :rows]
            key = shape, words.tobytes(), entries.tobytes()
            layer = self._prepared.pop(key, None) or self._prepare(shape, words, entries)
            self._prepared[key] = self._latest[shape] = layer
            if len(self._prepared) > _KEPT:
                self._prepared.popitem(last=False)
        return layer

    def _shape(self) -> tuple[int, ...]:
        """What the registers say of a convolution and its pool; Hang where it cannot be."""
        r, g = self.registers, self._limits
        check_shape(r, g)
        shape = tuple(r[reg] for reg in (Reg.KERNEL_DIM, Reg.STRIDE, Reg.IFM_DIM, Reg.PADDED_DIM)) + (
            -(-r[Reg.IFM_CH] // g["simd"]), -(-r[Reg.OFM_CH] // g["pe"]))
        return shape + (r[Reg.POOL_IN_DIM], r[Reg.POOL_STRIDE]) if pools(r) else shape

    def _prepare(self, shape: tuple[int, ...], words: np.ndarray, entries: np.ndarray) -> ConvLayer:
        g, bits = self._limits, self._bits
        kernel, log_stride, size, padded, tiles, rows = shape[:6]
        inputs, outputs = tiles * g["simd"], rows * g["pe"]
        # Channel n * PEs + P is row n of PE P. Bit 1 is -1 in the circuit, +1 in the kernels.
        ordered = ~np.ascontiguousarray(words.reshape(g["pe"], rows, -1).transpose(1, 0, 2))
        weights = ordered.view(np.uint8).reshape(outputs, kernel, kernel, inputs // 8)
        # The upper word of an entry comes first; above the thresholds lies the invert flag.
        values = np.ascontiguousarray(entries[:, :, ::-1].transpose(1, 0, 2)).view("<i2").reshape(outputs, -1)
        levels = 2**bits - 1
        conv = Conv(inputs, outputs, kernel, 1 << log_stride, _padding(padded - size), weights,
                    np.ascontiguousarray(values[:, :levels]), 1, bits, bits, 1, (values[:, levels] & 1).astype(bool))
        pool = None
        if len(shape) > 6:
            pool_in, log_pool = shape[6:]
            conv_size = (padded - kernel >> log_stride) + 1
            pool = Pool(g["pool_size"], 1 << log_pool, _padding(pool_in - conv_size))
        return ConvLayer(conv, size, size, pool)


def _padding(lines: int) -> tuple[int, int]:
    return lines // 2, lines - lines // 2
