"""Types of stream elements: ap_fixed, ap_int and floats, as text, as bits and as numpy dtypes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import DescriptorError, InputError
from ..kernels.fixed import FIXED_OVERFLOWS, FIXED_ROUNDINGS, fixed_container, from_fixed, to_fixed

__all__ = ["StreamType", "castable", "parse_type"]

_ROUNDINGS, _OVERFLOWS = FIXED_ROUNDINGS, FIXED_OVERFLOWS[:-1]  # without "refuse", which no C++ type knows
_TEMPLATE = re.compile(r"ap_(u?)(fixed|int)\s*<([^<>]*)>\Z")
_PLAIN = {"float": "float32", "float32": "float32", "double": "float64", "float64": "float64", "bool": "ap_uint<1>"}
_PLAIN.update({f"{sign}int{bits}": f"ap_{sign}int<{bits}>"
               for sign in ("", "u") for bits in (8, 16, 32, 64)})
_EXPECTED = ("ap_fixed<W,I>, ap_ufixed<W,I> (both also with AP_... modes of rounding and overflow), ap_int<W>, "
             "ap_uint<W>, int8 to uint64, float or double")
_FURTHEST = 128  # of the point from the bits


@dataclass(frozen=True)
class StreamType:
    """Type of the elements of a stream.

    Attributes
    ----------
    text : str
        The type as C++ spells it, for numpy's float32 and float64 "float" and "double".
    kind : str
        "fixed", "int" or "float".
    width : int
        Bits.
    fraction : int
        Bits behind the point; negative where the last bits before it are missing, 0 for integers.
    signed : bool
    rounding, overflow : str
        What the circuit does with a value that the type does not hold: the modes of ap_fixed, which are AP_TRN and
        AP_WRAP where the text names none.
    """

    text: str
    kind: str
    width: int
    fraction: int = 0
    signed: bool = True
    rounding: str = "AP_TRN"
    overflow: str = "AP_WRAP"

    @cached_property
    def container(self) -> np.dtype:
        """Dtype of an element in memory and on the wires: 8, 16, 32 or 64 bits, extended by the sign or by zeros."""
        if self.kind == "float":
            return np.dtype(f"f{self.width // 8}")
        return fixed_container(self.width, self.signed)

    @property
    def container_bits(self) -> int:
        return 8 * self.container.itemsize

    @cached_property
    def result(self) -> np.dtype:
        """Dtype of results: exact, and no larger than needed. Fixed point of up to 24 bits gives float32."""
        if self.kind != "fixed":
            return self.container
        return np.dtype(np.float32 if self.width <= 24 and abs(self.fraction) <= 100 else np.float64)

    @property
    def step(self) -> float:
        """Value of the last bit; 0 for floats."""
        return 0.0 if self.kind == "float" else 2.0**-self.fraction

    @property
    def integers(self) -> tuple[int, int]:
        """Least and greatest integer of the bits; not for floats."""
        return -(1 << self.width - 1) if self.signed else 0, (1 << self.width - self.signed) - 1

    @property
    def limits(self) -> tuple[Any, Any]:
        """Least and greatest value: ints for integers, floats for the others (exact up to 53 bits)."""
        if self.kind == "float":
            most = float(np.finfo(self.container).max)
            return -most, most
        low, high = self.integers
        if self.kind == "int":
            return low, high
        return float(Fraction(low) / Fraction(2) ** self.fraction), float(Fraction(high) / Fraction(2) ** self.fraction)

    def quantise(self, values: Any) -> np.ndarray:
        """Values as a variable of this type in the circuit holds them, rounded and bent by the type's own modes.

        For twins: `layer = parse_type("ap_fixed<16,6>"); hidden = layer.quantise(x @ weights)`.

        Raises
        ------
        InputError
            What is no array of real numbers, or not finite and no float's.
        """
        try:
            array = np.asarray(values)
            ready = castable(array)
        except (TypeError, ValueError) as error:
            raise InputError(f"{self.text}: {error}") from error
        if self.kind == "float":
            with np.errstate(over="ignore"):
                return ready.astype(self.container).reshape(array.shape)
        raw, refused = to_fixed(ready, self.width, self.fraction, self.signed, self.rounding, self.overflow)
        if refused >= 0:
            raise InputError(f"{self.text}: {array.reshape(-1)[refused]} is no finite number")
        found = raw if self.kind == "int" else from_fixed(raw, self.width, self.fraction, self.signed, self.exact)
        return found.reshape(array.shape)

    @property
    def exact(self) -> np.dtype:
        """Floats for computing on: always float64 for fixed point."""
        return np.dtype(np.float64) if self.kind == "fixed" else self.container


def castable(array: np.ndarray) -> np.ndarray:
    """The array in one of the four dtypes that the C kernel reads, with the same values.

    Raises
    ------
    InputError
        No real numbers, or longer ones than 64 bits.
    """
    array = np.ascontiguousarray(array)
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "b" or (kind in "iu" and (kind, size) != ("u", 8)):
        return array.astype(np.int64, copy=False)
    if kind == "u":
        return array.astype(np.uint64, copy=False)
    if kind == "f" and size <= 8:
        return array.astype(np.float64 if size == 8 else np.float32, copy=False)
    raise InputError(f"dtype {array.dtype}: expected real numbers of up to 64 bits")


def parse_type(text: Any) -> StreamType:
    """The type that a text names.

    Raises
    ------
    DescriptorError
        No such type, or more bits than 64.
    """
    if isinstance(text, StreamType):
        return text
    if not isinstance(text, str):
        raise DescriptorError(f"{text!r} is no type: expected {_EXPECTED}")
    plain = _PLAIN.get(text.strip(), text.strip())
    if plain in ("float32", "float64"):
        return StreamType("float" if plain == "float32" else "double", "float", int(plain[-2:]))
    match = _TEMPLATE.match(plain)
    if match is None:
        raise DescriptorError(f'"{text}" is no type: expected {_EXPECTED}')
    unsigned, kind, inside = match.groups()
    parts = [part.strip() for part in inside.split(",")]
    numbers = [int(part) for part in parts if re.match(r"-?[0-9]{1,4}\Z", part)]
    wanted, most = (2, 4) if kind == "fixed" else (1, 1)
    if len(numbers) != wanted or len(parts) > most or parts[:wanted] != list(map(str, numbers)):
        form = "ap_{}fixed<W,I>" if kind == "fixed" else "ap_{}int<W>"
        raise DescriptorError('"{}" is no type: expected {}, such as {}'.format(
            text, form.format(unsigned), f"ap_{unsigned}fixed<16,6,AP_RND,AP_SAT>" if wanted == 2
            else f"ap_{unsigned}int<12>"))
    width = numbers[0]
    if not 1 <= width <= 64:
        raise DescriptorError(f'"{text}" has {width} bits: expected 1 to 64')
    modes = parts[wanted:]
    for mode, known, what in zip(modes, (_ROUNDINGS, _OVERFLOWS), ("rounding", "overflow")):
        if mode not in known:
            raise DescriptorError('"{}": {} is no mode of {}: expected {}'.format(text, mode, what, ", ".join(known)))
    if kind == "int":
        return StreamType(f"ap_{unsigned}int<{width}>", kind, width, 0, not unsigned)
    if abs(numbers[1]) > _FURTHEST:
        raise DescriptorError(f'"{text}" has {numbers[1]} bits before the point: expected -{_FURTHEST} to {_FURTHEST}')
    spelt = "ap_{}fixed<{}>".format(unsigned, ",".join([str(width), str(numbers[1])] + modes))
    rounding, overflow = (modes + ["AP_TRN", "AP_WRAP"][len(modes):])
    return StreamType(spelt, kind, width, width - numbers[1], not unsigned, rounding, overflow)
