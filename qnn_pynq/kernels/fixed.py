"""Numbers to fixed point and back, as the C++ types ap_fixed and ap_int do it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import KernelError
from ._check import integer, pointer, refuse, result
from ._isa import ffi, lib

__all__ = ["FIXED_OVERFLOWS", "FIXED_ROUNDINGS", "fixed_container", "from_fixed", "to_fixed"]

FIXED_ROUNDINGS = ("AP_TRN", "AP_RND", "AP_TRN_ZERO", "AP_RND_ZERO", "AP_RND_INF", "AP_RND_MIN_INF", "AP_RND_CONV")
FIXED_OVERFLOWS = ("AP_WRAP", "AP_SAT", "AP_SAT_ZERO", "AP_SAT_SYM", "refuse")
_SOURCES = {np.dtype(kind): code for code, kind in enumerate((np.float32, np.float64, np.int64, np.uint64))}
_REACH = 1000  # of the point: 2**1000 is still a double


@lru_cache(maxsize=256)
def fixed_container(width: int, signed: bool) -> np.dtype:
    """The integer dtype that holds `width` bits: 8, 16, 32 or 64, of the same sign."""
    bits = next(bits for bits in (8, 16, 32, 64) if width <= bits)
    return np.dtype("{}{}".format("i" if signed else "u", bits // 8))


def _type(width: int, fraction: int, signed: bool, rounding: str, overflow: str) -> tuple[Any, np.dtype]:
    width = integer(width, "width", 1, 64)
    fraction = integer(fraction, "fraction", -_REACH, _REACH)
    for name, value, known in (("rounding", rounding, FIXED_ROUNDINGS), ("overflow", overflow, FIXED_OVERFLOWS)):
        if value not in known:
            raise KernelError("{} is {!r}, expected one of {}".format(name, value, ", ".join(known)))
    dtype = fixed_container(width, bool(signed))
    return ffi.new("qnn_fixed *", {
        "width": width, "fraction": fraction, "is_signed": bool(signed), "bytes": dtype.itemsize,
        "rounding": FIXED_ROUNDINGS.index(rounding), "overflow": FIXED_OVERFLOWS.index(overflow),
    }), dtype


def to_fixed(values: np.ndarray, width: int, fraction: int, signed: bool = True, rounding: str = "AP_RND_CONV",
             overflow: str = "refuse", out: np.ndarray | None = None) -> tuple[np.ndarray, int]:
    """Integers q with value = q * 2**-fraction, in containers of 8, 16, 32 or 64 bits.

    Parameters
    ----------
    values : ndarray
        float32, float64, int64 or uint64, C order.
    width, fraction, signed
        Bits of q, how many of them are behind the point (any sign), whether q has a sign.
    rounding : str
        What becomes of bits below the last: AP_TRN down, AP_TRN_ZERO towards zero; to the nearest, and ties go
        with AP_RND up, AP_RND_MIN_INF down, AP_RND_ZERO towards zero, AP_RND_INF away from it, AP_RND_CONV to even.
    overflow : str
        What becomes of numbers outside, after rounding: AP_WRAP keeps the low bits, AP_SAT takes the nearest
        limit, AP_SAT_SYM the same with -max as lowest, AP_SAT_ZERO 0; "refuse" stops there.
    out : ndarray, optional
        Of the container's dtype and the shape of `values`.

    Returns
    -------
    (q, refused)
        The containers, and the flat index of the first number that was refused, -1 for none. NaN and infinities
        always are. Where one is refused, q is of no use.
    """
    kind, dtype = _type(width, fraction, signed, rounding, overflow)
    if not isinstance(values, np.ndarray) or values.dtype not in _SOURCES:
        raise KernelError("values are {}, expected an array of float32, float64, int64 or uint64".format(
            getattr(values, "dtype", type(values).__name__)))
    refuse(values, "values", values.dtype, values.shape)
    found = result(out, "out", dtype, values.shape)
    if not values.size:
        return found, -1
    done = lib.qnn_fixed_from(kind, _SOURCES[values.dtype], pointer(values), values.size, pointer(found))
    return found, -1 if done == values.size else int(done)


def from_fixed(raw: np.ndarray, width: int, fraction: int, signed: bool = True, dtype: Any = np.float64,
               out: np.ndarray | None = None) -> np.ndarray:
    """Values q * 2**-fraction of the low `width` bits of containers; the bits above them do not count.

    Parameters
    ----------
    raw : ndarray
        Of the container's dtype (`fixed_container`), C order.
    dtype : float32, float64, or the container's
        Floats are the exact values where they have room for them; the container's dtype gives q itself.

    Returns
    -------
    ndarray
        Of `dtype`, in the shape of `raw`.
    """
    kind, container = _type(width, fraction, signed, "AP_TRN", "AP_WRAP")
    refuse(raw, "raw", container, raw.shape if isinstance(raw, np.ndarray) else ())
    wanted = np.dtype(dtype)
    target = 2 if wanted == container else _SOURCES.get(wanted, 2)
    if target == 2 and wanted != container:
        raise KernelError(f"dtype is {wanted}, expected float32, float64 or {container}")
    found = result(out, "out", wanted, raw.shape)
    if raw.size:
        lib.qnn_fixed_to(kind, pointer(raw), raw.size, target, pointer(found))
    return found
