"""What this machine offers, and what to do about what it lacks.

Every check is a small function that returns a `Check` and never raises; `examine` runs them all.
Files below `/proc`, `/sys` and `/dev` are read under a root that can be moved, so that a board can be
described by a folder.
"""
from __future__ import annotations

import logging
import os
import platform
import re
import sys
from collections import namedtuple
from importlib import import_module
from pathlib import Path
from typing import Callable, Mapping
from xml.etree import ElementTree

from . import __version__

__all__ = ["CHECKS", "Check", "Host", "examine"]

_log = logging.getLogger(__name__)

_PYNQ_BOARD = "proc/device-tree/chosen/pynq_board"
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
        """Whether this is a PYNQ board (and not a PC)."""
        return self.zynq7000 or self.text(_PYNQ_BOARD) is not None or (self.root / _FPGA_MANAGER).exists()


def _numbers(version: str) -> tuple[int, ...]:
    """Leading numbers of a version, to compare: "4.0.0rc1" -> (4, 0, 0)."""
    numbers = []
    for part in version.split(".")[:3]:
        digits = re.match(r"\d+", part)
        if not digits:
            break
        numbers.append(int(digits.group()))
    return tuple(numbers)


def _module(label: str, name: str, least: str, needed: str) -> Check:
    try:
        version = import_module(name).__version__
    except ImportError as error:
        return Check(label, "fail", "cannot be imported: {}".format(error), "{}: pip install {}".format(needed, label))
    if _numbers(version) < _numbers(least):
        return Check(label, "warn", version, "tested from {} on".format(least))
    return Check(label, "ok", version, "")


def check_package(host: Host) -> Check:
    return Check("qnn-pynq", "ok", "{} in {}".format(__version__, Path(__file__).resolve().parent), "")


def check_python(host: Host) -> Check:
    value = "{} {}, {}".format(platform.python_implementation(), platform.python_version(), sys.executable)
    if sys.version_info < (3, 8):
        return Check("Python", "fail", value, "use Python 3.8 or newer (PYNQ image 2.7 or newer)")
    return Check("Python", "ok", value, "")


def check_machine(host: Host) -> Check:
    cores = os.cpu_count() or 1
    return Check("machine", "info", "{} {}, {} core{}".format(
        platform.machine(), platform.system(), cores, "" if cores == 1 else "s"), "")


def check_numpy(host: Host) -> Check:
    return _module("numpy", "numpy", "1.17.4", "every call needs it")


def check_cffi(host: Host) -> Check:
    return _module("cffi", "cffi", "1.14.0", "the C kernels need it")


def check_pillow(host: Host) -> Check:
    return _module("Pillow", "PIL", "7.0.0", "pictures are read with it")


def check_kernels(host: Host) -> Check:
    try:
        kernels = import_module("qnn_pynq.kernels")
    except ImportError as error:
        return Check("C kernels", "fail", "cannot be imported: {}".format(error),
                     "install a wheel for this machine, or a compiler and python3-dev and install again; "
                     "in a checkout: python3 setup.py build_ext --inplace")
    built, supported = kernels.isa_built(), kernels.isa_supported()
    active = kernels.isa_active()
    value = "{} active; built: {}; this processor has: {}".format(active, " ".join(built), " ".join(supported))
    forced = host.environ.get("QNN_PYNQ_ISA")
    if forced:
        return Check("C kernels", "warn", value + "; QNN_PYNQ_ISA={}".format(forced),
                     "unset QNN_PYNQ_ISA to let the fastest one be chosen")
    if active == "scalar":
        return Check("C kernels", "warn", value, "correct but slow: no SIMD variant fits this processor")
    return Check("C kernels", "ok", value, "")


