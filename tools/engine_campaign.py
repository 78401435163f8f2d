#!/usr/bin/env python3
"""Random programs of the engine by the thousand: the emulated or the simulated board against an oracle in plain numpy.

usage: tools/engine_campaign.py --board emulated --cases 700 --seed 1    right programs; a table
       tools/engine_campaign.py --board rtl --cases 700           and how far the twin's cycles are from the circuit's
       tools/engine_campaign.py --board rtl --hostile 300 --disturbed 300      wrong ones; aborts, resets, bus errors
       tools/engine_campaign.py --board rtl --only 1234 --sizes 4x2     one case again, and the least of it that fails
       tools/engine_campaign.py ... --write docs/engine.md            put the table between the markers of that file

Ends with 1 where anything differs from what the oracle says.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple, Sequence

import numpy as np
from campaign import progress_bar, write_between

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from engine_bench.cases import Case, Config, make_case  # noqa: E402
from engine_bench.disturb import KINDS, disturb  # noqa: E402
from engine_bench.hostile import make_hostile  # noqa: E402
from engine_bench.play import Played, Player  # noqa: E402
from engine_bench.shrink import describe, shrink  # noqa: E402
from engine_boards import engine_board  # noqa: E402

__all__ = ["Campaign", "main"]

_BLOCKS = {2: 4, 4: 4, 6: 3, 8: 2}  # blocks of 512 words of a bank, by vectors
_SHOWN = 20


class Trial(NamedTuple):
    """One case on one board. `kind` is a row of the table."""

    seed: int
    kind: str
    layers: int
    played: Played


class Campaign:
    """Cases on engines of several sizes.

    Attributes
    ----------
    tallies : dict of (Config, kind) to Counter
    failures : list of (Config, Trial)
    gaps : dict of Config to list of (cycles of the circuit, cycles of the twin)
    """

    def __init__(self, kind: str, sizes: Sequence[Config], stalls: str = "steady") -> None:
        self.kind, self.sizes, self.stalls = kind, tuple(sizes), stalls
        self.tallies: dict[tuple[Config, str], Counter[str]] = {}
        self.failures: list[tuple[Config, Trial]] = []
        self.gaps: dict[Config, list[tuple[int, int]]] = {size: [] for size in sizes}
        self.seconds = 0.0
        self._players: dict[tuple[str, Config], Player] = {}

    def player(self, size: Config, kind: str | None = None) -> Player:
        """On the board of a kind that has an engine of this size."""
        kind = kind or self.kind
        if (kind, size) not in self._players:
            options: dict[str, Any] = {"stalls": self.stalls} if kind == "rtl" else {}
            self._players[kind, size] = Player(engine_board(kind, size, **options))
        return self._players[kind, size]

    def drop(self, size: Config) -> None:
        """A circuit that went wrong is not played on."""
        self._players.pop((self.kind, size)).board.close()

    def close(self) -> None:
        for player in self._players.values():
            player.board.close()
        self._players = {}

    def right(self, seed: int, size: Config) -> Trial:
        """A right program."""
        case = make_case(seed, size)
        played = self.player(size).play(case)
        if self.kind == "rtl" and self.stalls == "steady" and not played.differences:
            twin = self.player(size, "emulated").play(case)
            if not twin.differences:
                self.gaps[size].append((played.cycles[1], twin.cycles[1]))
        return self._count(size, Trial(seed, case.kind, case.layers, played))

    def hostile(self, seed: int, size: Config) -> Trial:
        """A wrong one."""
        case, code, word = make_hostile(seed, size)
        return self._count(size, Trial(seed, case.kind, case.layers, self.player(size).play(case, code, word)))

    def disturbed(self, seed: int, size: Config) -> Trial:
        """A right one that is broken off, and again undisturbed."""
        kinds = [kind for kind in KINDS if hasattr(self.player(size).board, "tell") or not kind.endswith("error")]
        rng = np.random.default_rng((seed, 99))
        kind = kinds[int(rng.integers(len(kinds)))]
        case = make_case(seed, size)
        return self._count(
            size, Trial(seed, "disturbed: " + kind, case.layers, disturb(self.player(size), case, kind, rng))
        )

    def _count(self, size: Config, trial: Trial) -> Trial:
        tally = self.tallies.setdefault((size, trial.kind), Counter())
        tally.update(
            cases=1,
            layers=trial.layers,
            words=trial.played.words,
            fed=trial.played.fed,
            differences=bool(trial.played.differences),
        )
        if trial.played.differences:
            self.failures.append((size, trial))
            self.drop(size)
        return trial

    def table(self) -> str:
        lines = [
            "| P × V | programs | cases | layers | words fed | words compared | cases with differences |",
            "|---|---|---:|---:|---:|---:|---:|",
        ]
        total: Counter[str] = Counter()
        rows: dict[tuple[Config, str], Counter[str]] = {}
        for (size, kind), tally in sorted(self.tallies.items()):
            row = rows.setdefault((size, kind.partition(": ")[0] if kind.startswith("hostile") else kind), Counter())
            row.update(tally)
            row["ways"] += 1
        for (size, kind), tally in rows.items():
            kind += f", {tally['ways']} ways" if kind == "hostile" else ""
            lines.append(
                "| {} × {} | {} | {:,} | {:,} | {:,} | {:,} | {:,} |".format(
                    size.P, size.V, kind, *(tally[name] for name in ("cases", "layers", "fed", "words", "differences"))
                )
            )
            total.update(tally)
        lines.append(
            "| all | | {:,} | {:,} | {:,} | {:,} | {:,} |".format(
                *(total[name] for name in ("cases", "layers", "fed", "words", "differences"))
            )
        )
        for size, pairs in self.gaps.items():
            if pairs:
                circuit, twin = np.array(pairs, dtype=float).T
                share = (twin - circuit) / circuit
                lines += [
                    "",
                    f"Cycles of the twin against the circuit's, {size.P} × {size.V}, {len(pairs)} runs of "
                    f"{circuit.mean():,.0f} cycles on average: sum {(twin.sum() / circuit.sum() - 1) * 100:+.2f} %, "
                    f"half of the runs within {np.median(np.abs(share)) * 100:.2f} %, all within "
                    f"{np.abs(share).max() * 100:.2f} % ({np.abs(twin - circuit).max():,.0f} cycles).",
                ]
        return "\n".join(lines)


def parse_size(text: str) -> Config:
    """ "32x4": P and V; "32x4x2" with blocks of 512 words."""
    try:
        numbers = [int(part) for part in text.split("x")]
        return Config(*numbers) if len(numbers) == 3 else Config(numbers[0], numbers[1], _BLOCKS[numbers[1]])
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected P x V such as 32x4, V one of {sorted(_BLOCKS)}"
        ) from error


def show_case(campaign: Campaign, seed: int, size: Config) -> int:
    """One case in words, and what is left of it when all that is not needed for a difference is gone."""
    case = make_case(seed, size)
    print(describe(case))
    found = campaign.right(seed, size).played.differences
    print("\n".join(found) or "as the oracle has it")
    if found:

        def fails(candidate: Case) -> bool:
            differences = campaign.player(size).play(candidate).differences
            if differences:
                campaign.drop(size)
            return bool(differences)

        least = shrink(case, fails)
        print("\nthe least that differs:\n" + describe(least))
        print("\n".join(campaign.player(size).play(least).differences))
        print("words " + " ".join(f"{word:#x}" for word in least.runs[1].program))
    return int(bool(found))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--board", choices=("emulated", "rtl"), default="emulated")
    parser.add_argument("--cases", type=int, default=0, help="right programs, for each size")
    parser.add_argument("--hostile", type=int, default=0, help="wrong programs, for each size")
    parser.add_argument("--disturbed", type=int, default=0, help="programs that are broken off, for each size")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--sizes",
        type=parse_size,
        nargs="+",
        default=[Config(4, 2, 4), Config(16, 4, 4), Config(32, 4, 4)],
        metavar="PxV",
    )
    parser.add_argument("--stalls", default="steady", help="of the simulated board: steady, rough or hostile")
    parser.add_argument("--only", type=int, metavar="CASE")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="no new case after that")
    parser.add_argument("--write", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    campaign = Campaign(options.board, options.sizes, options.stalls)
    begun = time.monotonic()
    try:
        if options.only is not None:
            return show_case(campaign, options.only, options.sizes[0])
        kinds = (("right", options.cases), ("hostile", options.hostile), ("disturbed", options.disturbed))
        tell = progress_bar(sum(count for _, count in kinds) * len(options.sizes), "case")
        done = 0
        for number in range(max(count for _, count in kinds)):
            for size in options.sizes:
                for kind, count in kinds:
                    if number >= count or time.monotonic() > begun + 60 * options.minutes:
                        continue
                    trial = getattr(campaign, kind)((options.seed << 24) + number, size)
                    for text in trial.played.differences:
                        if len(campaign.failures) <= _SHOWN:
                            print(f"{size.P}x{size.V} case {trial.seed} ({trial.kind}): {text}", flush=True)
                    done += 1
                    tell(done)
    finally:
        campaign.close()
    text = campaign.table()
    print(text)
    if options.write:
        write_between(options.write, "engine campaign", text)
    print(f"{time.monotonic() - begun:.0f} s")
    return int(bool(campaign.failures))


if __name__ == "__main__":
    sys.exit(main())
