"""Is it safe to touch the logic? A register that nobody answers for stalls a Zynq-7000's core for good.

So state, clock and identity are looked at where the processor alone answers: kernel's files, SLCR, pynq's notes.
"""
from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

from ..errors import BoardError, ForeignBitstreamError
from .zynq_device import has_slcr
from .zynq_kernel import FPGA_MANAGER, KernelFiles

__all__ = ["check_clock", "check_design", "check_manager", "check_ports", "drop_caches", "state_file"]

log = logging.getLogger(__name__)
_SLCR = 0xF8000000
_RESETS, _SHIFTERS = 0x240, 0x900  # FPGA_RST_CTRL: bit 0 holds the logic in reset; LVL_SHFTR_EN: 0xF opens all ports
_CLOCK_STOP = 0x178  # FPGA0_THR_CNT: the kernel stops FCLK0 by its bit 0
_TOLERANCE = 0.01


def check_manager(files: KernelFiles) -> None:
    """Raise BoardError unless the FPGA manager says that the logic is configured, or there is none to ask."""
    state = files.manager_state
    if state not in (None, "operating"):
        raise BoardError(f"the FPGA manager says {state!r} (/{FPGA_MANAGER}/state), not 'operating': the logic is not "
                         "configured, and reading a register would stall the processor; load the overlay again, "
                         "and look into dmesg")


def check_ports(device: Any) -> None:
    """Raise BoardError where the way to the logic is shut: level shifters, reset, a stopped clock."""
    if not has_slcr(device):
        return
    from pynq import MMIO

    slcr = MMIO(_SLCR, 0x1000, device=device)
    shifters, resets, stop = (int(slcr.read(offset)) for offset in (_SHIFTERS, _RESETS, _CLOCK_STOP))
    wrong = []
    if shifters & 0xF != 0xF:
        wrong.append(f"level shifters are {shifters:#x} instead of 0xf")
    if resets & 1:
        wrong.append("the logic is held in reset")
    if stop & 1:
        wrong.append("its clock FCLK0 is stopped")
    if wrong:
        raise BoardError(f"the logic cannot answer ({', '.join(wrong)}), and reading a register would stall the "
                         "processor: load the overlay again, or power the board off and on")


def check_clock(device: Any, files: KernelFiles, wanted: float) -> float | None:
    """Measure FCLK0, and set it where it is wrong.

    Parameters
    ----------
    wanted : float
        MHz that the overlay is made for.

    Returns
    -------
    float or None
        MHz; None where it cannot be read.

    Raises
    ------
    BoardError
        It is wrong and cannot be set.
    """
    found = _fclk0(device)
    if found is None:
        found = files.clock_mhz(0)
        if found is None:
            log.info("the clock of the logic cannot be read; the overlay is made for %g MHz", wanted)
            return None
    if abs(found - wanted) <= _TOLERANCE * wanted:
        return found
    log.warning("the clock of the logic is %g MHz, the overlay is made for %g MHz: setting it", found, wanted)
    from pynq.ps import Clocks

    try:
        Clocks.fclk0_mhz = wanted
    except Exception as error:
        raise BoardError(f"FCLK0 is {found:g} MHz, the overlay is made for {wanted:g} MHz, and pynq cannot set it "
                         f"({type(error).__name__}: {error}): a faster clock gives wrong answers") from error
    now = _fclk0(device)
    if now is None or abs(now - wanted) > _TOLERANCE * wanted:
        raise BoardError(f"FCLK0 stays at {'an unknown rate' if now is None else f'{now:g} MHz'} after setting "
                         f"{wanted:g} MHz: load the overlay again, or power the board off and on")
    return now


def _fclk0(device: Any) -> float | None:
    """Rate by the clock registers, which pynq writes behind the kernel's back."""
    if not has_slcr(device):
        return None
    from pynq.ps import Clocks

    try:
        return float(Clocks.fclk0_mhz)
    except ZeroDivisionError:
        return 0.0
    except RuntimeError as error:
        log.debug("pynq cannot read the clocks: %s", error)
        return None


def state_file(device: Any) -> Path | None:
    """Where pynq >= 3.0 notes what it has loaded; None where it does not."""
    try:
        from pynq.pl_server import global_state
    except ImportError:
        return None
    # 3.0: one file; from 3.1 on a tag may be in the name, which pynq's own devices leave empty.
    folder = Path(global_state.STATE_DIR)
    names = ("global_pl_state_{}.json".format(getattr(device, "tag", "")), "global_pl_state_.json",
             "global_pl_state.json")
    return next((folder / name for name in names if (folder / name).exists()), None)


def check_design(device: Any, bitstream: Path) -> None:
    """Raise ForeignBitstreamError where pynq has noted another bitstream than ours."""
    path = state_file(device)
    if path is None:
        return
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
        named, digest = str(note["bitfile_name"]), str(note.get("bitfile_hash", ""))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        log.debug("%s says nothing: %s", path, error)
        return
    if digest and digest != _sha1(bitstream):
        raise ForeignBitstreamError(f"the logic holds {named} by {path} (configured {note.get('timestamp', '?')}), "
                                    f"not {bitstream}: another program has loaded it; end it and load again")


def _sha1(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()  # which pynq chose


def drop_caches(device: Any) -> list[str]:
    """Remove pynq's notes and its cached metadata, which may be of files that are gone; their names."""
    gone = []
    path = state_file(device)
    if path is not None:
        for stale in (path, path.with_name("_current_metadata.pkl")):
            try:
                os.remove(str(stale))
            except OSError:
                continue
            gone.append(stale.name)
    return gone
