"""Checks of a board: its name and image, FPGA manager, memory, clock, who has it, and whether it opens."""

from __future__ import annotations

import fcntl
import os
import time
from importlib import import_module
from pathlib import Path

from ..contracts.chip import FPGA_MANAGER
from .host import BOARDS, Check, Host
from .overlays import descriptors

__all__ = ["BOARD_CHECKS"]

# The largest buffers of the shipped drivers, with room for another overlay's.
_CMA_WANTED_MIB = 16
_MEMORY_WANTED_MIB = 64
_WRITTEN = 1795219200.0  # 2026-11-21, before which this was not there to run
_LOCKS = ("run/lock", "tmp")


def check_device_tree(host: Host) -> Check:
    board, model = host.board, host.text("proc/device-tree/model")
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
    if board not in BOARDS:
        return Check("board name", "warn", value, "the shipped overlays are for Pynq-Z1 and Z2; emulated and cpu work")
    return Check("board name", "ok", value, "")


def check_image(host: Host) -> Check:
    image, revision = host.image, (host.text("home/xilinx/REVISION") or "").splitlines()
    value = "{}, Ubuntu {}, kernel {}{}".format(
        "PYNQ {}.{}".format(*image) if image else "unknown",
        host.ubuntu or "unknown",
        host.kernel,
        ", " + revision[0] if revision else "",
    )
    if not host.on_board:
        return Check("image", "info", f"kernel {host.kernel}", "")
    if image is None:
        return Check("image", "warn", value, "made for PYNQ images 2.7, 3.0 and 3.1: look whether selftest passes here")
    if not (2, 7) <= image <= (3, 1):
        advice = "write image 3.1 to the card, the last for Pynq-Z1 and Z2 (2.7 and 3.0 do, too)"
        return Check("image", "warn", value, advice)
    return Check("image", "ok", value, "")


def check_fpga_manager(host: Host) -> Check:
    if not (host.root / FPGA_MANAGER).exists():
        if host.on_board:
            return Check(
                "fpga_manager",
                "fail",
                f"no /{FPGA_MANAGER}",
                "the kernel cannot program the FPGA: use a PYNQ image 2.7 to 3.1",
            )
        return Check("fpga_manager", "info", "none", "")
    state = host.text(FPGA_MANAGER + "/state") or "state unknown"
    value = "{}, {}".format(host.text(FPGA_MANAGER + "/name") or "fpga0", state)
    if "error" in state:
        advice = "the last bitstream was not taken: load an overlay again; if that fails, switch the board off and on"
        return Check("fpga_manager", "warn", value, advice)
    return Check("fpga_manager", "ok", value, "")


def check_logic_clock(host: Host) -> Check:
    """FCLK0, which a program before us may have left at another rate."""
    rate = host.text("sys/kernel/debug/clk/fclk0/clk_rate")
    if not (rate and rate.isdigit()):
        return Check("clock of the logic", "info", "unknown (no fclk0 in debugfs, or not root)", "")
    value = f"FCLK0 at {int(rate) * 1e-6:g} MHz, says the kernel"
    if int(rate) == 0:
        return Check("clock of the logic", "warn", value, "stopped: registers do not answer; load an overlay anew")
    fastest = max((overlay.clock_mhz for overlay in descriptors()), default=0.0)
    if fastest and int(rate) > 1.01e6 * fastest:
        advice = f"faster than {fastest:g} MHz, as overlays are made for: loading one with this library sets it"
        return Check("clock of the logic", "warn", value, advice)
    return Check("clock of the logic", "ok", value, "")


def check_memory(host: Host) -> Check:
    free = host.meminfo("MemAvailable")
    if free is None:
        return Check("free memory", "info", "unknown (no MemAvailable in /proc/meminfo)", "")
    if free < _MEMORY_WANTED_MIB:
        return Check("free memory", "warn", f"{free:.0f} MiB", "close other notebooks and programs")
    return Check("free memory", "ok", f"{free:.0f} MiB", "")


def check_cma(host: Host) -> Check:
    total, free = host.meminfo("CmaTotal"), host.meminfo("CmaFree") or 0
    if not total:
        if host.on_board:
            return Check(
                "contiguous memory",
                "fail",
                "none (no CmaTotal in /proc/meminfo)",
                "boot with cma=128M on the kernel command line",
            )
        return Check("contiguous memory", "info", "none; a board needs it, the emulated one does not", "")
    value = f"{free:.0f} MiB free of {total:.0f} MiB"
    if total < _CMA_WANTED_MIB:
        advice = f"too small for large batches ({_CMA_WANTED_MIB} MiB do): boot with cma=128M"
        return Check("contiguous memory", "warn", value, advice)
    if free < _CMA_WANTED_MIB:
        return Check("contiguous memory", "warn", value, "close other notebooks that hold buffers, or reboot")
    return Check("contiguous memory", "ok", value, "")


def check_clock(host: Host) -> Check:
    value = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(host.now))
    if host.now < _WRITTEN:
        return Check(
            "clock",
            "warn",
            value + ", before this library was written",
            "downloads fail, as no certificate is valid yet (boards have no battery): connect the board to the "
            "internet, or sudo date -s 'YEAR-MONTH-DAY HOUR:MINUTE'",
        )
    return Check("clock", "ok", value, "")


def check_lock(host: Host) -> Check:
    for folder in _LOCKS:
        for path in sorted((host.root / folder).glob("qnn-pynq-*.lock")):
            if _held(path):
                # Process id, program and start, as boards/zynq/lock.py writes them.
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
                pid, program, since = (lines + ["", "", ""])[:3]
                if pid == str(os.getpid()):
                    return Check("board lock", "info", f"held by this process ({path})", "")
                who = f"process {pid}" if pid else "another process"
                who += f" ({program}, since {since})" if program else ""
                return Check(
                    "board lock",
                    "warn",
                    f"held by {who}, says {path}",
                    "one process has the board at a time: end it, or shut its notebook's kernel down",
                )
    return Check("board lock", "ok" if host.on_board else "info", "free", "")


def _held(path: Path) -> bool:
    """Whether a process has the lock. A dead one has not, whatever the file still says."""
    try:
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def check_board(host: Host) -> Check:
    if not host.on_board:
        return Check("board", "info", "no FPGA here: the emulated board answers", "")
    boards = import_module("qnn_pynq.boards")
    errors = import_module("qnn_pynq.errors")
    try:
        with boards.open_board("zynq") as board:
            return Check("board", "ok", f"{board.name} ({board.kind})", "")
    except errors.BoardBusyError as error:
        return Check("board", "warn", str(error), "end the other program or notebook that uses the board")
    except errors.QnnError as error:
        return Check("board", "fail", str(error), "see the checks above; board='emulated' works meanwhile")


BOARD_CHECKS = (
    check_device_tree,
    check_image,
    check_fpga_manager,
    check_logic_clock,
    check_memory,
    check_cma,
    check_clock,
    check_lock,
    check_board,
)
