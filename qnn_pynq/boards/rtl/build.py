"""From Verilog to a shared library that simulates it: Verilator and a C++ compiler, once, into the user's cache."""
from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from functools import lru_cache
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Iterator, Sequence

from ...catalogue import cache_folder
from ...contracts.overlay import Rtl
from ...errors import BoardError, FetchError, MissingDependencyError

__all__ = ["build", "check_tools"]

_log = logging.getLogger(__name__)
_HARNESS = Path(__file__).resolve().parent / "harness.cpp"
_OLDEST = (5, 6)
_INSTALL = "on Debian and Ubuntu: apt-get install verilator g++"
_KINDS = (".v", ".vh", ".sv", ".svh")  # what a source may include as well
# Functions of megabytes, as netlists give, take a compiler longer than anybody waits.
_VERILATOR = ("--cc", "-O3", "--x-assign", "fast", "--x-initial", "unique", "--assert", "--no-timing", "-Wno-fatal",
              "-DQNN_BEHAVIOURAL", "--prefix", "Vmodel", "--output-split-cfuncs", "1000")
_CXX = ("-std=gnu++17", "-fPIC", "-fvisibility=hidden", "-fno-gnu-unique", "-pthread", "-DVM_SC=0", "-DVM_TRACE=0",
        "-DVM_TRACE_FST=0", "-DVM_TRACE_VCD=0", "-DVL_USER_STOP", "-DVL_USER_FATAL", "-DVL_USER_FINISH")
# By class: what runs every cycle, what runs once (a good part of the text), and Verilator's own library.
_LEVELS = {"FAST": "-O3", "SLOW": "-O0", "GLOBAL": "-O1"}
# Counting multiplies the text.
_COVERAGE = ("--coverage", "--output-split-cfuncs", "500")
_COVERAGE_LEVELS = dict(_LEVELS, FAST="-O1")
_SHOWN = 12  # lines of a compiler's complaint


def check_tools() -> tuple[str, str]:
    """Verilator and the C++ compiler of this machine: their paths.

    $VERILATOR and $CXX name others than those of the search path.

    Raises
    ------
    MissingDependencyError
        One is not there or too old; says what to install.
    """
    verilator = _tool("Verilator", os.environ.get("VERILATOR"), ("verilator",))
    compiler = _tool("a C++ compiler", os.environ.get("CXX"), ("g++", "c++", "clang++"))
    found = re.search(r"Verilator (\d+)\.(\d+)", _version(verilator))
    if found is None or (int(found.group(1)), int(found.group(2))) < _OLDEST:
        raise MissingDependencyError(
            f"{verilator} is {_version(verilator) or 'nothing that says its version'}: the simulated board needs "
            f"Verilator 5.006 or newer; {_INSTALL}, or name another one by $VERILATOR")
    return verilator, compiler


def _tool(what: str, chosen: str | None, names: Sequence[str]) -> str:
    for name in (chosen,) if chosen else names:
        path = shutil.which(name)
        if path:
            return path
    raise MissingDependencyError(f"the simulated board needs {what}, and {chosen or ' or '.join(names)} is not on this "
                                 f"machine; {_INSTALL}")


