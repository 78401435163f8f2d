#!/usr/bin/env python3
"""Damaged and hostile input for every reader: each case must end in a result or in one of our errors.

usage: tools/fuzz.py --cases 1000000 --seed 1            all targets, by mutations of good files
       tools/fuzz.py --engine atheris --cases 100000     guided by coverage (pip install atheris)
       tools/fuzz.py --only "TARGET" --case 1234         one case again
       tools/fuzz.py ... --write docs/reliability.md     put the table between the markers of that file

Ends with 1 where there is a finding: another exception, more than 2 seconds of the processor (or 10 by the clock), or
more than 200 MB of memory beside what the program had before (400 MB for what is read).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, NamedTuple, Sequence

_ATHERIS = "--child" in sys.argv
if _ATHERIS:
    import atheris

    with atheris.instrument_imports(include=["qnn_pynq"]):
        from fuzz_targets import Target, make_targets, memory_folder
else:
    from fuzz_targets import Target, make_targets, memory_folder

from bombs import MEMORY, SECONDS, reset_peak, used  # noqa: E402
from campaign import progress_bar, write_between  # noqa: E402
from mutate import mutate  # noqa: E402

from qnn_pynq.errors import QnnError  # noqa: E402

__all__ = ["Figures", "fuzz", "main", "try_case"]

_SECONDS = 10.0
_MEMORY = 4 << 30
_FINDINGS = 20  # of a target; more tell nothing new


class Figures(NamedTuple):
    """What came of a target's cases; findings are (case, what, bytes in hexadecimal)."""

    name: str
    cases: int
    read: int
    refused: int
    seconds: float
    findings: list[tuple[int, str, str]]


class _TooLong(BaseException):
    pass


def _ring(*_: Any) -> None:
    raise _TooLong


def _dear(begun: float, memory: int, most: int) -> str:
    """What a case took too much of; "" if nothing."""
    seconds, more = time.process_time() - begun, used() - memory
    if seconds > SECONDS:
        return f"{seconds:.1f} s of the processor: at most {SECONDS:g} are allowed"
    if memory and more > most:
        return f"{more / 1e6:.0f} MB of memory: at most {most / 1e6:.0f} are allowed"
    return ""