def check_pynq(host: Host) -> Check:
    metadata = import_module("importlib.metadata")
    try:
        version = metadata.version("pynq")
    except metadata.PackageNotFoundError:
        if host.on_board:
            return Check("pynq", "fail", "not installed in this Python",
                         "use the image's own Python (sudo -i, or /usr/local/share/pynq-venv/bin/python3)")
        return Check("pynq", "info", "not installed", "needed on a board only; the emulated board works without it")
    if host.zynq7000 and _numbers(version) >= (4,):
        return Check("pynq", "warn", version,
                     "pynq 4 dropped PYNQ-Z1 and Z2 and loads no Zynq-7000 overlay: pip install 'pynq<4', "
                     "or write the 3.1 image again")
    if _numbers(version) < (2, 7):
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
        return Check("XILINX_XRT", "fail", "not set",
                     "pynq finds no device without it: source /etc/profile.d/xrt_setup.sh (sudo drops it: use sudo -i)")
    return Check("XILINX_XRT", "info", "not set", "")


def check_device_tree(host: Host) -> Check:
    board = host.text(_PYNQ_BOARD) or host.environ.get("BOARD")
    model = host.text("proc/device-tree/model")
    if not board and not model:
        return Check("board name", "info", "no device tree: this is a PC", "")
    value = "{} ({})".format(board or "unknown", model or "no model")
    if not board:
        return Check("board name", "warn" if host.zynq7000 else "info", value,
                     "not a PYNQ image; set BOARD=Pynq-Z1 or Pynq-Z2" if host.zynq7000 else "")
    if board not in ("Pynq-Z1", "Pynq-Z2"):
        return Check("board name", "warn", value, "the shipped overlays are for Pynq-Z1 and Pynq-Z2")
    return Check("board name", "ok", value, "")


def check_fpga_manager(host: Host) -> Check:
    if not (host.root / _FPGA_MANAGER).exists():
        if host.on_board:
            return Check("fpga_manager", "fail", "no /{}".format(_FPGA_MANAGER),
                         "the kernel cannot program the FPGA: use a PYNQ image 2.7 to 3.1")
        return Check("fpga_manager", "info", "none", "")
    state = host.text(_FPGA_MANAGER + "/state") or "state unknown"
    return Check("fpga_manager", "ok", "{}, {}".format(host.text(_FPGA_MANAGER + "/name") or "fpga0", state), "")


def check_cma(host: Host) -> Check:
    total, free = host.meminfo("CmaTotal"), host.meminfo("CmaFree")
    if not total:
        if host.on_board:
            return Check("contiguous memory", "fail", "none (no CmaTotal in /proc/meminfo)",
                         "boot with cma=128M on the kernel command line")
        return Check("contiguous memory", "info", "none; a board needs it, the emulated one does not", "")
    value = "{:.0f} MiB free of {:.0f} MiB".format(free or 0, total)
    if (free or 0) < _CMA_WANTED_MIB:
        return Check("contiguous memory", "warn", value, "close other notebooks that hold buffers, or reboot")
    return Check("contiguous memory", "ok", value, "")


def check_memory(host: Host) -> Check:
    free = host.meminfo("MemAvailable")
    if free is None:
        return Check("free memory", "info", "unknown (no MemAvailable in /proc/meminfo)", "")
    if free < _MEMORY_WANTED_MIB:
        return Check("free memory", "warn", "{:.0f} MiB".format(free), "close other notebooks and programs")
    return Check("free memory", "ok", "{:.0f} MiB".format(free), "")


def check_cache(host: Host) -> Check:
    folder = Path(import_module("qnn_pynq.catalogue").cache_folder())
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if there.is_dir() and os.access(str(there), os.W_OK | os.X_OK):
        return Check("cache folder", "ok", str(folder), "")
    return Check("cache folder", "warn", "{} is not writable".format(folder),
                 "set QNN_PYNQ_CACHE to a folder that you may write to")


def check_networks(host: Host) -> Check:
    names = sorted(import_module("qnn_pynq.catalogue").networks())
    if not names:
        return Check("networks", "fail", "none found", "install the package again, or set QNN_PYNQ_PATH")
    return Check("networks", "ok", "{}: {}".format(len(names), ", ".join(names)), "")


