"""The program words of the engine as a table, and an encoder and a decoder made of it alone."""

from __future__ import annotations

from typing import Any, Mapping

__all__ = ["COMMON", "END", "FIELDS", "LAYER", "LENGTH", "LOAD", "POOL", "RESERVED", "STORE", "decode", "encode"]

END, LOAD, STORE, LAYER, POOL = 1, 2, 3, 4, 5
LENGTH = {END: 1, LOAD: 2, STORE: 2, LAYER: 6, POOL: 6}

# name: (word, lowest bit, bits, what the field holds less)
COMMON = {
    "op": (0, 0, 4, 0),
    "first": (0, 4, 1, 0),
    "next": (0, 5, 1, 0),
    "wait_load": (0, 6, 1, 0),
    "wait_store": (0, 7, 1, 0),
    "wait_drain": (0, 8, 1, 0),
}
_BLOCK = {
    "raw": (0, 16, 1, 0),
    "wsh": (0, 17, 1, 0),
    "levels": (0, 18, 4, 1),
    "out_bits": (0, 22, 2, 1),
    "act_bits": (0, 24, 3, 1),
    "weight_bits": (0, 27, 3, 1),
    "stride": (0, 30, 2, 1),
    "beta": (0, 32, 8, 0),
    "pad": (0, 40, 8, 0),
    "safe": (0, 48, 8, 0),
    "n0": (0, 56, 8, 1),
    "in_ptr": (1, 0, 12, 0),
    "in_alt": (1, 12, 12, 0),
    "in_ring": (1, 24, 4, 0),
    "kx": (1, 28, 3, 1),
    "out_ptr": (1, 32, 12, 0),
    "out_alt": (1, 44, 12, 0),
    "out_ring": (1, 56, 4, 0),
    "ky": (1, 60, 3, 1),
    "st_0": (2, 0, 12, 0),
    "st_kx": (2, 12, 12, 0),
    "st_ky": (2, 24, 12, 0),
    "st_plane": (2, 36, 12, 0),
    "st_group": (2, 48, 12, 0),
    "out_sub": (2, 60, 4, 0),
    "st_ox": (3, 0, 12, 0),
    "st_oy": (3, 12, 12, 0),
    "st_out": (3, 24, 12, 0),
    "st_oplane": (3, 36, 12, 0),
    "ox": (3, 48, 8, 1),
    "oy": (3, 56, 8, 1),
    "w_base": (4, 0, 11, 0),
    "wrow": (4, 11, 11, 0),
    "kw": (4, 22, 11, 0),
    "t_base": (4, 33, 9, 0),
    "rgs": (4, 42, 8, 1),
    "groups": (4, 50, 8, 1),
    "ix0": (5, 0, 9, 0),
    "iy0": (5, 9, 9, 0),
    "in_w": (5, 18, 8, 1),
    "in_h": (5, 26, 8, 1),
}
FIELDS = {
    END: COMMON,
    LOAD: {
        **COMMON,
        "target": (0, 16, 2, 0),
        "region": (0, 18, 2, 0),
        "dst": (0, 20, 12, 0),
        "offset": (0, 32, 32, 0),
        "words": (1, 0, 20, 1),
        "alt": (1, 20, 12, 0),
        "ring": (1, 32, 4, 0),
    },
    STORE: {
        **COMMON,
        "region": (0, 18, 2, 0),
        "src": (0, 20, 12, 0),
        "offset": (0, 32, 32, 0),
        "words": (1, 0, 12, 1),
        "alt": (1, 20, 12, 0),
        "ring": (1, 32, 4, 0),
    },
    LAYER: {**COMMON, **_BLOCK},
    POOL: {**COMMON, **_BLOCK},
}
# (word, lowest bit, bits) that must be 0.
_OF_BLOCK = [(1, 31, 1), (1, 63, 1), (4, 58, 6), (5, 34, 30)]
RESERVED = {
    END: [(0, 9, 7)],
    LOAD: [(0, 9, 7), (1, 36, 28)],
    STORE: [(0, 9, 7), (0, 16, 2), (1, 12, 8), (1, 36, 28)],
    LAYER: [(0, 9, 7), *_OF_BLOCK],
    POOL: [(0, 9, 7), *_OF_BLOCK],
}


def encode(op: int, **values: int) -> list[int]:
    """Words of an instruction; counts are given as counts, what is not given is the least. Pointers and steps wrap."""
    table = FIELDS[op]
    unknown = set(values) - set(table)
    if unknown:
        raise KeyError(f"op {op} has no {sorted(unknown)}")
    words = [0] * LENGTH[op]
    for name, (word, low, bits, less) in table.items():
        value = op if name == "op" else int(values.get(name, less))
        held = value - less
        if less or name in ("safe", "region", "target", "ring", "offset"):
            assert 0 <= held < 1 << bits, (name, value)
        words[word] |= (held & ((1 << bits) - 1)) << low
    return words


def decode(words: Any) -> Mapping[str, int]:
    """Fields of an instruction of a known op, counts as counts."""
    table = FIELDS[int(words[0]) & 15]
    return {
        name: ((int(words[word]) >> low) & ((1 << bits) - 1)) + less for name, (word, low, bits, less) in table.items()
    }
