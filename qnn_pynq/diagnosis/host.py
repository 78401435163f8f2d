"""The machine that the doctor looks at: files below a root that can be moved, and facts that can be set.

A folder with a few files of `/proc`, `/sys` and `/etc` describes a board, so that every check has its test.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from collections import namedtuple
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Mapping

__all__ = ["BOARDS", "PYNQ_BOARD", "VENV", "Check", "Host", "numbers"]

PYNQ_BOARD = "proc/device-tree/chosen/pynq_board"
VENV = "usr/local/share/pynq-venv"  # of every image from 2.7 on
BOARDS = ("Pynq-Z1", "Pynq-Z2")
_MIB = 1024.0
# Which image a kernel or an Ubuntu is of: Ubuntu 22.04 has two.
_TOOLS = {"2020.1": (2, 6), "2020.2": (2, 7), "2022.1": (3, 0), "2024.1": (3, 1), "2025.2": (4, 0)}
_UBUNTU = {"18.04": (2, 6), "20.04": (2, 7), "24.04": (4, 0)}


class Check(namedtuple("_Check", "name status value advice")):
    """Result of one check.

    Attributes
    ----------
    name : str
        What was looked at.
    status : str
        "ok", "info" (neither good nor bad), "warn" (something will not work or be slow), or
        "fail" (this library cannot work as it is).
    value : str
        What was found.
    advice : str
        What to do about it; empty when there is nothing to do.
    """

    __slots__ = ()


class Host:
    """The machine as the checks see it.

    Parameters
    ----------
    root : str or Path
        Folder that stands for `/`.
    environ : mapping, optional
        Environment variables; those of this process by default.

    Attributes
    ----------
    uid : int
        Effective user.
    machine : str
        Of the processor, as `uname -m` says it.
    prefix : str
        Of this Python.
    now : float
        Seconds of the system's clock.
    """

    def __init__(self, root: str | Path = "/", environ: Mapping[str, str] | None = None) -> None:
        self.root = Path(root)
        self.environ = os.environ if environ is None else environ
        self.uid = os.geteuid()
        self.machine = platform.machine()
        self.prefix = sys.prefix
        self.now = time.time()

    def text(self, path: str) -> str | None:
        """Content of a file below the root without trailing NULs and white space; None if there is none."""
        try:
            raw = (self.root / path).read_bytes()
        except OSError:
            return None
        return raw.decode("utf-8", "replace").strip("\0 \t\r\n")

    def meminfo(self, key: str) -> float | None:
        """One line of /proc/meminfo in MiB; None where the kernel has no such line."""
        for line in (self.text("proc/meminfo") or "").splitlines():
            name, _, rest = line.partition(":")
            if name == key:
                return int(rest.split()[0]) / _MIB
        return None

    def version(self, distribution: str) -> str | None:
        """Version of an installed distribution; None if there is none."""
        metadata = import_module("importlib.metadata")
        try:
            found: str = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            return None
        return found

    def package_folder(self, name: str) -> Path | None:
        """Where a package lies, without importing it; None if there is none."""
        spec = find_spec(name)
        places = list(spec.submodule_search_locations or ()) if spec is not None else []
        return Path(places[0]) if places else None

    @property
    def zynq7000(self) -> bool:
        return "xlnx,zynq-7000" in (self.text("proc/device-tree/compatible") or "")

    @property
    def on_board(self) -> bool:
        """Whether this is a board that the overlays are for (and neither a PC nor another board)."""
        return self.zynq7000 or (self.text(PYNQ_BOARD) or "") in BOARDS

    @property
    def board(self) -> str | None:
        """Name of the board: from the device tree, else from $BOARD."""
        return self.text(PYNQ_BOARD) or self.environ.get("BOARD") or None

    @property
    def kernel(self) -> str:
        return self.text("proc/sys/kernel/osrelease") or "unknown"

    @property
    def ubuntu(self) -> str | None:
        """Version of Ubuntu, from os-release or from the greeting of the console."""
        found = re.search(r'^VERSION_ID="?([\d.]+)', self.text("etc/os-release") or "", re.M)
        found = found or re.search(r"Ubuntu (\d\d\.\d\d)", self.text("etc/issue") or "")
        return found.group(1) if found else None

    @property
    def image(self) -> tuple[int, int] | None:
        """(major, minor) of the PYNQ image, by the tools that its kernel was built with, else by its Ubuntu."""
        tools = re.search(r"xilinx-v?(\d{4}\.\d)", self.kernel)
        if tools and tools.group(1) in _TOOLS:
            return _TOOLS[tools.group(1)]
        return _UBUNTU.get(self.ubuntu or "")


def numbers(version: str) -> tuple[int, ...]:
    """Leading numbers of a version, to compare: "4.0.0rc1" -> (4, 0, 0)."""
    numbers = []
    for part in version.split(".")[:3]:
        digits = re.match(r"\d+", part)
        if not digits:
            break
        numbers.append(int(digits.group()))
    return tuple(numbers)
