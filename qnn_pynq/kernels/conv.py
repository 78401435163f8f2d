"""Convolutions with thresholds and pools: one layer with the pool behind it, or a whole stack."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from ..errors import KernelError
from ._check import U8, integer, refuse, result, view
from ._isa import active, ffi, isa_active, lib

__all__ = ["ConvLayer", "ConvStack"]

_F32 = np.dtype(np.float32)
_F64 = np.dtype(np.float64)
_WEIGHTS: dict[int, Any] = {1: U8, 16: np.dtype(np.int16), 32: _F32}
_SIDE = 1 << 14  # longest side of a map, most channels
_KERNEL = 64


def int32_thresholds(array: Any, name: str, outputs: int, levels: int) -> np.ndarray:
    """Integers (outputs, levels) as int32; those that no sum can lie beyond keep their meaning."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iu":
        raise KernelError(f"{name} needs thresholds as an integer array, shape ({outputs}, {levels})")
    if array.shape != (outputs, levels):
        raise KernelError(f"{name}: thresholds have shape {array.shape}, expected {(outputs, levels)}")
    if array.dtype == np.uint64:
        array = np.minimum(array, np.uint64(2**31 - 1))
    return np.clip(array.astype(np.int64), -(2**31), 2**31 - 1).astype(np.int32, order="C")


def _padding(value: Any, name: str) -> tuple[int, int]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise KernelError(f"{name} is {value!r}, expected (before, after)")
    return integer(value[0], name, 0, _SIDE), integer(value[1], name, 0, _SIDE)


def _is_pool(layer: Any) -> bool:
    return not hasattr(layer, "weights") and hasattr(layer, "size")


def _places(size: int, padding: tuple[int, int], window: int, stride: int, name: str) -> int:
    padded = size + padding[0] + padding[1]
    if padded < window:
        raise KernelError(f"{name}: a window of {window} does not fit into {padded} padded lines")
    return (padded - window) // stride + 1


