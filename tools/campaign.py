#!/usr/bin/env python3
"""Faults by the thousand: what reaches a user of the emulated board under each policy.

usage: tools/campaign.py --faults 10000 --seed 1            the campaign; the table of docs/reliability.md
       tools/campaign.py --only 1234 --seed 1               one trial again, in words
       tools/campaign.py --canary 10000                     single weight bits turned round: does the canary see it?
       tools/campaign.py ... --write docs/reliability.md    put the table between the markers of that file

Three of four trials have one fault, the others many. Ends with 1 where something is lost, doubled, hangs, leaks or
crashes, or where "strict" hands out a wrong result. With --state FILE a campaign that was broken off goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any, Callable, Sequence

from fault_trials import CASES, EVERY, INPUTS, POLICIES, SILENT, clean_reaches, make_case, run_trial

from qnn_pynq import Classifier
from qnn_pynq.faults import KINDS

__all__ = ["Campaign", "main", "progress_bar", "write_between"]

NEVER = ("lost", "doubled", "hangs", "leaks", "crashes", "unexplained", "miscounted")
MARKERS = "<!-- measured: {} -->", "<!-- end of measured: {} -->"
_SAVE = 100  # trials


class Campaign:
    """Trials from number 0 on, and what came of them.

    Attributes
    ----------
    tallies : dict of (policy, family) to Counter
        Sums over trials; "fault KIND", and of trials with one fault "one KIND", "reached KIND" (a wrong result was
        handed out), "error KIND" (a call ended in an error).
    failures : list of (trial, text)
        What must not be.
    """

    def __init__(self, seed: int, cases: Sequence[str] = CASES, policies: Sequence[str] = tuple(POLICIES),
                 make: Callable[..., Any] = Classifier) -> None:
        self.seed, self.policies, self.make = seed, tuple(policies), make
        self.cases = [make_case(name) for name in cases]
        self.reaches = dict(clean_reaches(self.cases))
        self.number = self.faults = 0
        self.seconds = 0.0
        self.tallies: dict[tuple[str, str], Counter[str]] = {}
        self.recovering: dict[str, list[float]] = {}
        self.failures: list[tuple[int, str]] = []

    def step(self, number: int | None = None) -> Any:
        """One more trial, or that of a number."""
        trial = run_trial(self.cases, self.seed, self.number if number is None else number, self.policies, self.reaches,
                          self.make)
        if number is not None:
            return trial
        family = trial.case.family
        tally = self.tallies.setdefault((trial.policy, family), Counter())
        tally["trials"] += 1
        tally.update(trial.count)
        for kind, count in trial.plan.counts.items():
            tally["fault " + kind] += count
            self.faults += count
            if not trial.count["storms"]:
                tally["one " + kind] += 1
                tally["reached " + kind] += trial.count["wrong"] > 0
                tally["unnamed " + kind] += trial.count["wrong"] > trial.count["in doubt"]
                tally["error " + kind] += trial.count["errors"] > 0
        if trial.count["recoveries"] and not trial.count["storms"]:
            self.recovering.setdefault(trial.policy + "/" + family, []).append(trial.seconds)
        self.failures += [(self.number, note) for note in trial.notes]
        if trial.policy.startswith("strict") and trial.policy != "strict, again" and trial.count["wrong"]:
            self.failures.append((self.number, "wrong under strict: {}".format(trial.count["wrong"])))
        self.number += 1
        return trial

    def run(self, faults: int, state: Path | None = None, tell: Callable[[int], None] = lambda count: None) -> None:
        """Trials until so many faults have injected."""
        begun, before = time.perf_counter(), self.seconds
        while self.faults < faults:
            tell(self.faults)
            self.step()
            self.seconds = before + time.perf_counter() - begun
            if state is not None and self.number % _SAVE == 0:
                self.save(state)
        if state is not None:
            self.save(state)

    # -- state --------------------------------------------------------------------------------------------

    def _key(self) -> list[Any]:
        return [self.seed, [case.name for case in self.cases], list(self.policies)]

    def save(self, path: Path) -> None:
        """Whole or not at all."""
        partial = path.with_name(path.name + ".part")
        partial.write_text(json.dumps({
            "key": self._key(), "number": self.number, "faults": self.faults, "seconds": self.seconds,
            "tallies": [[list(key), dict(tally)] for key, tally in self.tallies.items()],
            "recovering": self.recovering, "failures": self.failures,
        }))
        os.replace(str(partial), str(path))

    def load(self, path: Path) -> None:
        """Go on where a campaign of the same seed, cases and policies was broken off."""
        kept = json.loads(path.read_text())
        if kept["key"] != self._key():
            raise SystemExit("{}: of another campaign, {}; delete it or name another".format(path, kept["key"]))
        self.number, self.faults, self.seconds = kept["number"], kept["faults"], kept["seconds"]
        self.tallies = {(key[0], key[1]): Counter(tally) for key, tally in kept["tallies"]}
        self.recovering = kept["recovering"]
        self.failures = [(number, text) for number, text in kept["failures"]]

    # -- tables -------------------------------------------------------------------------------------------

    def _sum(self, policy: str, family: str = "") -> Counter[str]:
        total: Counter[str] = Counter()
        for (name, kind), tally in self.tallies.items():
            if name == policy and family in ("", kind):
                total.update(tally)
        return total

    def tables(self) -> str:
        """Markdown."""
        total = sum((self._sum(policy) for policy in self.policies), Counter())
        lines = [
            "{:,} faults in {:,} trials ({:,} with one fault, {:,} with many), {:,} pictures, seed {}; {:.0f} s by the "
            "wall ({}). {} pictures a trial, in batches of 1 to 20 or as a stream; `canary` and `reload` every {} "
            "pictures.".format(self.faults, self.number, self.number - total["storms"], total["storms"],
                               total["inputs"], self.seed, self.seconds, platform.machine(), INPUTS, EVERY),
            "",
            "| policy | family | faults | results | errors | lost | doubled | hangs | leaks | crashes | wrong results "
            "handed out | of these named as unverified | escape rate | recovery, median |",
            "|---" * 14 + "|",
        ]
        for policy in self.policies:
            for family in sorted({key[1] for key in self.tallies}):
                tally = self._sum(policy, family)
                silent = sum(tally["one " + kind] for kind in SILENT)
                reached = sum(tally["unnamed " + kind] for kind in SILENT)
                seconds = [value for value in self.recovering.get(policy + "/" + family, []) if value == value]
                lines.append("| {} |".format(" | ".join([
                    policy, family, *(f"{n:,}" for n in (
                        sum(tally["fault " + kind] for kind in KINDS), tally["results"], tally["errors"],
                        tally["lost"], tally["doubled"], tally["hangs"], tally["leaks"], tally["crashes"],
                        tally["wrong"], tally["in doubt"])),
                    _rate(reached, silent), f"{1e3 * median(seconds):.3g} ms" if seconds else "",
                ])))
        lines += ["", "Escape rate: part of the single silent faults ({}) after which a wrong result was handed out "
                  "and not named as unverified afterwards. Of single faults of each kind, the part after which a wrong "
                  "result was handed out, named or not:".format(", ".join(SILENT)), ""]
        lines += self._by_kind("reached ")
        lines += ["", "And the part after which a call ended in an error; the others did no harm, or the user noticed "
                  "nothing of the recovery:", ""]
        lines += self._by_kind("error ")
        return "\n".join(lines) + "\n"

    def _by_kind(self, what: str) -> list[str]:
        lines = ["| fault | " + " | ".join(self.policies) + " |", "|---" * (1 + len(self.policies)) + "|"]
        for kind in KINDS:
            cells = [_rate(tally[what + kind], tally["one " + kind]) for tally in map(self._sum, self.policies)]
            lines.append("| {} | {} |".format(kind, " | ".join(cells)))
        return lines

    def verdict(self) -> list[str]:
        """What must not be, in words; empty if all is well."""
        return [f"trial {number}: {text}" for number, text in self.failures]


def _rate(hit: int, of: int) -> str:
    return f"{100 * hit / of:.1f} % of {of:,}" if of else ""


def write_between(path: Path, name: str, text: str) -> None:
    """Replace what is between the markers of `name` in a file."""
    begin, end = (marker.format(name) for marker in MARKERS)
    old = path.read_text(encoding="utf-8")
    between = re.escape(begin) + ".*?" + re.escape(end)
    new, count = re.subn(between, lambda _: f"{begin}\n\n{text}\n{end}", old, flags=re.S)
    if count != 1:
        raise SystemExit(f"{path}: expected {begin} and {end} once")
    path.write_text(new, encoding="utf-8")


def progress_bar(total: int, unit: str) -> Callable[[int], None]:
    """A progress bar where tqdm is there and somebody looks."""
    if not sys.stderr.isatty():
        return lambda count: None
    try:
        from tqdm import tqdm
    except ImportError:
        return lambda count: None
    bar = tqdm(total=total, unit=unit)

    def tell(count: int) -> None:
        bar.update(count - bar.n)

    return tell


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--policies", default=";".join(POLICIES), help="separated by semicolons")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--state", type=Path)
    parser.add_argument("--only", type=int, metavar="TRIAL")
    parser.add_argument("--canary", type=int, metavar="FLIPS", help="flips for each network")
    parser.add_argument("--write", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    if options.canary:
        from canary_flips import canary_table

        text = canary_table(options.canary, options.seed, progress_bar)
        print(text)
        if options.write:
            write_between(options.write, "canary", text)
        return 0
    campaign = Campaign(options.seed, options.cases.split(","), options.policies.split(";"))
    if options.only is not None:
        trial = campaign.step(options.only)
        print(trial.case.name, trial.mode, trial.policy, *trial.plan.injected, dict(trial.count), *trial.notes,
              sep="\n")
        return int(bool(trial.notes))
    if options.state and options.state.exists():
        campaign.load(options.state)
    campaign.run(options.faults, options.state, progress_bar(options.faults, "fault"))
    text = campaign.tables()
    print(text)
    if options.write:
        write_between(options.write, "campaign", text)
    for line in campaign.verdict()[:50]:
        print(line, file=sys.stderr)
    return int(bool(campaign.failures))


if __name__ == "__main__":
    sys.exit(main())
