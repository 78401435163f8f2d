"""The FPGA of a PYNQ-Z1/Z2 through pynq's own Overlay, MMIO and allocate; pynq is imported on opening."""
from __future__ import annotations

import logging
import os
import threading
import weakref
from pathlib import Path
from typing import Any, Callable

import numpy as np

from ...contracts.board import Board, Buffer, shape_bytes
from ...contracts.clock import Clock, RealClock
from ...errors import BoardError, BoardUnavailableError, BusError, QnnError
from .buffer import ZynqBuffer
from .device import activate, board_name, find_device, fpga_present, is_remote, kernel_of, plain_name
from .interrupts import InterruptLine, direct_number
from .kernel import KernelLog
from .lock import ProcessLock, on_fork
from .registers import RemoteRegisters, ZynqRegisters
from .state import (
    check_clock,
    check_design,
    check_manager,
    check_ports,
    clock_number,
    drop_caches,
    state_file,
)

__all__ = ["ZynqBoard"]

_log = logging.getLogger(__name__)
# By FPGA: memory that its logic may still write to, whatever becomes of the board that it was allocated on.
_quarantines: dict[str, list[Buffer]] = {}


class ZynqBoard(Board):
    """The FPGA.

    Parameters
    ----------
    device : pynq Device, optional
        Default: pynq's active device. A given one is made the active one, since pynq looks there.
    clock : Clock, optional

    Attributes
    ----------
    clock_mhz : float or None
        Of the logic, as measured after the last load; None where it cannot be read.

    Raises
    ------
    BoardUnavailableError
        With the cause: no pynq, no FPGA, not root, XILINX_XRT not set.
    BoardBusyError
        The FPGA belongs to another process, or to another ZynqBoard of this one.
    """

    kind = "zynq"
    users = 1  # see shared.py

    def __init__(self, device: Any = None, clock: Clock | None = None) -> None:
        super().__init__(clock if clock is not None else RealClock())
        self.device = find_device() if device is None else device
        import pynq

        self._pynq = pynq
        self.remote = is_remote(self.device)
        self._files = kernel_of(self.device)
        self.board_name = board_name(self.device)
        self.name = self.board_name or "FPGA"
        self.clock_mhz: float | None = None
        self._overlay: Any = None
        self._design: Any = None  # pynq's Overlay
        self._bitstream = Path()
        self._note = ""  # pynq's state file
        self._signature: Any = None
        self._broken: BusError | None = None
        self._parent: int | None = None  # in a forked child: whose board this is
        self._ips: dict[str, ZynqRegisters] = {}
        self._lines: dict[str, InterruptLine | None] = {}
        self._buffers: weakref.WeakSet[ZynqBuffer] = weakref.WeakSet()
        self._lock_file = ProcessLock(self._lock_name())
        self._quarantined = _quarantines.setdefault(self._lock_name(), [])
        self._stale = bool(self._quarantined)
        activate(self.device)
        self._kernel_log = KernelLog(self._files.root / "dev/kmsg") if fpga_present() and not self.remote else None
        on_fork(self)

    def _lock_name(self) -> str:
        if self.remote:
            return "remote-{}".format(getattr(self.device, "ip_addr", "board"))
        # pynq 2.7 may put the process into its tag, and the FPGA is one.
        return "fpga0" if fpga_present() else str(getattr(self.device, "tag", "fpga0"))

    # -- whose it is, and whether it can be used ------------------------------------------------
    @property
    def inherited(self) -> bool:
        """Whether this process was forked from the one that opened the board."""
        return self._parent is not None

    def check_open(self) -> None:
        if self._parent is not None:
            raise BoardError(f"this board was opened by process {self._parent} before it forked this one: use it "
                             "there, or open a board here once that one is closed")
        super().check_open()

    def check_usable(self) -> None:
        """BusError after one, until the logic is configured again; else as `check_open`."""
        self.check_open()
        if self._broken is not None:
            raise BusError(f"{self.name} cannot be used since {self._broken}: reset() it") from self._broken

    def fail(self, error: BaseException, what: str) -> BusError:
        """Mark the logic as unusable after an access that it did not answer; the error to raise."""
        said = " ".join(str(error).split())[:300]  # gRPC takes five lines
        self._broken = BusError(f"{what} failed ({type(error).__name__}: {said})")
        _log.error("%s: %s", self.name, self._broken)
        return BusError(f"{self._broken}; reset() the board and load the network again")

    def forked(self, parent: int) -> None:
        """Called in a forked child: neither lock nor memory nor registers are its own."""
        self._parent = parent
        self.lock = threading.RLock()  # another thread may have held it
        self._lock_file.disown()
        for buffer in list(self._buffers):
            buffer.keep_forever()

    # -- logic --------------------------------------------------------------------------------
    def configure(self, overlay: Any) -> None:
        """Configure the logic, from files that the catalogue has verified.

        Raises
        ------
        BoardUnavailableError
            The overlay is for other boards.
        OverlayMissingError, DigestError
            Bitstream or .hwh are not here yet, or not the right ones.
        BoardError
            pynq cannot load it, or the logic would not answer: its state, clock or identity are wrong.
        """
        from ...catalogue import overlay_files

        with self.lock:
            self.check_open()
            if self._broken is None and self.loaded == overlay and not self._stale:
                return
            if self.board_name and plain_name(self.board_name) not in map(plain_name, overlay.boards):
                raise BoardUnavailableError(f"overlay {overlay.name} is for {', '.join(overlay.boards)}, "
                                            f"this is a {self.board_name}")
            files = overlay_files(overlay)
            self._bitstream = files["bitstream"]
            beside = files["bitstream"].with_suffix(".hwh")
            if files.get("hwh") != beside:
                raise BoardError(f"overlay {overlay.name}: its .hwh is {files.get('hwh', 'not in its descriptor')}, "
                                 f"pynq wants {beside}")
            self._configure(overlay, lambda: self._pynq.Overlay(str(self._bitstream), device=self.device))

    def _configure(self, overlay: Any, load: Callable[[], Any]) -> None:
        self._forget()
        activate(self.device)
        try:
            if self.remote:
                from .remote import send_bitstream

                send_bitstream(self.device, self._bitstream)
            design = self._load(overlay, load)
            check_manager(self._files)
            check_design(self.device, self._bitstream)
            clock = clock_number(self._bitstream.with_suffix(".hwh"), overlay.ip.name)
            self.clock_mhz = check_clock(self.device, self._files, overlay.clock_mhz, clock)
            check_ports(self.device, self._files, clock)
        except QnnError:
            raise
        except Exception as error:
            raise BoardError(self._cannot_load(overlay, error)) from error
        if self._kernel_log is not None:
            self._kernel_log.configured()  # by us
        # pynq's note of a remote board lies on this machine, where every other one's load changes it.
        self._note = "" if self.remote else str(state_file(self.device) or "")
        self._design, self._overlay, self._signature, self._broken = design, overlay, self._state(), None
        self._configured()
        _log.info("%s: configured with %s", self.name, overlay.name)

    def _load(self, overlay: Any, load: Callable[[], Any]) -> Any:
        """pynq's Overlay; once more without pynq's caches where these may be to blame."""
        try:
            design, problem = load(), None
        except Exception as error:
            design, problem = None, error
        wrong = "" if design is None else _differs(design, overlay)
        if problem is None and not wrong:
            return design
        gone = drop_caches(self.device)
        if gone:
            _log.warning("%s: %s; trying again without pynq's %s", self.name, problem or wrong, " and ".join(gone))
            design = self._pynq.Overlay(str(self._bitstream), device=self.device)
            wrong = _differs(design, overlay)
        elif problem is not None:
            raise problem
        if wrong:
            raise BoardError(f"overlay {overlay.name}: {wrong}: fetch the overlay again")
        return design

    def _cannot_load(self, overlay: Any, error: Exception) -> str:
        version = str(getattr(self._pynq, "__version__", "?"))
        hint = ""
        if version.startswith("4") and isinstance(error, (TypeError, KeyError)):
            hint = ("; pynq 4 dropped the Zynq-7000: it cannot set the clocks of such a design. Use the 3.1 image, or "
                    "put its own pynq back (pip install pynq==3.1.2)")
        return f"pynq {version} cannot load overlay {overlay.name}: {type(error).__name__}: {error}{hint}"

    def _forget(self) -> None:
        self._overlay = self._design = None
        self._ips, self._lines = {}, {}
        self.generation += 1

    def _state(self) -> Any:
        """Changes when any process loads another bitstream through pynq >= 3 (its state file)."""
        try:
            stat = os.stat(self._note)
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ino

    @property
    def loaded(self) -> Any:
        if self._overlay is not None:
            log_says = self._kernel_log is not None and self._kernel_log.configured()
            if log_says or self._state() != self._signature or not self._design.is_loaded():
                _log.warning("%s: somebody else has configured the logic", self.name)
                self._forget()
                self.in_flight = None
        return self._overlay

    @property
    def design(self) -> Any:
        """pynq's own Overlay of what is loaded, or None; pynq's drivers of the IPs are its attributes."""
        return self._design if self.loaded is not None else None

    def ip(self, name: str) -> ZynqRegisters:
        self.check_usable()
        if name not in self._ips:
            overlay = self.loaded
            found = [ip for ip in overlay.ips if ip.name == name] if overlay is not None else []
            if not found:
                has = ", ".join(ip.name for ip in overlay.ips) if overlay is not None else "no overlay; load one first"
                raise BoardError(f"ip {name!r}: the logic has {has}")
            check_manager(self._files)
            try:
                mmio = self._pynq.MMIO(found[0].address, found[0].range, device=self.device)
            except Exception as error:
                raise self.fail(error, f"mapping {name} at {found[0].address:#x}") from error
            self._ips[name] = (RemoteRegisters if self.remote else ZynqRegisters)(self, mmio)
        return self._ips[name]

    def interrupt_line(self, ip: str) -> InterruptLine | None:
        if ip not in self._lines:
            pin = next((found.interrupt for found in self._overlay.ips if found.name == ip), None)
            line = None
            if pin and not self.remote:
                pin = pin if "/" in pin else f"{ip}/{pin}"
                line = InterruptLine(pin, direct_number(self._bitstream.with_suffix(".hwh"), pin))
            self._lines[ip] = line
        return self._lines[ip]

    def allocate(self, shape: int | tuple[int, ...], dtype: Any = np.uint8) -> ZynqBuffer:
        sizes, kind, nbytes = shape_bytes(shape, dtype)
        with self.lock:
            self.check_open()
            try:
                buffer = self._pynq.allocate(sizes, kind, target=self.device, cacheable=1)
            except (RuntimeError, MemoryError, OSError, ValueError, OverflowError) as error:
                raise BoardError(f"no contiguous memory for {nbytes} bytes ({error}): close other buffers "
                                 "and notebooks, or use smaller batches") from error
            buffer[...] = 0
            buffer.flush()  # a dirty line that leaves the cache late would overwrite what the logic wrote
            made = ZynqBuffer(buffer)
            self._buffers.add(made)
            return made

    def reset(self) -> None:
        with self.lock:
            self.check_open()
            overlay, design = self._overlay, self._design
            if overlay is None:
                return

            def again() -> Any:
                design.download()
                return design

            self._configure(overlay, again)

    def close(self) -> None:
        """Release the board once each of its users has closed it; idempotent after that."""
        with self.lock:
            self.users -= 1
            if not self.closed and self.users <= 0:
                super().close()
                self._forget()
                if self._kernel_log is not None:
                    self._kernel_log.close()
                self._lock_file.release()


def _differs(design: Any, overlay: Any) -> str:
    """What of the overlay is not in pynq's design, or ""."""
    for ip in overlay.ips:
        entry = design.ip_dict.get(ip.name)
        if entry is None or int(entry["phys_addr"]) != ip.address:
            return f"ip {ip.name} is not at {ip.address:#x} in the .hwh, which has {sorted(design.ip_dict)}"
    return ""