class ConvLayer:
    """A convolution with its thresholds, and the maximum pool behind it, for maps of one size.

    Parameters
    ----------
    layer : Conv
        As the layer type `Conv` describes it. `weight_bits` 1 (codes of 1 to 3 bits), 16 (uint8 pixels,
        255 * sum|w| of each output below 2**31) or 32 (float32 pixels).
    height, width : int
        Of the input map.
    pool : Pool, optional
        Maximum of the codes behind the convolution.

    Attributes
    ----------
    input_shape, output_shape : tuple of int
        (H, W, channels) of one map.
    isa, method : str
        Instruction set, and the kernel that was chosen of it.

    Notes
    -----
    Bits of a code beyond `input_bits` are ignored. May be used from several threads at once.

    Raises
    ------
    KernelError
        A layer that does not fit its description.
    """

    def __init__(self, layer: Any, height: int, width: int, pool: Any = None) -> None:
        height = integer(height, "height", 1, _SIDE)
        width = integer(width, "width", 1, _SIDE)
        inputs = integer(layer.inputs, "inputs", 1, _SIDE)
        outputs = integer(layer.outputs, "outputs", 1, _SIDE)
        kernel = integer(layer.kernel, "kernel", 1, _KERNEL)
        stride = integer(layer.stride, "stride", 1, _SIDE)
        groups = integer(layer.groups, "groups", 1, _SIDE)
        before, after = _padding(layer.padding, "padding")
        if inputs % groups or outputs % groups:
            raise KernelError(f"{inputs} inputs and {outputs} outputs cannot be cut into {groups} groups")
        if layer.weight_bits not in _WEIGHTS:
            raise KernelError(f"weight_bits is {layer.weight_bits!r}, expected 1, 16 or 32")
        bits = integer(layer.weight_bits, "weight_bits", 1, 32)
        if bits == 1:
            input_bits = integer(layer.input_bits, "input_bits", 1, 3)
        else:
            input_bits = integer(layer.input_bits, "input_bits", *((8, 8) if bits == 16 else (32, 32)))
        levels = (1 << integer(layer.output_bits, "output_bits", 1, 8)) - 1
        part = inputs // groups
        shape = (outputs, kernel, kernel, (part + 7) // 8 if bits == 1 else part)
        weights = view(layer.weights, "weights", _WEIGHTS[bits], shape)
        if bits == 16:
            reach = 255 * int(np.abs(layer.weights.astype(np.int64)).reshape(outputs, -1).sum(axis=1).max())
            if reach >= 2**31:
                raise KernelError(f"sums of 16-bit weights reach {reach}, expected less than 2**31")
        if bits == 32:
            thresholds = layer.thresholds
            refuse(thresholds, "thresholds", _F32, (outputs, levels))
        else:
            thresholds = int32_thresholds(layer.thresholds, "a convolution", outputs, levels)
        high = _places(height, (before, after), kernel, stride, "convolution")
        wide = _places(width, (before, after), kernel, stride, "convolution")
        pooling = [0, 1, 0, 0]
        if pool is not None:
            size = integer(pool.size, "pool: size", 1, _SIDE)
            step = integer(pool.stride, "pool: stride", 1, _SIDE)
            padding = _padding(pool.padding, "pool: padding")
            high = _places(high, padding, size, step, "pool")
            wide = _places(wide, padding, size, step, "pool")
            pooling = [size, step, padding[0], padding[1]]
        invert = getattr(layer, "invert", None)
        if invert is not None:
            refuse(invert, "invert", np.dtype(np.bool_), (outputs,))
        sizes = [height, width, inputs, outputs, kernel, stride, before, after, groups, bits, input_bits, levels]
        self.isa = isa_active()
        self.input_shape = (height, width, inputs)
        self.output_shape = (high, wide, outputs)
        self._dtype = _F32 if bits == 32 else U8
        c = lib.qnn_conv_new(
            active(),
            ffi.new("qnn_conv_shape *", sizes + pooling),
            weights,
            ffi.from_buffer(thresholds),
            ffi.NULL if invert is None else ffi.from_buffer(invert),
        )
        if not c:
            raise MemoryError(f"no memory for a convolution of {self.input_shape} -> {self.output_shape}")
        self._c = ffi.gc(c, lib.qnn_conv_free)
        self.method = ffi.string(lib.qnn_conv_method(self._c)).decode("ascii")

    @property
    def nbytes(self) -> int:
        """C memory of weights, thresholds and scratch."""
        return int(lib.qnn_conv_bytes(self._c))

    def run(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Codes of a batch of maps.

        Parameters
        ----------
        x : ndarray
            (N,) + input_shape, uint8, or float32 for 32-bit weights; C order.
        out : ndarray, optional
            uint8 (N,) + output_shape, to be overwritten; must not share memory with x.

        Returns
        -------
        ndarray
            uint8 (N, H', W', outputs): `out`, or a new array.
        """
        if (
            x.__class__ is not np.ndarray
            or x.dtype is not self._dtype
            or x.shape[1:] != self.input_shape
            or not x.flags.carray
        ):
            refuse(x, "x", self._dtype, (None,) + self.input_shape)
        shape = (len(x),) + self.output_shape
        codes = np.empty(shape, U8) if out is None else result(out, "out", U8, shape)
        if out is not None and np.may_share_memory(x, out):
            raise KernelError("out shares memory with x, expected an array of its own")
        if len(x) and lib.qnn_conv_run(self._c, ffi.from_buffer(x), len(x), ffi.from_buffer(codes)):
            raise MemoryError("no memory for the convolution's scratch")
        return codes


class _PoolLayer:
    """A pool with no convolution in front of it: in numpy."""

    def __init__(self, pool: Any, shape: tuple[int, int, int]) -> None:
        self._size = integer(pool.size, "pool: size", 1, _SIDE)
        self._stride = integer(pool.stride, "pool: stride", 1, _SIDE)
        self._padding = _padding(pool.padding, "pool: padding")
        self.input_shape = shape
        high = _places(shape[0], self._padding, self._size, self._stride, "pool")
        wide = _places(shape[1], self._padding, self._size, self._stride, "pool")
        self.output_shape = (high, wide, shape[2])
        self.nbytes = 0

    def run(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        refuse(x, "x", U8, (None,) + self.input_shape)
        codes = result(out, "out", U8, (len(x),) + self.output_shape)
        padded = np.pad(x, ((0, 0), self._padding, self._padding, (0, 0)), "constant")
        high, wide = self.output_shape[:2]
        codes[...] = 0
        for y in range(self._size):
            for z in range(self._size):
                part = padded[:, y :: self._stride, z :: self._stride][:, :high, :wide]
                np.maximum(codes, part, out=codes)
        return codes


class ConvStack:
    """Convolutions and pools one after the other, for maps of one size.

    Parameters
    ----------
    layers : sequence of Conv or Pool
        A pool directly behind a convolution is computed with it.
    height, width : int
        Of the first layer's input.

    Attributes
    ----------
    input_shape, output_shape : tuple of int
        (H, W, channels) of one map.
    convolutions : int
        Length of `seconds` of `run`.
    """

    def __init__(self, layers: Sequence[Any], height: int, width: int) -> None:
        layers = tuple(layers)
        if not layers:
            raise KernelError("a stack has 0 layers, expected at least 1")
        if _is_pool(layers[0]):
            raise KernelError("a stack begins with a pool, expected a convolution")
        self.isa = isa_active()
        self._parts: list[Any] = []
        self._index: list[int] = []  # convolution that a part's time is counted for
        self.convolutions = 0
        size = (height, width)
        channels, code_bits = None, None
        at = 0
        while at < len(layers):
            layer, at = layers[at], at + 1
            if _is_pool(layer):
                part: Any = _PoolLayer(layer, self._parts[-1].output_shape)
            else:
                if channels is not None and layer.inputs != channels:
                    raise KernelError(f"layer {at - 1} has {layer.inputs} inputs, expected {channels}")
                if code_bits is not None and (layer.weight_bits != 1 or layer.input_bits < code_bits):
                    raise KernelError(
                        f"layer {at - 1} takes {layer.input_bits} bits with {layer.weight_bits}-bit weights, expected "
                        f"1-bit weights and {code_bits} bits"
                    )
                pool = None
                if at < len(layers) and _is_pool(layers[at]):
                    pool, at = layers[at], at + 1
                part = ConvLayer(layer, size[0], size[1], pool)
                self.convolutions += 1
                channels, code_bits = layer.outputs, layer.output_bits
            self._parts.append(part)
            self._index.append(self.convolutions - 1)
            size = part.output_shape[:2]
        self.input_shape = self._parts[0].input_shape
        self.output_shape = self._parts[-1].output_shape

    @property
    def nbytes(self) -> int:
        """C memory of all layers."""
        return sum(part.nbytes for part in self._parts)

    def run(
        self, x: np.ndarray, out: np.ndarray | None = None, seconds: np.ndarray | None = None
    ) -> np.ndarray:
        """Codes of a batch of maps, as `ConvLayer.run`.

        Parameters
        ----------
        x : ndarray
            (N,) + input_shape, as the first layer takes it.
        out : ndarray, optional
            uint8 (N,) + output_shape.
        seconds : ndarray, optional
            float64 (convolutions,): gets the processor time of each convolution and its pools.
        """
        if seconds is not None:
            refuse(seconds, "seconds", _F64, (self.convolutions,), writable=True)
            seconds[:] = 0
        for number, part in enumerate(self._parts):
            begun = lib.qnn_thread_seconds()
            x = part.run(x, out if number == len(self._parts) - 1 else None)
            if seconds is not None:
                seconds[self._index[number]] += lib.qnn_thread_seconds() - begun
        return x
