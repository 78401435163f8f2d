"""Dense layers of a tail: exact sums of codes, or codes where the layer has thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import KernelError
from ._check import U8, integer, refuse, result, view
from ._isa import active, ffi, isa_active, lib
from .conv import int32_thresholds

__all__ = ["LinearLayer"]

_F32 = np.dtype(np.float32)
_I32 = np.dtype(np.int32)


class LinearLayer:
    """The products of a dense layer; scale, bias and activation are the caller's.

    Parameters
    ----------
    layer : Linear
        As the layer type `Linear` describes it: `weight_bits` 1, 8 or 32.

    Notes
    -----
    Bits of a code beyond `input_bits` are ignored. May be used from several threads at once.

    Raises
    ------
    KernelError
        A layer that does not fit its description, or sums that int32 cannot hold.
    """

    def __init__(self, layer: Any) -> None:
        self.inputs = integer(layer.inputs, "inputs", 1, 1 << 20)
        self.outputs = integer(layer.outputs, "outputs", 1, 1 << 20)
        bits = integer(layer.weight_bits, "weight_bits", 1, 32)
        if bits not in (1, 8, 32):
            raise KernelError(f"weight_bits is {bits}, expected 1, 8 or 32")
        self.isa = isa_active()
        self._c: Any = None
        self._levels = 0
        if bits == 32:
            if layer.thresholds is not None:
                raise KernelError("a layer with 32-bit weights has thresholds, expected None")
            refuse(layer.weights, "weights", _F32, (self.outputs, self.inputs))
            self._weights = layer.weights
            return
        input_bits = integer(layer.input_bits, "input_bits", 1, 8)
        reach = self.inputs * ((1 << input_bits) - 1) * (1 if bits == 1 else 128)
        if 2 * reach >= 2**31:
            raise KernelError(f"sums reach {reach}, expected less than 2**30: cut the layer")
        dtype, row = (U8, (self.inputs + 7) // 8) if bits == 1 else (np.dtype(np.int8), self.inputs)
        weights = view(layer.weights, "weights", dtype, (self.outputs, row))
        thresholds = None
        if layer.thresholds is not None:
            self._levels = (1 << integer(layer.output_bits, "output_bits", 1, 8)) - 1
            thresholds = int32_thresholds(layer.thresholds, "a dense layer", self.outputs, self._levels)
        c = lib.qnn_linear_new(
            active(),
            self.inputs,
            self.outputs,
            bits,
            input_bits,
            self._levels,
            weights,
            ffi.NULL if thresholds is None else ffi.from_buffer(thresholds),
        )
        if not c:
            raise MemoryError(f"no memory for {self.outputs} x {self.inputs} weights")
        self._c = ffi.gc(c, lib.qnn_linear_free)

    @property
    def nbytes(self) -> int:
        """Memory of weights, thresholds and scratch."""
        return int(lib.qnn_linear_bytes(self._c)) if self._c is not None else int(self._weights.nbytes)

    def run(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Results of a batch.

        Parameters
        ----------
        x : ndarray
            (N, inputs): uint8 codes, or float32 for 32-bit weights; C order.
        out : ndarray, optional
            (N, outputs) of the result's dtype, to be overwritten; must not share memory with x.

        Returns
        -------
        ndarray
            (N, outputs): int32 sums; uint8 codes of a layer with thresholds; float32 for 32-bit weights.
        """
        floats = self._c is None
        taken = _F32 if floats else U8
        if (
            x.__class__ is not np.ndarray
            or x.dtype is not taken
            or x.shape[1:] != (self.inputs,)
            or not x.flags.carray
        ):
            refuse(x, "x", taken, (None, self.inputs))
        dtype = _F32 if floats else U8 if self._levels else _I32
        shape = len(x), self.outputs
        found = np.empty(shape, dtype) if out is None else result(out, "out", dtype, shape)
        if out is not None and np.may_share_memory(x, out):
            raise KernelError("out shares memory with x, expected an array of its own")
        if floats:
            np.matmul(x, self._weights.T, out=found)
        elif len(x) and lib.qnn_linear_run(self._c, ffi.from_buffer(x), len(x), ffi.from_buffer(found)):
            raise MemoryError("no memory for the dense layer's scratch")
        return found
