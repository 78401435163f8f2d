#!/usr/bin/env python3
"""Hours of streaming on the emulated board while it goes wrong at random: flat memory, stated rate, nothing lost.

usage: tools/soak.py --minutes 60 [--policy strict] [--rate 0.01] [--seed 1] [--write docs/reliability.md]

One dense and one convolutional classifier stay open all the time and stream in turns; every few streams another network
is loaded. Ends with 1 where memory grows by more than --bound MB from the first quarter to the last, threads or
open files grow at all, a result is lost, doubled or out of order, or (policy strict) wrong.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import resource
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any, Callable, NamedTuple, Sequence

import numpy as np
from campaign import progress_bar, write_between
from fault_trials import SILENT, Case, Stuck, Watchdog, make_case

from qnn_pynq import Classifier
from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.errors import QnnError
from qnn_pynq.faults import KINDS, FaultPlan
from qnn_pynq.reliability.policy import Policy

__all__ = ["Soak", "main"]

CASES = (("lfc-w1a1-mnist", "lfc-w1a1-fashion-mnist"), ("dorefa-w1a2-cifar10", "small convolutional"))
BATCH = 16
_STREAMS = 20  # of one network, before the other is loaded
_EVERY = 2.0  # seconds between looks at the memory
_LOADS = 200
_WALL = 300.0  # seconds for one stream


class Sample(NamedTuple):
    """Of the process."""

    seconds: float
    megabytes: float
    threads: int
    files: int
    pictures: int


class Desk:
    """One classifier on its own bad board, and the networks that it takes turns with."""

    def __init__(self, names: Sequence[str], plan: FaultPlan, policy: Policy, make: Callable[..., Any]) -> None:
        self.cases = [make_case(name) for name in names]
        self.plan = plan
        self.board = EmulatedBoard(faults=plan)
        self.count: Counter[str] = Counter()
        self._turn = 0
        plan.active = False
        first = self.cases[0]
        self.classifier = make(first.network, board=self.board, overlay=first.overlay, policy=policy)
        plan.active = True

    @property
    def case(self) -> Case:
        return self.cases[self._turn // _STREAMS % len(self.cases)]

    def stream(self) -> None:
        """All pictures of a case once; after an error a stream of the rest."""
        case, done = self.case, 0
        if self._turn % _STREAMS == 0 or self.classifier.engine.state == "failed":
            self._load()
        self._turn += 1
        while done < len(case.rows):
            stream = self.classifier.stream(iter(case.rows[done:]), batch_size=BATCH)
            found: list[np.ndarray] = []
            failed = 0
            try:
                for prediction in stream:
                    found.append(prediction.scores)
            except (QnnError, KeyboardInterrupt):
                failed = min(BATCH, len(case.rows) - done - len(found))
                self.count["errors"] += failed
            stream.close()
            if not failed and len(found) != len(case.rows) - done:
                self.count["lost or doubled"] += 1
                break
            right = case.scores[done:done + len(found)]
            wrong = int((~np.isclose(np.reshape(found, right.shape), right, rtol=1e-5).all(axis=1)).sum())
            self.count["results"] += len(found)
            self.count["wrong"] += wrong
            if wrong and not any(self.plan.counts[kind] for kind in SILENT):
                self.count["unexplained"] += wrong
            done += len(found) + failed
            if failed and self.classifier.engine.state == "failed":
                self._load()

    def _load(self) -> None:
        for _ in range(_LOADS):
            try:
                self.classifier.load(self.case.network)
                return
            except (QnnError, KeyboardInterrupt):
                self.count["loads failed"] += 1
        raise Stuck(f"{_LOADS} loads, and no network")

    def close(self) -> None:
        """Nothing of the board's memory may be left."""
        self.plan.active = False
        self.classifier.close()
        if self.board.memory.used:
            self.count["leaks"] += 1
        self.board.close()