def try_case(run: Callable[[bytes], Any], data: bytes, seconds: float = _SECONDS, memory: int = 0) -> str:
    """"" if it was read, "refused", or what is wrong; `memory` is what was used before, by `bombs.reset_peak`."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    begun = time.process_time()
    try:
        run(data)
        return _dear(begun, memory, 2 * MEMORY)
    except QnnError:
        return _dear(begun, memory, MEMORY) or "refused"
    except _TooLong:
        return f"more than {seconds:g} s"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:300]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def fuzz(target: Target, cases: int, seed: int, first: int = 0,
         tell: Callable[[int], None] = lambda count: None) -> Figures:
    """`cases` mutations from number `first` on: the same for the same seed."""
    signal.signal(signal.SIGALRM, _ring)
    begun, read, refused = time.perf_counter(), 0, 0
    findings: list[tuple[int, str, str]] = []
    memory = reset_peak()
    for number in range(first, first + cases):
        data = case(target, seed, number)
        if used() - memory > MEMORY // 4:  # what making the case took
            memory = reset_peak()
        what = try_case(target.run, data, memory=memory)
        if "memory" in what:
            memory = reset_peak()
        if not what:
            read += 1
        elif what == "refused":
            refused += 1
        elif len(findings) < _FINDINGS:
            findings.append((number, what, data[:4096].hex()))
        if number % 256 == 0:
            tell(number - first)
    return Figures(target.name, cases, read, refused, time.perf_counter() - begun, findings)


def case(target: Target, seed: int, number: int) -> bytes:
    """The bytes of a case."""
    place = int(hashlib.sha1(target.name.encode()).hexdigest()[:8], 16)
    return mutate(random.Random(seed << 64 | place << 32 | number), target.seeds, target.text)


def _guided(target: Target, cases: int, seed: int, result: Path, corpus: Path) -> None:
    """In a process of its own, which libFuzzer ends."""
    figures: dict[str, Any] = {"cases": 0, "read": 0, "refused": 0, "findings": []}
    begun = time.perf_counter()
    signal.signal(signal.SIGALRM, _ring)
    for number, data in enumerate(target.seeds):
        (corpus / str(number)).write_bytes(data)

    def one(data: bytes) -> None:
        what = try_case(target.run, data, memory=reset_peak())
        figures["cases"] += 1
        if not what:
            figures["read"] += 1
        elif what == "refused":
            figures["refused"] += 1
        elif len(figures["findings"]) < _FINDINGS:
            figures["findings"].append((figures["cases"], what, data[:4096].hex()))
        if figures["cases"] % 500 == 0 or figures["cases"] >= cases:
            figures["seconds"] = time.perf_counter() - begun
            result.write_text(json.dumps(figures))

    def own(data: bytes, most: int, number: int) -> bytes:
        """Half of the mutations by libFuzzer, half of them ours, which know JSON."""
        dice = random.Random(number)
        if dice.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        return mutate(dice, [data, *target.seeds], target.text)[:most]

    atheris.Setup([sys.argv[0], str(corpus), f"-runs={cases}", f"-seed={seed}", "-max_len=16384",
                   "-verbosity=0", "-timeout=60", "-rss_limit_mb=4096"], one, custom_mutator=own)
    atheris.Fuzz()


def _run_guided(target: Target, cases: int, seed: int) -> Figures:
    with memory_folder() as folder:
        result = Path(folder) / "figures.json"
        (Path(folder) / "corpus").mkdir()
        command = [sys.executable, __file__, "--child", folder, "--only", target.name, "--cases", str(cases)]
        done = subprocess.run(command + ["--seed", str(seed)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False)
        figures = json.loads(result.read_text()) if result.exists() else {
            "cases": 0, "read": 0, "refused": 0, "seconds": 0.0, "findings": []}
        findings = [(number, what, data) for number, what, data in figures["findings"]]
        if done.returncode or figures["cases"] < cases:
            tail = done.stdout.decode("utf-8", "replace")[-500:]
            findings.append((figures["cases"], f"ended with {done.returncode}: {tail}", ""))
        return Figures(target.name, figures["cases"], figures["read"], figures["refused"], figures["seconds"], findings)


def table(figures: Sequence[Figures], engine: str, seed: int) -> str:
    """Markdown."""
    cases, seconds = sum(f.cases for f in figures), sum(f.seconds for f in figures)
    how = "guided by coverage (atheris)" if engine == "atheris" else "mutations of good files and of their JSON"
    lines = [f"{cases:,} cases, {how}, seed {seed}: {sum(len(f.findings) for f in figures):,} findings; {seconds:.0f} "
             "s.", "",
        "| reader | cases | read | refused by one of our errors | findings | µs a case |", "|---" * 6 + "|"]
    for f in figures:
        lines.append(f"| {f.name} | {f.cases:,} | {f.read:,} | {f.refused:,} | {len(f.findings)} | "
                     f"{1e6 * f.seconds / max(1, f.cases):.0f} |")
    return "\n".join(lines) + "\n"


def _limit_memory() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


def _kept(state: Path | None) -> dict[str, Any]:
    return json.loads(state.read_text()) if state is not None and state.exists() else {}


def _keep(state: Path | None, figures: Figures) -> None:
    if state is not None:
        state.write_text(json.dumps(dict(_kept(state), **{figures.name: figures})))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=("own", "atheris"), default="own")
    parser.add_argument("--only", metavar="TARGET")
    parser.add_argument("--case", type=int)
    parser.add_argument("--write", type=Path, metavar="FILE")
    parser.add_argument("--state", type=Path, help="finished targets are kept here, and not run again")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    with memory_folder() as folder:
        targets = make_targets(Path(folder))
        if options.only is not None and options.only not in targets:
            parser.error("{!r}: expected one of {}".format(options.only, "; ".join(targets)))
        chosen = [targets[options.only]] if options.only else list(targets.values())
        if options.child is not None:
            _guided(chosen[0], options.cases, options.seed, options.child / "figures.json", options.child / "corpus")
        if options.case is not None:
            data = case(chosen[0], options.seed, options.case)
            print(data, chosen[0].run(data), sep="\n")
            return 0
        weights = sum(target.weight for target in chosen)
        figures, before = [], 0
        if options.engine == "own":
            _limit_memory()
        bar = progress_bar(options.cases, "case")
        for target in chosen:
            cases = math.ceil(options.cases * target.weight / weights)  # no fewer in all
            kept = _kept(options.state).get(target.name)
            if kept is not None and kept[1] == cases:
                figures.append(Figures(*kept))
            elif options.engine == "atheris":
                figures.append(_run_guided(target, cases, options.seed))
            else:
                figures.append(fuzz(target, cases, options.seed, 0, lambda count, before=before: bar(before + count)))
            before += cases
            _keep(options.state, figures[-1])
            print("{0.name}: {0.cases} cases, {1} findings, {0.seconds:.1f} s".format(
                figures[-1], len(figures[-1].findings)), file=sys.stderr, flush=True)
    text = table(figures, options.engine, options.seed)
    print(text)
    if options.write:
        write_between(options.write, "fuzz" if options.engine == "own" else "atheris", text)
    for found in figures:
        for number, what, data in found.findings:
            print(f"{found.name}, case {number}: {what}\n    {data[:200]}", file=sys.stderr)
    return int(any(found.findings for found in figures))


if __name__ == "__main__":
    sys.exit(main())