def check_overlays(host: Host) -> Check:
    errors = import_module("qnn_pynq.errors")
    here, missing, wrong = [], [], []
    catalogue = import_module("qnn_pynq.catalogue")
    for name in sorted(catalogue.overlays()):
        try:
            catalogue.overlay_files(name)
            here.append(name)
        except errors.OverlayMissingError:
            missing.append(name)
        except errors.QnnError as error:
            wrong.append("{}: {}".format(name, error))
    value = "digests right: {}; not fetched: {}".format(", ".join(here) or "none", ", ".join(missing) or "none")
    if wrong:
        return Check("overlay files", "warn", "; ".join(wrong + [value]), "qnn-pynq overlays fetch NAME")
    if missing:
        return Check("overlay files", "warn" if host.on_board else "info", value,
                     "qnn-pynq overlays fetch NAME" + ("" if host.on_board else " (a board needs them, the emulated "
                                                       "one does not)"))
    return Check("overlay files", "ok", value, "")


def check_hwh(host: Host) -> Check:
    errors = import_module("qnn_pynq.errors")
    catalogue = import_module("qnn_pynq.catalogue")
    read = []
    for name in sorted(catalogue.overlays()):
        again = "qnn-pynq overlays fetch {}".format(name)
        try:
            overlay = catalogue.find_overlay(name)
            path = catalogue.overlay_files(overlay).get("hwh")
        except errors.QnnError:
            continue  # check_overlays reports it
        if path is None:
            continue
        try:
            modules = {module.get("INSTANCE") for module in ElementTree.parse(str(path)).iter("MODULE")}
        except (ElementTree.ParseError, OSError) as error:
            return Check(".hwh files", "warn", "{} cannot be parsed: {}".format(path, error), again)
        if overlay.ip.name not in modules:
            return Check(".hwh files", "warn", "{} has no module {}".format(path, overlay.ip.name), again)
        read.append(name)
    return Check(".hwh files", "ok" if read else "info", ", ".join(read) or "none here to read", "")


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


def check_entry_points(host: Host) -> Check:
    found = import_module("importlib.metadata").entry_points()
    missing = []
    for group in ("pynq.overlays", "pynq.notebooks"):
        # A mapping up to Python 3.9, a selectable list from 3.10 on.
        points = found.select(group=group) if hasattr(found, "select") else found.get(group, ())
        if not any(point.value.startswith("qnn_pynq.") for point in points):
            missing.append(group)
    if missing:
        return Check("entry points", "warn" if host.on_board else "info", "not registered: {}".format(", ".join(missing)),
                     "pip install the package, so that pynq finds its overlays and notebooks")
    return Check("entry points", "ok", "pynq.overlays, pynq.notebooks", "")


CHECKS: tuple[Callable[[Host], Check], ...] = (
    check_package, check_python, check_machine, check_numpy, check_cffi, check_pillow, check_kernels, check_memory,
    check_networks, check_cache, check_overlays, check_hwh, check_entry_points, check_pynq, check_root, check_xrt,
    check_device_tree, check_fpga_manager, check_cma, check_board,
)


def examine(root: str | Path = "/", environ: Mapping[str, str] | None = None) -> list[Check]:
    """Run every check.

    Parameters
    ----------
    root : str or Path
        Folder that stands for `/` where `/proc` and `/sys` are read.
    environ : mapping, optional
        Environment variables; those of this process by default.

    Returns
    -------
    list of Check
        In the order in which they should be read. A check that breaks is itself a "fail".
    """
    host = Host(root, environ)
    results = []
    for check in CHECKS:
        try:
            results.append(check(host))
        except Exception as error:
            _log.debug("%s broke", check.__name__, exc_info=True)
            results.append(Check(check.__name__[len("check_"):].replace("_", " "), "fail",
                                 "{}: {}".format(type(error).__name__, error), "please report this"))
    return results
