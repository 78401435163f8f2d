"""Checks of arrays at the door to C, and pointers to them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import KernelError
from ._isa import ffi

__all__ = ["U8", "integer", "pointer", "refuse", "result", "view"]

U8 = np.dtype(np.uint8)
_C_ORDER, _ALIGNED, _WRITABLE = 0x1, 0x100, 0x400  # numpy's flags


def integer(value: Any, name: str, low: int, high: int) -> int:
    """An int within low..high."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise KernelError(f"{name} is {value!r}, expected an int from {low} to {high}")
    if not low <= value <= high:
        raise KernelError(f"{name} is {value}, expected {low} to {high}")
    return int(value)


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    if len(shape) != len(wanted):
        return False
    for size, want in zip(shape, wanted):
        if want is not None and want != size:
            return False
    return True


def refuse(
    array: Any, name: str, dtype: np.dtype, shape: tuple[int | None, ...], writable: bool = False
) -> None:
    """Raise if array is not exactly this: dtype, shape (None: any), C order, aligned, writable."""
    need = _C_ORDER | _ALIGNED | _WRITABLE if writable else _C_ORDER | _ALIGNED
    if (
        isinstance(array, np.ndarray)
        and array.dtype == dtype
        and (array.shape == shape or _fits(array.shape, shape))
        and array.flags.num & need == need
    ):
        return
    if not isinstance(array, np.ndarray):
        raise KernelError(f"{name} is a {type(array).__name__}, expected a numpy array")
    if array.dtype != dtype:
        raise KernelError(
            f"{name} has dtype {array.dtype}, expected {dtype}: use .astype(numpy.{dtype}), or .view() if the bytes "
            "are right"
        )
    if not _fits(array.shape, shape):
        wanted = "({}{})".format(
            ", ".join("any" if s is None else str(s) for s in shape), "," if len(shape) == 1 else ""
        )
        raise KernelError(f"{name} has shape {array.shape}, expected {wanted}")
    if not array.flags.c_contiguous:
        raise KernelError(
            f"{name} has strides {array.strides}, expected C order without gaps: use numpy.ascontiguousarray"
        )
    if not array.flags.aligned:
        raise KernelError(f"{name} is not aligned to {dtype.alignment} bytes: copy it")
    if writable and not array.flags.writeable:
        raise KernelError(f"{name} is read-only, expected a writable array")


def pointer(array: np.ndarray) -> Any:
    """The array's memory for a `void *` argument; keep it alive during the call."""
    return ffi.from_buffer(array) if array.size else ffi.NULL


def view(array: Any, name: str, dtype: np.dtype, shape: tuple[int | None, ...]) -> Any:
    """Checked pointer to an input."""
    refuse(array, name, dtype, shape)
    return pointer(array)


def result(array: np.ndarray | None, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """The caller's output array, checked, or a new one."""
    if array is None:
        return np.empty(shape, dtype)
    refuse(array, name, dtype, shape, writable=True)
    return array
