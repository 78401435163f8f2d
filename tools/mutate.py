"""Mutations of bytes and of JSON documents, by a seeded random number generator."""

from __future__ import annotations

import copy
import json
import random
from typing import Any, Sequence

from bombs import swell

__all__ = ["mutate", "mutate_json"]

_SWOLLEN = 0.003

_NUMBERS = (0, 1, 2, 7, 8, 31, 32, 63, 64, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 1 << 24, (1 << 31) - 1, 1 << 31,
            (1 << 32) - 1, (1 << 63) - 1, (1 << 64) - 1)
_VALUES: tuple[Any, ...] = (
    None, True, False, "", "x", "\0", "../../etc/passwd", "/dev/zero", "a" * 5000, "\ud800", "é", "{}", "%s", "1e999",
    0, -1, 1, 0.5, -0.0, 1e308, 2**31, 2**63, 2**64, 10**400, [], {}, [[]], {"": None}, [1, 2, 3], ["x"] * 100,
)


def mutate(dice: random.Random, seeds: Sequence[bytes], text: bool) -> bytes:
    """One of the seeds, changed in one to eight ways."""
    data = dice.choice(seeds)
    if not text and dice.random() < _SWOLLEN:
        swollen = swell(dice, data)
        if swollen is not None:
            return swollen
    if text and dice.random() < 0.6:
        try:
            return mutate_json(dice, data)
        except (ValueError, OverflowError, RecursionError):
            pass
    changed = bytearray(data)
    for _ in range(1 << dice.randrange(4)):
        _change(dice, changed, seeds)
    return bytes(changed)


def _change(dice: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    how = dice.randrange(9)
    at = dice.randrange(len(data) + 1)
    if dice.random() < 0.3:
        at = min(at, dice.randrange(1, 129))  # headers are in front
    if how == 0 and at < len(data):
        data[at] ^= 1 << dice.randrange(8)
    elif how == 1 and at < len(data):
        data[at] = dice.randrange(256)
    elif how == 2:
        number = dice.choice(_NUMBERS)
        size = dice.choice((1, 2, 4, 8))
        data[at:at + size] = (number & (1 << 8 * size) - 1).to_bytes(size, dice.choice(("little", "big")))
    elif how == 3:
        del data[at:at + dice.choice((1, 2, 4, 8, 64))]
    elif how == 4:
        data[at:at] = bytes(dice.randrange(256) for _ in range(dice.choice((1, 2, 4, 16))))
    elif how == 5:
        del data[at:]
    elif how == 6:
        data[at:at] = data[at:at + dice.choice((1, 4, 16, 256))] * dice.choice((1, 2, 50))
    elif how == 7:
        other = dice.choice(seeds)
        start = dice.randrange(len(other) + 1)
        data[at:at + dice.randrange(64)] = other[start:start + dice.randrange(64)]
    elif data:
        data[at:at] = str(dice.choice(_NUMBERS)).encode()


def mutate_json(dice: random.Random, data: bytes) -> bytes:
    """A document with some of its values replaced, dropped, doubled or nested."""
    document = json.loads(data.decode("utf-8-sig"))
    if dice.random() < _SWOLLEN:
        lists = [(holder, key) for holder, key in _places(document) if isinstance(holder[key], list)]
        if lists:
            holder, key = dice.choice(lists)
            count = dice.choice((65, 5000, 300000))
            first = holder[key][0] if holder[key] else "x"
            holder[key] = [first] * min(count, (4 << 20) // (2 + len(json.dumps(first)))) if dice.random() < 0.5 else [
                f"x{number}" for number in range(count)]
    for _ in range(1 << dice.randrange(3)):
        places = list(_places(document))
        if not places or len(places) > 5000:
            break
        holder, key = dice.choice(places)
        how, value = dice.randrange(8), copy.deepcopy(dice.choice(_VALUES))
        if how < 3:
            holder[key] = value
        elif how == 3:
            del holder[key]
        elif how == 4 and isinstance(holder[key], (int, float)) and not isinstance(holder[key], bool):
            holder[key] = holder[key] + dice.choice((-1, 1)) if dice.random() < 0.5 else -holder[key]
        elif how == 5:
            other_holder, other_key = dice.choice(places)
            holder[key] = json.loads(json.dumps(other_holder[other_key])) if _has(other_holder, other_key) else value
        elif how == 6:
            holder[key] = [holder[key]] * (dice.choice((1, 2, 40)) if len(places) < 300 else 1)
        elif isinstance(holder, dict):
            holder[dice.choice(("", "name", "x", "format", "layers"))] = value
        else:
            holder.insert(key, value)
    found = json.dumps(document, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")
    if dice.random() < 0.02:
        return b"[" * 5000 + found
    return found


def _has(holder: Any, key: Any) -> bool:
    return key in holder if isinstance(holder, dict) else key < len(holder)


def _places(value: Any) -> Any:
    if isinstance(value, dict):
        keys: Any = list(value)
    elif isinstance(value, list):
        keys = range(len(value))
    else:
        return
    for key in keys:
        yield value, key
        yield from _places(value[key])
