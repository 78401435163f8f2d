"""Bit strings: pack and unpack integers of 1 to 8 bits, encode pictures, find the highest set bit."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import KernelError
from ._check import U8, integer, pointer, refuse, result, view
from ._isa import active, chosen, ffi, lib

__all__ = ["Encoder", "highest_class", "move_bits", "pack", "unpack"]

_U16 = np.dtype(np.uint16)
_U64 = np.dtype(np.uint64)
_INTP = np.dtype(np.intp)
_ALL = (1 << 64) - 1


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


class Encoder:
    """Turns pictures into the bits of a first layer.

    Parameters
    ----------
    pixels : int
        Bytes of a picture.
    bits : int
        Bits of an encoded picture; those not named below are 0.
    threshold : int, optional
        Bit k = pixel[k] >= threshold for every pixel (0 to 256).
    index, thresholds : uint16 (n,), uint8 (n,), optional
        Instead: bit k = pixel[index[k]] >= thresholds[k], n <= bits.

    Raises
    ------
    KernelError
        Arguments that do not fit together.
    """

    def __init__(
        self,
        pixels: int,
        bits: int,
        threshold: int | None = None,
        index: np.ndarray | None = None,
        thresholds: np.ndarray | None = None,
    ) -> None:
        self.pixels = integer(pixels, "pixels", 1, 1 << 24)
        self.bits = integer(bits, "bits", 1, 1 << 24)
        at = levels = ffi.NULL
        if threshold is not None:
            if index is not None or thresholds is not None:
                raise KernelError("an encoder has either threshold or index and thresholds, not both")
            threshold = integer(threshold, "threshold", 0, 256)
            used = self.pixels
        else:
            if index is None or thresholds is None:
                raise KernelError("an encoder needs threshold, or index and thresholds")
            at = view(index, "index", _U16, (None,))
            levels = view(thresholds, "thresholds", U8, index.shape)
            used, threshold = len(index), 0
            if used and int(index.max()) >= self.pixels:
                raise KernelError(
                    f"index names pixel {int(index.max())}, expected below {self.pixels}"
                )
        if used > self.bits:
            raise KernelError(f"the encoding makes {used} bits, expected at most {self.bits}")
        self._c = lib.qnn_encoder_new(active(), self.pixels, self.bits, used, threshold, at, levels)
        if not self._c:
            raise MemoryError(f"no memory for an encoder of {self.bits} bits")
        self._c = ffi.gc(self._c, lib.qnn_encoder_free)

    def encode(self, pictures: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Encode pictures, uint8 (N, pixels), into out, uint8 (N, ceil(bits/8)), which is returned."""
        if (
            pictures.__class__ is not np.ndarray
            or pictures.dtype is not U8
            or pictures.ndim != 2
            or pictures.shape[1] != self.pixels
            or not pictures.flags.c_contiguous
        ):
            refuse(pictures, "pictures", U8, (None, self.pixels))
        shape = len(pictures), (self.bits + 7) // 8
        if out is None:
            out = np.empty(shape, U8)
        elif out.__class__ is not np.ndarray or out.dtype is not U8 or out.shape != shape or not out.flags.carray:
            refuse(out, "out", U8, shape, writable=True)
        if len(pictures):
            lib.qnn_encoder_run(self._c, ffi.from_buffer(pictures), len(pictures), ffi.from_buffer(out))
        return out


def highest_class(
    words: np.ndarray, classes: int, mask: int = _ALL, out: np.ndarray | None = None
) -> tuple[np.ndarray, int]:
    """The published decode rule: highest set bit of each word & mask, modulo the number of classes.

    Parameters
    ----------
    words : uint64, (N,)
    classes : int
        1 to 64.
    mask : int
        Bits that count.
    out : intp, (N,), optional

    Returns
    -------
    (out, number of words without a set bit, whose class is 0)
    """
    # Part of every predict: the usual case passes by type alone.
    if words.__class__ is not np.ndarray or words.dtype is not _U64 or not words.flags.carray or words.ndim != 1:
        refuse(words, "words", _U64, (None,))
    if not (classes.__class__ is mask.__class__ is int and 1 <= classes <= 64 and 0 <= mask <= _ALL):
        classes = integer(classes, "classes", 1, 64)
        mask = integer(mask, "mask", 0, _ALL)
    out = np.empty(words.shape, _INTP) if out is None else result(out, "out", _INTP, words.shape)
    if not out.size:
        return out, 0
    to = ffi.from_buffer(out)
    none = lib.qnn_highest_class(ffi.from_buffer(words), len(words), mask, classes, _INTP.itemsize, to)
    return out, int(none)
