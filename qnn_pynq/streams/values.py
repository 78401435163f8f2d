"""Arrays of users into stream words and back: everything that can be wrong is refused before a byte moves."""

from __future__ import annotations

from typing import Any, Mapping

import numpy as np

from ..errors import InputError
from ..kernels.fixed import from_fixed, to_fixed
from .description import Description, Stream
from .types import castable

__all__ = ["by_name", "check_array", "decode", "encode", "shape_text"]

_OVERFLOW = {"refuse": "refuse", "saturate": "AP_SAT"}


def shape_text(stream: Stream) -> str:
    """The shapes that a stream's arrays may have, for messages."""
    many = "({})".format(", ".join(["n", *map(str, stream.shape)])) if stream.shape else "(n,)"
    return f"{stream.shape} for one sample, {many} for n"


def by_name(description: Description, arrays: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """What a call gave for each input, in the order of the description; InputError where one is missing or too many."""
    names = [stream.name for stream in description.inputs]
    given = dict(zip(names, arrays))
    twice = [name for name in named if name in given]
    unknown = [name for name in named if name not in names]
    if len(arrays) > len(names) or twice or unknown or len(given) + len(named) < len(names):
        problem = f"{twice[0]} twice" if twice else f"an unknown {unknown[0]}" if unknown else \
            f"{len(arrays) + len(named)} arrays"
        raise InputError("{}: got {}, expected each of its inputs once: {}".format(
            description.name, problem, ", ".join(names)))
    given.update(named)
    return {name: given[name] for name in names}


def check_array(stream: Stream, value: Any) -> tuple[np.ndarray, bool]:
    """What a user gave for an input: samples first, in a dtype that the C kernel reads, and whether it was one sample.

    Raises
    ------
    InputError
        Dtype or shape; values are checked by `encode`.
    """
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise InputError(f"{stream.name}: has masked values; fill them first")
    try:
        array = np.asarray(value)
    except Exception as error:  # whatever its __array__ raises
        text = "{}: no array ({}); expected shape {}"
        raise InputError(text.format(stream.name, error, shape_text(stream))) from error
    kind = stream.type
    whole = kind.kind == "int" or stream.raw
    if array.dtype.kind not in ("biu" if whole else "biuf") or array.dtype.itemsize > 8:
        hint = "; numpy.rint(x).astype(int) rounds" if whole and array.dtype.kind == "f" else ""
        raise InputError("{}: dtype {}, expected {} for {}{}".format(
            stream.name, array.dtype, "integers" if whole else "real numbers of up to 64 bits",
            kind.text + (" as raw bits" if stream.raw else ""), hint))
    rank = len(stream.shape)
    if array.ndim not in (rank, rank + 1) or array.shape[array.ndim - rank:] != stream.shape:
        raise InputError(f"{stream.name}: shape {array.shape}, expected {shape_text(stream)}")
    single = array.ndim == rank
    return castable(array[np.newaxis] if single else array), single


def encode(stream: Stream, array: np.ndarray, out: np.ndarray) -> None:
    """Cast checked samples into containers.

    Parameters
    ----------
    array : ndarray
        (n, *shape), from `check_array`.
    out : ndarray
        (n, elements) of the container's dtype, C order.

    Raises
    ------
    InputError
        The first number that the type does not hold, with its place.
    """
    kind = stream.type
    flat = array.reshape(len(array), stream.elements)
    if kind.kind == "float":
        with np.errstate(over="ignore"):
            out[...] = flat
        lost = np.isinf(out) & np.isfinite(flat) if flat.dtype != out.dtype else np.zeros(1, bool)
        refused = int(np.argmax(lost)) if lost.any() else -1
    else:
        rounding = "AP_RND_CONV" if stream.rounding == "nearest" else kind.rounding
        overflow = _OVERFLOW.get(stream.overflow, kind.overflow)
        fraction = 0 if stream.raw else kind.fraction
        refused = to_fixed(flat, kind.width, fraction, kind.signed, rounding, overflow, out)[1]
    if refused >= 0:
        _refuse(stream, array, refused)


def _refuse(stream: Stream, array: np.ndarray, place: int) -> None:
    value = array.reshape(-1)[place].item()
    where = ", ".join(map(str, np.unravel_index(place, array.shape)))
    if isinstance(value, float) and not np.isfinite(value):
        raise InputError(f"{stream.name}[{where}] is {value}: {stream.type.text} has no such value; take it out first")
    low, high = stream.type.integers if stream.raw else stream.type.limits
    remedy = "scale the data" if stream.type.kind == "float" else 'scale the data, or describe the stream with ' \
        '"overflow": "saturate"'
    raise InputError(f"{stream.name}[{where}] is {value!r}: {stream.type.text} holds {low!r} to {high!r}; {remedy}")


def decode(stream: Stream, words: np.ndarray) -> np.ndarray:
    """Containers (n, elements) that came from a circuit as results (n, *shape): a new array of the declared type."""
    kind = stream.type
    shape = (len(words), *stream.shape)
    if kind.kind == "float":
        return words.copy().reshape(shape)
    dtype = kind.container if stream.raw else kind.result
    fraction = 0 if stream.raw else kind.fraction
    return from_fixed(np.ascontiguousarray(words), kind.width, fraction, kind.signed, dtype).reshape(shape)
