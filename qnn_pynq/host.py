"""The machine that we run on, and the checks of its board: device tree, FPGA manager, memory, pynq.

Files below `/proc` and `/sys` are read under a root that can be moved, so that a folder can describe a board.
"""

from __future__ import annotations

import os
import re
from collections import namedtuple
from importlib import import_module
from pathlib import Path
from typing import Mapping

__all__ = ["HARDWARE_CHECKS", "Check", "Host", "numbers"]

_PYNQ_BOARD = "proc/device-tree/chosen/pynq_board"
_BOARDS = ("Pynq-Z1", "Pynq-Z2")
_FPGA_MANAGER = "sys/class/fpga_manager/fpga0"
_MIB = 1024.0
# The largest buffers of the shipped drivers, with room for another overlay's.
_CMA_WANTED_MIB = 16
_MEMORY_WANTED_MIB = 64


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
    """

    def __init__(self, root: str | Path = "/", environ: Mapping[str, str] | None = None) -> None:
        self.root = Path(root)
        self.environ = os.environ if environ is None else environ

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

    @property
    def zynq7000(self) -> bool:
        return "xlnx,zynq-7000" in (self.text("proc/device-tree/compatible") or "")

    @property
    def on_board(self) -> bool:
        """Whether this is a board that the overlays are for (and neither a PC nor another board)."""
        return self.zynq7000 or (self.text(_PYNQ_BOARD) or "") in _BOARDS


def numbers(version: str) -> tuple[int, ...]:
    """Leading numbers of a version, to compare: "4.0.0rc1" -> (4, 0, 0)."""
    numbers = []
    for part in version.split(".")[:3]:
        digits = re.match(r"\d+", part)
        if not digits:
            break
        numbers.append(int(digits.group()))
    return tuple(numbers)


def check_memory(host: Host) -> Check:
    free = host.meminfo("MemAvailable")
    if free is None:
        return Check("free memory", "info", "unknown (no MemAvailable in /proc/meminfo)", "")
    if free < _MEMORY_WANTED_MIB:
        return Check("free memory", "warn", "{:.0f} MiB".format(free), "close other notebooks and programs")
    return Check("free memory", "ok", "{:.0f} MiB".format(free), "")


def check_pynq(host: Host) -> Check:
    metadata = import_module("importlib.metadata")
    try:
        version = metadata.version("pynq")
    except metadata.PackageNotFoundError:
        if host.on_board:
            return Check(
                "pynq",
                "fail",
                "not installed in this Python",
                "use the image's own Python (sudo -i, or /usr/local/share/pynq-venv/bin/python3)",
            )
        return Check("pynq", "info", "not installed", "needed on a board only; the emulated board works without it")
    if host.zynq7000 and numbers(version) >= (4,):
        return Check(
            "pynq",
            "warn",
            version,
            "pynq 4 dropped PYNQ-Z1 and Z2 and loads no Zynq-7000 overlay: put the image's own version "
            "back (pip install --no-deps 'pynq<4'), or write the 3.1 image again",
        )
    if numbers(version) < (2, 7):
        return Check("pynq", "warn", version, "tested from 2.7 on: use image 2.7 or newer")
    return Check("pynq", "ok", version, "")


def check_root(host: Host) -> Check:
    uid = os.geteuid()
    value = "root" if uid == 0 else "user id {}".format(uid)
    if host.on_board and uid != 0:
        return Check("root", "fail", value, "the FPGA needs root: sudo -i, then run it again (Jupyter runs as root)")
    return Check("root", "ok" if host.on_board else "info", value, "")


def check_xrt(host: Host) -> Check:
    value = host.environ.get("XILINX_XRT")
    if value:
        return Check("XILINX_XRT", "ok", value, "")
    if host.on_board:
        return Check(
            "XILINX_XRT",
            "fail",
            "not set",
            "pynq finds no device without it: source /etc/profile.d/xrt_setup.sh (or sudo -i)",
        )
    return Check("XILINX_XRT", "info", "not set", "")


def check_device_tree(host: Host) -> Check:
    board = host.text(_PYNQ_BOARD) or host.environ.get("BOARD")
    model = host.text("proc/device-tree/model")
    if not board and not model:
        return Check("board name", "info", "no device tree: this is a PC", "")
    value = "{} ({})".format(board or "unknown", model or "no model")
    if not board:
        return Check(
            "board name",
            "warn" if host.zynq7000 else "info",
            value,
            "not a PYNQ image; set BOARD=Pynq-Z1 or Pynq-Z2" if host.zynq7000 else "",
        )
    if board not in _BOARDS:
        return Check("board name", "warn", value, "the shipped overlays are for Pynq-Z1 and Z2; emulated and cpu work")
    return Check("board name", "ok", value, "")


def check_fpga_manager(host: Host) -> Check:
    if not (host.root / _FPGA_MANAGER).exists():
        if host.on_board:
            return Check(
                "fpga_manager",
                "fail",
                "no /{}".format(_FPGA_MANAGER),
                "the kernel cannot program the FPGA: use a PYNQ image 2.7 to 3.1",
            )
        return Check("fpga_manager", "info", "none", "")
    state = host.text(_FPGA_MANAGER + "/state") or "state unknown"
    return Check("fpga_manager", "ok", "{}, {}".format(host.text(_FPGA_MANAGER + "/name") or "fpga0", state), "")


def check_cma(host: Host) -> Check:
    total, free = host.meminfo("CmaTotal"), host.meminfo("CmaFree")
    if not total:
        if host.on_board:
            return Check(
                "contiguous memory",
                "fail",
                "none (no CmaTotal in /proc/meminfo)",
                "boot with cma=128M on the kernel command line",
            )
        return Check("contiguous memory", "info", "none; a board needs it, the emulated one does not", "")
    value = "{:.0f} MiB free of {:.0f} MiB".format(free or 0, total)
    if (free or 0) < _CMA_WANTED_MIB:
        return Check("contiguous memory", "warn", value, "close other notebooks that hold buffers, or reboot")
    return Check("contiguous memory", "ok", value, "")


def check_board(host: Host) -> Check:
    if not host.on_board:
        return Check("board", "info", "no FPGA here: the emulated board answers", "")
    boards = import_module("qnn_pynq.boards")
    errors = import_module("qnn_pynq.errors")
    try:
        with boards.open_board("zynq") as board:
            return Check("board", "ok", "{} ({})".format(board.name, board.kind), "")
    except errors.BoardBusyError as error:
        return Check("board", "warn", str(error), "end the other program or notebook that uses the board")
    except errors.QnnError as error:
        return Check("board", "fail", str(error), "see the checks above; board='emulated' works meanwhile")


HARDWARE_CHECKS = (
    check_memory,
    check_pynq,
    check_root,
    check_xrt,
    check_device_tree,
    check_fpga_manager,
    check_cma,
    check_board,
)
