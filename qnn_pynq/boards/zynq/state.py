"""Is it safe to touch the logic? A register that nobody answers for stalls a Zynq-7000's core for good.

So state, clock and identity are looked at where the processor alone answers: kernel's files, SLCR, pynq's notes.
"""
from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from pathlib import Path
from typing import Any

from ...contracts import chip
from ...errors import BoardError, ForeignBitstreamError
from ...files.bounded import MOST_TEXT, XML_ERRORS, read_bytes, read_xml
from .device import has_slcr
from .kernel import KernelFiles

__all__ = ["check_clock", "check_design", "check_manager", "check_ports", "clock_number", "drop_caches", "state_file"]

_log = logging.getLogger(__name__)
_FCLK = re.compile(r"FCLK_CLK([0-3])\Z")
_TOLERANCE = 0.01


def check_manager(files: KernelFiles) -> None:
    """Raise BoardError unless the FPGA manager says that the logic is configured, or there is none to ask."""
    state = files.manager_state
    if state not in (None, "operating"):
        raise BoardError(f"the FPGA manager says {state!r} (/{chip.FPGA_MANAGER}/state), not 'operating': the logic is "
                         "not configured, and reading a register would stall the processor; load the overlay again, "
                         "and look into dmesg")


def check_ports(device: Any, files: KernelFiles, clock: int | None) -> None:
    """Raise BoardError where the way to the logic is shut: level shifters, reset, FCLK `clock` stopped."""
    if not has_slcr(device):
        return
    from pynq import MMIO

    slcr = MMIO(chip.SLCR, chip.SLCR_BYTES, device=device)
    shifters, resets = int(slcr.read(chip.LEVEL_SHIFTERS)), int(slcr.read(chip.FPGA_RESETS))
    wrong = []
    if shifters & chip.LEVEL_SHIFTERS_OPEN != chip.LEVEL_SHIFTERS_OPEN:
        wrong.append(f"level shifters are {shifters:#x} instead of {chip.LEVEL_SHIFTERS_OPEN:#x}")
    if resets & chip.LOGIC_IN_RESET:
        wrong.append("the logic is held in reset")
    if clock is not None and int(slcr.read(chip.FCLK_STOP + chip.FCLK_STEP * clock)) & 1:
        # Known from the kernel's driver only, so a load is refused when the kernel says the same.
        if files.clock_users(clock) == 0:
            wrong.append(f"its clock FCLK{clock} is stopped")
        else:
            _log.warning("FCLK%d seems to be stopped; if the processor stalls now, power the board off and on", clock)
    if wrong:
        raise BoardError(f"the logic cannot answer ({', '.join(wrong)}), and reading a register would stall the "
                         "processor: load the overlay again, or power the board off and on")


def clock_number(hwh: Path, ip: str) -> int | None:
    """Which FCLK of the processor clocks an ip; None where its clocks are several, or made in the logic.

    0 where the .hwh does not say.
    """
    try:
        root = read_xml(hwh)
    except XML_ERRORS as error:
        _log.debug("%s says nothing of clocks: %s", hwh, error)
        return 0
    sources = set()
    for module in root.iter("MODULE"):
        if module.get("FULLNAME", module.get("INSTANCE", "")).lstrip("/") != ip:
            continue
        for port in module.iter("PORT"):
            if port.get("SIGIS") == "clk" and port.get("DIR") == "I":
                found = [_FCLK.match(each.get("PORT", "")) for each in port.iter("CONNECTION")]
                sources.add(next((int(each.group(1)) for each in found if each), None))
    return sources.pop() if len(sources) == 1 else None if sources else 0


def check_clock(device: Any, files: KernelFiles, wanted: float, clock: int | None = 0) -> float | None:
    """Measure the logic's clock, and set it where it is wrong.

    Parameters
    ----------
    wanted : float
        MHz that the overlay is made for.
    clock : int or None
        Number of the FCLK; of None nothing is known.

    Returns
    -------
    float or None
        MHz; None where it cannot be read.

    Raises
    ------
    BoardError
        It is wrong and cannot be set.
    """
    found = None if clock is None else _fclk(device, clock)
    if found is None and clock is not None:
        found = files.clock_mhz(clock)
    if clock is None or found is None:
        _log.info("the clock of the logic cannot be read; the overlay is made for %g MHz", wanted)
        return None
    if abs(found - wanted) <= _TOLERANCE * wanted:
        return found
    _log.warning("the clock of the logic is %g MHz, the overlay is made for %g MHz: setting it", found, wanted)
    from pynq.ps import Clocks

    try:
        setattr(Clocks, f"fclk{clock}_mhz", wanted)
    except Exception as error:
        raise BoardError(f"FCLK{clock} is {found:g} MHz, the overlay is made for {wanted:g} MHz, and pynq cannot set "
                         f"it ({type(error).__name__}: {error}): a faster clock gives wrong answers") from error
    now = _fclk(device, clock)
    if now is None or abs(now - wanted) > _TOLERANCE * wanted:
        raise BoardError(f"FCLK{clock} stays at {'an unknown rate' if now is None else f'{now:g} MHz'} after setting "
                         f"{wanted:g} MHz: load the overlay again, or power the board off and on")
    return now


def _fclk(device: Any, clock: int) -> float | None:
    """Rate by the clock registers, which pynq writes behind the kernel's back."""
    if not has_slcr(device):
        return None
    from pynq.ps import Clocks

    try:
        return float(getattr(Clocks, f"fclk{clock}_mhz"))
    except ZeroDivisionError:
        return 0.0
    except RuntimeError as error:
        _log.debug("pynq cannot read the clocks: %s", error)
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
        note = json.loads(read_bytes(path, MOST_TEXT).decode("utf-8"))
        named, digest = str(note["bitfile_name"]), str(note.get("bitfile_hash", ""))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        _log.debug("%s says nothing: %s", path, error)
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
