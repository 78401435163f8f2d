"""Which pynq device a board works on: found, or refused with the cause and the remedy."""
from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

from ...errors import BoardUnavailableError
from .kernel import KernelFiles

__all__ = ["REMOTE_VARIABLE", "activate", "board_name", "find_device", "fpga_present", "has_slcr", "is_remote",
           "kernel_of", "plain_name"]

ROOT = Path("/")  # tests point it at a folder that describes a board
REMOTE_VARIABLE = "PYNQ_REMOTE_DEVICES"


def fpga_present() -> bool:
    """Whether this machine is a Zynq-7000 with an FPGA manager. Needs neither pynq nor root."""
    files = KernelFiles(ROOT)
    return files.has_fpga and "xlnx,zynq-7000" in (files.text("proc/device-tree/compatible") or "")


def find_device() -> Any:
    """pynq's active device.

    Raises
    ------
    BoardUnavailableError
        With the cause and the remedy.
    """
    real, remote = fpga_present(), os.environ.get(REMOTE_VARIABLE, "")
    if real and hasattr(os, "geteuid") and os.geteuid() != 0:
        raise BoardUnavailableError("the FPGA needs root: start Python with `sudo -i`, or use the picture's Jupyter")
    if real and not os.environ.get("XILINX_XRT"):
        raise BoardUnavailableError("XILINX_XRT is not set, so pynq finds no device: use a login shell "
                                    "(`sudo -i`), or `source /etc/profile.d/xrt_setup.sh` first")
    try:
        from pynq.pl_server.device import Device
    except ImportError as error:
        raise BoardUnavailableError(
            f"pynq cannot be imported ({error}): on a board use the image's own Python environment "
            "(`sudo -i`); without a board use board='emulated'") from error
    except OSError as error:  # pynq <= 3.0.1 loads libxrt_core.so while it is imported
        raise BoardUnavailableError(f"pynq found no XRT library ({error}): check XILINX_XRT") from error
    try:
        return Device.active_device
    except RuntimeError as error:
        raise BoardUnavailableError(_why_none(str(error), real, remote)) from error


def _why_none(said: str, real: bool, remote: str) -> str:
    """pynq says "No Devices Found" for each of these."""
    if remote and "connect" in said:
        return f"no PYNQ.remote board answers at {remote} ({said}): check the address, port 7967, and its image"
    if remote:
        return (f"{REMOTE_VARIABLE}={remote}, but pynq has no remote device ({said}): it needs pynq 3.1 or newer, and "
                "the variable set before pynq is imported")
    if real:
        return (f"pynq does not recognise the FPGA ({said}): it was imported before XILINX_XRT was set, or by another "
                "user's environment; start Python again in a login shell (`sudo -i`)")
    return f"this machine has no FPGA that pynq can use ({said}): without a board use board='emulated'"


def activate(device: Any) -> None:
    """Make a device pynq's active one: its interrupts, its clocks and (before 3.1) DMA descriptors look there."""
    import pynq

    clocks = pynq.ps.Clocks
    kept = getattr(clocks, "_real_instance", None)
    moved = getattr(pynq.Device, "_active_device", None) is not device
    pynq.Device.active_device = device
    if kept is None or not moved:
        return
    # pynq keeps the clocks of the first device that it saw, for ever, and would set those.
    if hasattr(clocks, "set_device"):
        del clocks._real_instance
    else:
        clocks._real_instance = type(kept)()


def is_remote(device: Any) -> bool:
    """Whether registers and memory are on another machine (PYNQ.remote)."""
    return bool(getattr(device, "capabilities", {}).get("REMOTE"))


def kernel_of(device: Any) -> KernelFiles:
    """The files of the kernel that the device's FPGA hangs on."""
    return KernelFiles(ROOT, device if is_remote(device) else None)


def has_slcr(device: Any) -> bool:
    """Whether the processor is a Zynq-7000, with clocks and level shifters in the SLCR."""
    return getattr(device, "arch", platform.machine()) == "armv7l"


def plain_name(name: str) -> str:
    """A board's name without case and punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def board_name(device: Any) -> str:
    """Pynq-Z1, Pynq-Z2, ... as well as can be known, or ""."""
    names = [str(getattr(device, "name", ""))]
    if not is_remote(device):
        names.append(os.environ.get("BOARD", ""))
    names.append(kernel_of(device).text("proc/device-tree/chosen/pynq_board") or "")
    return next((name for name in names if plain_name(name).startswith("pynq")), "")