@lru_cache(maxsize=None)
def _version(tool: str) -> str:
    try:
        done = subprocess.run([tool, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = done.stdout.decode(errors="replace").splitlines()
    return lines[0] if lines else ""


def build(rtl: Rtl, coverage: bool = False, again: bool = False) -> Path:
    """The shared library of a circuit, from the cache or compiled now.

    Processes that want the same one take turns; it is there as a whole or not at all.

    Parameters
    ----------
    rtl : Rtl
    coverage : bool
        Count lines and toggles.
    again : bool
        Compile also where there is one.

    Raises
    ------
    MissingDependencyError
        No Verilator, or no C++ compiler.
    BoardError
        Sources that are not there or that the tools refuse, with what they say.
    FetchError
        The cache cannot be written.
    """
    verilator, compiler = check_tools()
    sources = _sources(rtl)
    key = _key(rtl, sources, coverage, verilator, compiler)
    target = cache_folder() / "rtl" / f"{rtl.top}-{key}.so"
    if target.is_file() and not again:
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _turn(target) as first:
            if first or again:
                _tell(rtl)
                with tempfile.TemporaryDirectory(prefix=f".{key}-", dir=str(target.parent)) as folder:
                    made = _compile(rtl, sources, coverage, verilator, compiler, Path(folder))
                    os.replace(str(made), str(target))
    except OSError as error:
        reason = error.strerror or error
        raise FetchError(f"cannot write {target}: {reason}; make room, or choose a folder that you may write to "
                         "(QNN_PYNQ_CACHE names the cache)") from error
    return target


def _sources(rtl: Rtl) -> dict[str, bytes]:
    """Every file of the folder that Verilator may read, by name."""
    try:
        found = {path.name: path.read_bytes() for path in sorted(rtl.sources.iterdir()) if path.suffix in _KINDS}
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BoardError(f"the Verilog of {rtl.top} cannot be read from {rtl.sources}: {reason}; "
                         "see rtl.sources in overlay.json") from error
    if not any(name.endswith((".v", ".sv")) for name in found):
        raise BoardError(f"{rtl.sources} has no Verilog (*.v, *.sv): see rtl.sources in overlay.json")
    return found


def _key(rtl: Rtl, sources: dict[str, bytes], coverage: bool, verilator: str, compiler: str) -> str:
    """What the library depends on, as a digest."""
    found = hashlib.sha256()
    levels = (_COVERAGE, sorted(_COVERAGE_LEVELS.items())) if coverage else sorted(_LEVELS.items())
    told = (rtl.top, sorted(rtl.parameters.items()), _VERILATOR, _CXX, levels)
    tools = (platform.machine(), _version(verilator), _version(compiler))
    parts = [repr((told, tools)).encode(), _HARNESS.read_bytes()]
    for name, text in sources.items():
        parts += [name.encode(), text]
    for part in parts:
        found.update(len(part).to_bytes(8, "little"))
        found.update(part)
    return found.hexdigest()[:24]


@contextmanager
def _turn(target: Path) -> Iterator[bool]:
    """Ours alone; whether there is still something to do."""
    with open(str(target) + ".lock", "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.info("%s: waiting for another process that compiles it", target.name)
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:  # some network file systems: two may compile, and the last one's stays
            _log.warning("%s: no file lock (%s)", target.name, error)
        yield not target.is_file()


def _tell(rtl: Rtl) -> None:
    values = ", ".join(f"{name}={value}" for name, value in sorted(rtl.parameters.items()))
    text = f"compiling {rtl.top} ({values or 'no parameters'}) for the simulated board: once, a minute or so"
    _log.info("%s", text)
    if sys.stderr is not None and sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)


def _compile(rtl: Rtl, sources: dict[str, bytes], coverage: bool, verilator: str, compiler: str, folder: Path) -> Path:
    # The bytes that the key is of, whoever edits them meanwhile.
    for name, text in sources.items():
        (folder / name).write_bytes(text)
    command = [verilator, *_VERILATOR, "--top-module", rtl.top, "--Mdir", str(folder / "made"), "-I."]
    command += _COVERAGE if coverage else ()
    command += [f"-G{name}={value}" for name, value in sorted(rtl.parameters.items())]
    command += [name for name in sources if name.endswith((".v", ".sv"))]
    _run(command, folder, f"Verilator refuses {rtl.top} from {rtl.sources}")
    include = Path(_run([verilator, "--getenv", "VERILATOR_ROOT"], folder, "Verilator").strip()) / "include"
    made = folder / "made"
    flags = [*_CXX, f"-DVM_COVERAGE={int(coverage)}", f"-I{made}", f"-I{include}", f"-I{include / 'vltstd'}"]
    levels = _COVERAGE_LEVELS if coverage else _LEVELS
    jobs = [(str(_HARNESS), levels["FAST"])]
    for stem, kind in _classes((made / "Vmodel_classes.mk").read_text(encoding="utf-8")):
        path = made / f"{stem}.cpp"
        jobs.append((str(path if path.is_file() else include / f"{stem}.cpp"), levels[kind]))
    objects = [str(folder / f"{index}.o") for index in range(len(jobs))]
    problem = f"the C++ compiler refuses what Verilator made of {rtl.top}"

    def one(index: int) -> None:
        source, level = jobs[index]
        _run([compiler, *flags, level, "-c", source, "-o", objects[index]], folder, problem)

    with ThreadPool(os.cpu_count() or 1) as pool:
        pool.map(one, range(len(jobs)), chunksize=1)
    library = folder / "model.so"
    _run([compiler, "-shared", "-pthread", "-o", str(library), *objects], folder, problem)
    return library


def _classes(text: str) -> list[tuple[str, str]]:
    """(file without .cpp, kind in _LEVELS) of everything that Verilator's list of classes names."""
    found = []
    for block in re.finditer(r"^VM_(CLASSES|SUPPORT|GLOBAL)_(FAST|SLOW) \+= \\\n((?:\t.*\\\n)*)", text, re.M):
        kind = "GLOBAL" if block.group(1) == "GLOBAL" else block.group(2)
        found += [(line.strip(" \t\\"), kind) for line in block.group(3).splitlines()]
    return found


def _run(command: Sequence[str], folder: Path, problem: str) -> str:
    done = subprocess.run(command, cwd=str(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = done.stdout.decode(errors="replace")
    if done.returncode:
        lines = [line for line in text.splitlines() if "rror" in line] or text.splitlines()
        shown = "\n  ".join(line.replace(str(folder) + os.sep, "") for line in lines[:_SHOWN])
        raise BoardError(f"{problem} ({os.path.basename(command[0])} ended with {done.returncode})\n  {shown}")
    return text
