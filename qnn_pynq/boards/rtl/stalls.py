"""How late and how unsteady the memory behind a simulated circuit is."""
from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Mapping

from ...errors import InputError

__all__ = ["Stalls", "read_stalls"]

_LONGEST = 1_000_000  # cycles
_HIGHEST = 0.99  # of a chance: at 1 nothing would ever move
_MOST_AHEAD = 64


@dataclass(frozen=True)
class Stalls:
    """What the memory and the processor's port do to a circuit that waits for them.

    Attributes
    ----------
    latency : int
        Cycles from a burst's address to its first word, and from the last word of a write to its answer.
    jitter : int
        Up to so many cycles more, drawn for each burst.
    gap : float
        Chance, each cycle, that a word or an answer that is due does not come yet.
    busy : float
        Chance, each cycle and line, that an address or a word is not taken yet.
    outstanding : int
        Bursts of a direction that the memory takes ahead.
    registers : int
        Up to so many cycles before the address, the data and the end of a register access.
    """

    latency: int = 24
    jitter: int = 0
    gap: float = 0.0
    busy: float = 0.0
    outstanding: int = 8
    registers: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (("latency", 0, _LONGEST), ("jitter", 0, _LONGEST), ("outstanding", 1, _MOST_AHEAD),
                                ("registers", 0, _LONGEST)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise InputError(f"stalls: {name} {value!r}: expected a whole number of {low} to {high}")
        for name in ("gap", "busy"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _HIGHEST:
                raise InputError(f"stalls: {name} {value!r}: expected a chance of 0 to {_HIGHEST}")


_NAMED = {
    "steady": Stalls(),
    "rough": Stalls(jitter=40, gap=0.25, busy=0.25, outstanding=4, registers=6),
    "hostile": Stalls(latency=0, jitter=400, gap=0.6, busy=0.6, outstanding=1, registers=30),
}


def read_stalls(given: Any) -> Stalls:
    """Stalls by name ("steady", "rough", "hostile"), by fields, or as they are.

    Raises
    ------
    InputError
        Another name, an unknown field, or a value out of range.
    """
    if isinstance(given, Stalls):
        return given
    if isinstance(given, str) and given in _NAMED:
        return _NAMED[given]
    known = [field.name for field in fields(Stalls)]
    if isinstance(given, Mapping):
        unknown = [str(name) for name in given if name not in known]
        if not unknown:
            return Stalls(**given)
        raise InputError(f"stalls: no field {', '.join(unknown)}: expected some of {', '.join(known)}")
    raise InputError(f"stalls {given!r}: expected {', '.join(map(repr, _NAMED))}, or a mapping of {', '.join(known)}")
