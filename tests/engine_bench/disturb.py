"""Runs that are broken off by abort, soft reset at any cycle or errors of memory; then a right one."""

from __future__ import annotations

from typing import Any

import numpy as np

from .cases import Case
from .oracle import AXI_READ, AXI_WRITE, Memory, Oracle
from .play import Played, Player, Registers, outside_writes

__all__ = ["KINDS", "disturb"]

KINDS = ("abort", "soft reset", "read error", "write error")
QUIET = 2000  # cycles in which an abort brings the circuit to idle
R = Registers


def disturb(player: Player, case: Case, kind: str, rng: np.random.Generator, cycle: float = 1e-8) -> Played:
    """Break off one of the runs of a case, look at what it leaves, and play the whole case.

    Parameters
    ----------
    player : Player
    case : Case
    kind : str
        One of KINDS; the errors need a board with `tell`.
    rng : numpy.random.Generator
    cycle : float
        Seconds of a cycle on the board's clock.
    """
    buffer, origin, words = player.allocate(len(case.memory))
    differences: list[str] = []
    with buffer:
        words[:] = case.memory
        buffer.flush()
        memory, oracle = Memory(origin, case.memory.copy()), Oracle(*case.config)
        chosen = int(rng.integers(len(case.runs)))
        for number, run in enumerate(case.runs[: chosen + 1]):
            absolute = tuple(region._replace(base=origin + region.base) for region in run.regions)
            before = Memory(origin, memory.words.copy())
            outcome = oracle.run(run.program, run.groups, absolute, memory)
            if number < chosen:
                player.start(run, origin)
                player.wait()
                continue
            name = f"{kind} in {run.name}"
            if kind.endswith("error"):
                bursts = outcome.read_bursts if kind == "read error" else outcome.write_bursts
                if not bursts:
                    break
                after = int(rng.integers(bursts))
                player.board.tell(kind.split()[0], ("SLVERR", "DECERR")[int(rng.integers(2))], after=after)
                regions = player.start(run, origin)
                status = player.wait()
                expected = R.IS_ERROR | (AXI_READ if kind == "read error" else AXI_WRITE) << 8
                if status & 0xFFFF != expected:
                    differences.append(f"{name}, burst {after} of {bursts}: status {status:#x}, expected {expected:#x}")
            else:
                length = max(50, outcome.fed + 16 * (outcome.read_bursts + outcome.write_bursts))
                at = int(rng.integers(length))
                regions = player.start(run, origin)
                player.board.clock.sleep(at * cycle)
                ended = player.read(R.STATUS) & (R.IS_DONE | R.IS_ERROR)
                begun = player.board.clock.now()
                player.write(R.CONTROL, R.ABORT if kind == "abort" else R.RESET)
                status = player.read(R.STATUS)
                while status & R.IS_BUSY and player.board.clock.now() < begun + 2 * QUIET * cycle:
                    player.board.clock.sleep(20 * cycle)
                    status = player.read(R.STATUS)
                took = (player.board.clock.now() - begun) / cycle
                if status & R.IS_BUSY or took > QUIET:
                    differences.append(f"{name} after {at} cycles: status {status:#x} {took:.0f} cycles later")
                elif kind == "abort" and not ended and status & 0xE not in (R.IS_ABORTED, R.IS_DONE):
                    differences.append(f"{name} after {at} cycles: status {status:#x}")
                elif kind == "soft reset":
                    differences += _not_reset(player, name)
            buffer.invalidate()
            differences += outside_writes(name, regions, before, words)
            traffic: Any = getattr(player.board, "traffic", None)
            if traffic is not None and (traffic.reading or traffic.writing):
                differences.append(f"{name}: {traffic.reading} reads and {traffic.writing} writes in flight when idle")
    if differences:
        return Played(0, differences, [], 0)
    return player.play(case)


def _not_reset(player: Player, name: str) -> list[str]:
    """Registers that a soft reset left as they were."""
    expected = {
        R.STATUS: 0,
        R.SCRATCH: 0,
        R.IRQ_ENABLE: 0,
        R.IRQ_STATUS: 0,
        R.GROUPS: 0,
        R.PICTURES: 0,
        R.WATCHDOG: R.PATIENCE,
        R.CYCLES: 0,
        R.BUSY: 0,
        R.WAIT_LOAD: 0,
        R.WAIT_STORE: 0,
        R.WAIT_DRAIN: 0,
    }
    expected.update({R.REGIONS + 16 * region + 4 * place: 0 for region in range(4) for place in range(3)})
    found = {offset: player.read(offset) for offset in expected}
    return [
        f"{name}: register {offset:#x} is {found[offset]:#x}, expected {value:#x}"
        for offset, value in expected.items()
        if found[offset] != value
    ]