class Soak:
    """Streams until the time is over.

    Attributes
    ----------
    samples : list of Sample
    """

    def __init__(self, policy: str = "strict", rate: float = 0.01, seed: int = 1, kinds: Sequence[str] = KINDS,
                 make: Callable[..., Any] = Classifier, cases: Sequence[Sequence[str]] = CASES) -> None:
        self.policy, self.rate, self.seed = policy, rate, seed
        self.desks = [Desk(names, FaultPlan(seed + number, rate, kinds), Policy(policy), make)
                      for number, names in enumerate(cases)]
        self.samples: list[Sample] = []

    def run(self, seconds: float, tell: Callable[[int], None] = lambda count: None, rounds: float = math.inf) -> None:
        """So many seconds of the machine, or rounds of one stream each."""
        begun, done = time.perf_counter(), 0
        while True:
            done += 1
            for desk in self.desks:
                with Watchdog(_WALL):
                    desk.stream()
            now = time.perf_counter() - begun
            if not self.samples or now - self.samples[-1].seconds >= _EVERY or done >= rounds:
                self._sample(now)
                tell(int(now))
            if now >= seconds or done >= rounds:
                break
        for desk in self.desks:
            desk.close()

    def _sample(self, now: float) -> None:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.samples.append(Sample(now, pages * resource.getpagesize() / 2**20, threading.active_count(),
                                   len(os.listdir("/proc/self/fd")), self.total["results"]))

    @property
    def total(self) -> Counter[str]:
        """Counts of both classifiers."""
        return sum((desk.count for desk in self.desks), Counter())

    def quarters(self) -> list[list[Sample]]:
        """The samples in four parts."""
        cuts = [len(self.samples) * part // 4 for part in range(5)]
        return [self.samples[a:b] or self.samples[-1:] for a, b in zip(cuts, cuts[1:])]

    def growth(self) -> float:
        """MB, medians of the last and the first quarter."""
        quarters = self.quarters()
        return median(s.megabytes for s in quarters[3]) - median(s.megabytes for s in quarters[0])

    def verdict(self, bound: float) -> list[str]:
        """What must not be; empty if all is well."""
        total, quarters = self.total, self.quarters()
        never = ("lost or doubled", "unexplained", "leaks")
        found = [f"{what}: {total[what]}" for what in never if total[what]]
        if self.policy == "strict" and total["wrong"]:
            found.append("wrong under strict: {}".format(total["wrong"]))
        if self.growth() > bound:
            found.append(f"memory grew by {self.growth():.1f} MB, more than {bound:g}")
        for what in ("threads", "files"):
            least = [min(getattr(sample, what) for sample in quarter) for quarter in (quarters[0], quarters[3])]
            if least[1] > least[0]:
                found.append("{}: {} in the first quarter, {} in the last".format(what, *least))
        return found

    def table(self, bound: float) -> str:
        """Markdown."""
        total, last = self.total, self.samples[-1]
        faults = sum(sum(desk.plan.counts.values()) for desk in self.desks)
        recoveries = sum(desk.classifier.recovery.recoveries for desk in self.desks)
        lines = ["{:.1f} minutes, policy `{}`, a fault at {:g} % of the opportunities, seed {}: {:,} pictures "
                 "answered, {:,} ended in an error, {} wrong; {:,} faults, {:,} recoveries; {:.0f} pictures a second. "
                 "Memory grew by {:.1f} MB from the first quarter to the last (bound: {:g} MB).".format(
                     last.seconds / 60, self.policy, 100 * self.rate, self.seed, total["results"], total["errors"],
                     total["wrong"], faults, recoveries, last.pictures / last.seconds, self.growth(), bound), "",
                 "| after | memory | threads | open files | pictures a second |", "|---" * 5 + "|"]
        before = Sample(0, 0, 0, 0, 0)
        for at in sorted({len(self.samples) * part // 8 for part in range(8)} | {len(self.samples) - 1}):
            s = self.samples[at]
            rate = (s.pictures - before.pictures) / max(1e-9, s.seconds - before.seconds)
            lines.append(f"| {s.seconds / 60:.1f} min | {s.megabytes:.1f} MB | {s.threads} | {s.files} | {rate:.0f} |")
            before = s
        return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--policy", default="strict")
    parser.add_argument("--rate", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bound", type=float, default=8.0, metavar="MB")
    parser.add_argument("--write", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    soak = Soak(options.policy, options.rate, options.seed)
    soak.run(60 * options.minutes, progress_bar(int(60 * options.minutes), "s"))
    text = soak.table(options.bound)
    print(text)
    if options.write:
        write_between(options.write, "soak", text)
    found = soak.verdict(options.bound)
    print(*found, sep="\n", file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
