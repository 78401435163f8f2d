"""From a case that shows a difference to a smaller one that still does, and both in words."""

from __future__ import annotations

from typing import Callable

from .cases import Case, words_of
from .fields import END, FIELDS, LAYER, LOAD, POOL, STORE

__all__ = ["describe", "shrink"]

_NAMES = {END: "END", LOAD: "LOAD", STORE: "STORE", LAYER: "LAYER", POOL: "POOL"}
_FLAGS = ("wait_load", "wait_store", "wait_drain")
_COUNTS = ("oy", "ox", "groups", "rgs", "ky", "kx", "n0", "weight_bits", "act_bits", "levels", "words")
_ZEROS = (
    "wsh",
    "beta",
    "pad",
    "out_sub",
    "in_alt",
    "out_alt",
    "alt",
    "ix0",
    "iy0",
    "st_group",
    "st_oy",
    "st_ox",
    "st_ky",
    "st_kx",
    "st_0",
    "st_plane",
    "st_out",
    "st_oplane",
    "kw",
    "wrow",
    "first",
    "next",
    *_FLAGS,
)


def describe(case: Case) -> str:
    """The program of the run in the middle, an instruction a line; what is least is left out."""
    lines = [
        f"case {case.seed} ({case.kind}), P={case.config.P} V={case.config.V} blocks={case.config.blocks}, "
        f"{case.runs[1].groups} groups"
    ]
    for f in case.program:
        table = FIELDS[f["op"]]
        lines.append(
            "  "
            + _NAMES[f["op"]]
            + "".join(
                f" {name}={value}"
                for name, value in f.items()
                if name in table and name != "op" and value != table[name][3]
            )
        )
    return "\n".join(lines)


def _with(case: Case, program: list[dict], groups: int | None = None) -> Case:
    run = case.runs[1]._replace(program=words_of(program), groups=groups or case.runs[1].groups)
    return case._replace(program=program, runs=(case.runs[0], run, *case.runs[2:]))


def shrink(case: Case, fails: Callable[[Case], bool], tries: int = 400) -> Case:
    """Leave out and lessen what the difference does not need. Waits stay: what had to wait still does."""

    def better(candidate: Case) -> bool:
        nonlocal case, tries
        tries -= 1
        if tries >= 0 and fails(candidate):
            case = candidate
            return True
        return False

    while case.runs[1].groups > 1 and better(_with(case, case.program, case.runs[1].groups - 1)):
        pass
    at = 0
    while at < len(case.program) - 1:
        program = [dict(f) for f in case.program]
        gone = program.pop(at)
        for flag in _FLAGS:  # what comes after waits for it
            if gone.get(flag):
                program[at][flag] = 1
        if not better(_with(case, program)):
            at += 1
    for at in range(len(case.program) - 1):
        for name in _COUNTS:
            while case.program[at].get(name, 1) > 1:
                program = [dict(f) for f in case.program]
                program[at][name] = program[at][name] // 2
                if program[at]["op"] == POOL and name == "n0":
                    program[at]["out_bits"] = program[at]["n0"]
                if not better(_with(case, program)):
                    break
        for name in _ZEROS:
            if case.program[at].get(name, 0):
                program = [dict(f) for f in case.program]
                program[at][name] = 0
                better(_with(case, program))
    return case
