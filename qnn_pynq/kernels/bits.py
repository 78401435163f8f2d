"""Bit strings: pack, unpack and move integers of 1 to 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import KernelError
from ._check import U8, integer, pointer, refuse, result
from ._isa import active, chosen, ffi, lib

__all__ = ["move_bits", "pack", "unpack"]


def _rows(array: Any, name: str) -> int:
    """Number of rows of an (..., n) uint8 array; checks it."""
    if not isinstance(array, np.ndarray) or array.ndim == 0:
        raise KernelError(
            f"{name} is {array!r:.80}, expected a numpy array of one or more dimensions"
        )
    if array.dtype is not U8 or not array.flags.c_contiguous:
        refuse(array, name, U8, array.shape)
    rows = 1
    for size in array.shape[:-1]:
        rows *= size
    return rows


def pack(values: np.ndarray, bits: int = 1, out: np.ndarray | None = None) -> np.ndarray:
    """Pack small integers into little-endian bit strings.

    Parameters
    ----------
    values : uint8, (..., n)
        Value j of a row goes to bits j*bits .. j*bits+bits-1 of the row's string; its upper bits are
        dropped, so int8 values viewed as uint8 become two's complement.
    bits : int
        Width of a value, 1 to 8.
    out : uint8, (..., ceil(n*bits/8)), optional
        Written and returned. Pad bits are 0.

    Raises
    ------
    KernelError
        Wrong dtype, shape, stride or width.
    """
    if bits.__class__ is not int or not 1 <= bits <= 8:
        bits = integer(bits, "bits", 1, 8)
    rows = _rows(values, "values")
    count = values.shape[-1]
    shape = values.shape[:-1] + ((count * bits + 7) // 8,)
    out = np.empty(shape, U8) if out is None else result(out, "out", U8, shape)
    if out.size:
        isa = chosen[0] if chosen else active()
        lib.qnn_pack(isa, ffi.from_buffer(values), rows, count, bits, ffi.from_buffer(out))
    return out


def unpack(words: np.ndarray, bits: int, count: int, out: np.ndarray | None = None) -> np.ndarray:
    """Unpack `count` unsigned integers of `bits` bits from each row of words.

    Parameters
    ----------
    words : uint8, (..., m)
        Little-endian bit strings, m >= ceil(count*bits/8).
    out : uint8, (..., count), optional
        Written and returned.

    Raises
    ------
    KernelError
        Wrong dtype, shape, stride or width, or rows too short for `count`.
    """
    if bits.__class__ is not int or not 1 <= bits <= 8:
        bits = integer(bits, "bits", 1, 8)
    rows = _rows(words, "words")
    length = words.shape[-1]
    if count.__class__ is not int or not 0 <= count <= length * 8 // bits:
        count = integer(count, "count", 0, length * 8 // bits)
    shape = words.shape[:-1] + (count,)
    out = np.empty(shape, U8) if out is None else result(out, "out", U8, shape)
    if out.size:
        isa = chosen[0] if chosen else active()
        lib.qnn_unpack(isa, ffi.from_buffer(words), rows, length, count, bits, ffi.from_buffer(out))
    return out


def move_bits(source: np.ndarray, source_bit: int, target: np.ndarray, target_bit: int, bits: int) -> None:
    """Copy a run of bits of every row into the same row of another array; the target's other bits stay.

    Parameters
    ----------
    source, target : uint8, (rows, bytes)
        Rows are whole 64-bit words, little-endian bit strings. They must not overlap.
    source_bit, target_bit : int
        Where the bits begin in a row.
    bits : int
        How many.

    Raises
    ------
    KernelError
        Wrong dtype, shape or stride, or bits beyond the end of a row.
    """
    rows = _rows(source, "source")
    _rows(target, "target")
    for name, array, first in (("source", source, source_bit), ("target", target, target_bit)):
        if array.ndim != 2 or len(array) != rows or array.shape[1] % 8:
            raise KernelError(
                f"{name} of shape {array.shape}, expected ({rows}, bytes) with whole 64-bit words a row"
            )
        room = 8 * array.shape[1] - integer(first, name + "_bit", 0, 8 * array.shape[1])
        integer(bits, f"bits behind {name}_bit {first}", 0, room)
    refuse(target, "target", U8, target.shape, writable=True)
    lib.qnn_move_bits(
        pointer(source), source.shape[1], source_bit, pointer(target), target.shape[1], target_bit, bits, rows
    )
