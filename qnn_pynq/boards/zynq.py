"""The FPGA of a PYNQ-Z1/Z2 through pynq's own Overlay, MMIO and allocate; pynq is imported on opening."""
from __future__ import annotations

import logging
import os
import re
import tempfile
from pathlib import Path
from typing import Any, Callable
from weakref import ref

import numpy as np

from ..errors import BoardBusyError, BoardError, BoardUnavailableError, ClosedError, DeadlineError
from .base import Board, Buffer, Registers, shape_bytes
from .clock import Clock, RealClock
from .program import check_program, play_plainly

__all__ = ["ZynqBoard", "ZynqBuffer", "ZynqRegisters", "fpga_present", "shared_board"]

log = logging.getLogger(__name__)
FPGA_MANAGER = Path("/sys/class/fpga_manager/fpga0")
DEVICE_TREE = Path("/proc/device-tree")


def fpga_present() -> bool:
    """Whether this machine is a Zynq-7000 with an FPGA manager. Needs neither pynq nor root."""
    try:
        return FPGA_MANAGER.exists() and b"xlnx,zynq-7000" in (DEVICE_TREE / "compatible").read_bytes()
    except OSError:
        return False


def _find_device() -> Any:
    """pynq's active device, or BoardUnavailableError with the cause and the remedy."""
    real = fpga_present()
    if real and hasattr(os, "geteuid") and os.geteuid() != 0:
        raise BoardUnavailableError("the FPGA needs root: start Python with `sudo -i`, "
                                    "or use the image's Jupyter")
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
        cause = "pynq does not recognise the FPGA" if real else "this machine has no FPGA that pynq can use"
        raise BoardUnavailableError(f"{cause} ({error}): without a board use board='emulated'") from error


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _board_name(device: Any) -> str:
    """Pynq-Z1, Pynq-Z2, ... as well as can be known, or ""."""
    names = [str(getattr(device, "name", "")), os.environ.get("BOARD", "")]
    try:
        names.append((DEVICE_TREE / "chosen" / "pynq_board").read_text().strip("\0\n "))
    except OSError:
        pass
    return next((name for name in names if _plain(name).startswith("pynq")), "")


class _ProcessLock:
    """One process at a time; the kernel drops the lock when its holder dies."""

    def __init__(self, tag: str) -> None:
        import fcntl

        self._fd = -1
        folder = "/run/lock" if os.access("/run/lock", os.W_OK) else tempfile.gettempdir()
        self.path = os.path.join(folder, "qnn-pynq-{}.lock".format(re.sub(r"\W", "_", tag)))
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise BoardUnavailableError(f"lock file {self.path} cannot be opened: {error}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._fd, 32).decode("ascii", "replace").strip() or "?"
            os.close(self._fd)
            self._fd = -1
            who = "this process" if holder == str(os.getpid()) else f"process {holder}"
            raise BoardBusyError(
                f"the FPGA is in use by {who} ({self.path}): close its board or end it (a notebook: shut its "
                "kernel down); within one process share one board") from error
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, str(os.getpid()).encode("ascii"), 0)

    def __del__(self) -> None:
        self.release()

    def release(self) -> None:
        """Let the next one in; idempotent."""
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = -1


class ZynqRegisters(Registers):
    """Window onto an IP; real memory maps are played by the C loop."""

    def __init__(self, board: ZynqBoard, mmio: Any) -> None:
        self._board = board
        self._generation = board.generation
        self._mmio = mmio  # keeps the mapping alive
        self._array = mmio.array
        self.window = int(mmio.length)
        self.mapped = isinstance(self._array, np.ndarray) and self._array.dtype == np.uint32

    def _check(self, offset: int) -> int:
        self._board.check_open()
        if self._generation != self._board.generation:
            # An address without a slave behind it stalls the processor for good.
            raise BoardError("the logic was configured again: take the registers from board.ip() anew")
        return self.check(offset)

    def read(self, offset: int) -> int:
        return int(self._array[self._check(offset) >> 2])

    def write(self, offset: int, value: int) -> None:
        if not 0 <= value <= 0xFFFFFFFF:
            raise BoardError(f"register value {value}: expected 0..2**32-1")
        self._array[self._check(offset) >> 2] = int(value)

    def play(self, program: np.ndarray, timeout: float) -> None:
        check_program(program, self.window)
        if not self.mapped:
            play_plainly(self, program, self._board.clock, timeout)
            return
        from ..kernels import PLAY_DONE, play

        self._check(0)
        status, step = play(self._array, program, timeout)
        if status != PLAY_DONE:
            _, offset, value = program[step].tolist()
            raise DeadlineError(f"step {step} of {len(program)}: register {offset:#x} showed none of the "
                                f"bits {value:#x} within {timeout:g} s; reset the board and configure again")


class ZynqBuffer(Buffer):
    """A pynq buffer, cacheable: flush and invalidate are real."""

    def __init__(self, buffer: Any) -> None:
        self._buffer = buffer
        self._bytes = buffer.reshape(-1).view(np.uint8)
        self._array: Any = buffer.view(np.ndarray)  # arithmetic on a PynqBuffer keeps a wrong address
        self._slices = type(buffer).__name__ == "PynqBuffer"  # RemoteBuffer's slices have wrong addresses
        self.device_address = int(buffer.device_address)  # of the root, once
        self.nbytes = int(buffer.nbytes)

    @property
    def array(self) -> np.ndarray:
        self._check()
        view: np.ndarray = self._array
        return view

    def _check(self) -> None:
        if self.closed:
            raise ClosedError(f"buffer at {self.device_address:#x} is closed: allocate another")

    def _part(self, nbytes: int | None) -> Any:
        self._check()
        if nbytes is None or nbytes >= self.nbytes or not self._slices:
            return self._buffer
        return self._bytes[:nbytes]

    def flush(self, nbytes: int | None = None) -> None:
        self._part(nbytes).flush()

    def invalidate(self, nbytes: int | None = None) -> None:
        self._part(nbytes).invalidate()

    def close(self) -> None:
        # Freed with the last view: unmapping under one would kill the process.
        self.closed = True
        self._buffer = self._bytes = self._array = None


class ZynqBoard(Board):
    """The FPGA.

    Parameters
    ----------
    device : pynq Device, optional
        Default: pynq's active device. A given one is made the active one, since pynq looks there.
    clock : Clock, optional

    Raises
    ------
    BoardUnavailableError
        With the cause: no pynq, no FPGA, not root, XILINX_XRT not set.
    BoardBusyError
        The FPGA belongs to another process, or to another ZynqBoard of this one.
    """

    kind = "zynq"
    users = 1  # see shared_board()

    def __init__(self, device: Any = None, clock: Clock | None = None) -> None:
        super().__init__(clock if clock is not None else RealClock())
        self.device = _find_device() if device is None else device
        import pynq

        self._pynq = pynq
        pynq.Device.active_device = self.device
        self.board_name = _board_name(self.device)
        self.name = self.board_name or "FPGA"
        self._overlay: Any = None
        self._design: Any = None  # pynq's Overlay
        self._signature: Any = None
        self._ips: dict[str, ZynqRegisters] = {}
        self._lock_file = _ProcessLock(str(getattr(self.device, "tag", "fpga0")))

    def load(self, overlay: Any) -> None:
        """Configure the logic, from files that the catalogue has verified.

        Raises
        ------
        BoardUnavailableError
            The overlay is for other boards.
        OverlayMissingError, DigestError
            Bitstream or .hwh are not here yet, or not the right ones.
        BoardError
            pynq cannot load it.
        """
        from ..catalogue import overlay_files

        with self.lock:
            self.check_open()
            if self.loaded == overlay:
                return
            if self.board_name and _plain(self.board_name) not in map(_plain, overlay.boards):
                raise BoardUnavailableError(f"overlay {overlay.name} is for {', '.join(overlay.boards)}, "
                                            f"this is a {self.board_name}")
            files = overlay_files(overlay)
            bitstream = str(files["bitstream"])
            if files["hwh"] != files["bitstream"].with_suffix(".hwh"):
                raise BoardError(f"{files['hwh']}: pynq wants it beside the bitstream, as "
                                 f"{files['bitstream'].with_suffix('.hwh')}")
            self._configure(overlay, lambda: self._pynq.Overlay(bitstream, device=self.device))

    def _configure(self, overlay: Any, load: Any) -> None:
        self._forget()
        try:
            design = load()
        except Exception as error:
            version = getattr(self._pynq, "__version__", "?")
            hint = "; pynq 4 dropped Zynq-7000 boards, use the 3.1 image" if version.startswith("4") else ""
            raise BoardError(f"pynq {version} cannot load overlay {overlay.name}: "
                             f"{type(error).__name__}: {error}{hint}") from error
        entry = design.ip_dict.get(overlay.ip.name)
        if entry is None or int(entry["phys_addr"]) != overlay.ip.address:
            raise BoardError(f"overlay {overlay.name}: ip {overlay.ip.name} is not at "
                             f"{overlay.ip.address:#x} in the .hwh, which has {sorted(design.ip_dict)}: "
                             "fetch the overlay again")
        self._design, self._overlay, self._signature = design, overlay, self._state()
        log.info("%s: configured with %s", self.name, overlay.name)

    def _forget(self) -> None:
        self._overlay = self._design = self._in_flight = None
        self._ips = {}
        self.generation += 1

    def _state(self) -> Any:
        """Changes when any process loads a bitstream through pynq >= 3 (its state file)."""
        try:
            from pynq.pl_server.global_state import STATE_DIR

            stat = os.stat(os.path.join(STATE_DIR, f"global_pl_state_{self.device.tag}.json"))
            return stat.st_mtime_ns, stat.st_ino
        except (ImportError, AttributeError, OSError):
            return None

    @property
    def loaded(self) -> Any:
        if self._overlay is not None and not (self._design.is_loaded() and self._state() == self._signature):
            log.warning("%s: somebody else has configured the logic", self.name)
            self._forget()
        return self._overlay

    def ip(self, name: str) -> ZynqRegisters:
        self.check_open()
        if name not in self._ips:
            overlay = self.loaded
            if overlay is None or name != overlay.ip.name:
                has = overlay.ip.name if overlay is not None else "no overlay; load one first"
                raise BoardError(f"ip {name!r}: the logic has {has}")
            ip = overlay.ip
            self._ips[name] = ZynqRegisters(self, self._pynq.MMIO(ip.address, ip.range, device=self.device))
        return self._ips[name]

    def allocate(self, shape: int | tuple[int, ...], dtype: Any = np.uint8) -> ZynqBuffer:
        sizes, kind, nbytes = shape_bytes(shape, dtype)
        with self.lock:
            self.check_open()
            try:
                buffer = self._pynq.allocate(sizes, kind, target=self.device, cacheable=1)
            except (RuntimeError, MemoryError, OSError) as error:
                raise BoardError(f"no contiguous memory for {nbytes} bytes ({error}): close other buffers "
                                 "and notebooks, or use smaller batches") from error
            buffer[:] = 0
            buffer.flush()  # a dirty line that leaves the cache late would overwrite what the logic wrote
            return ZynqBuffer(buffer)

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
                self._lock_file.release()


_shared: Callable[[], ZynqBoard | None] = lambda: None  # noqa: E731 (a dead weak reference)


def shared_board() -> ZynqBoard:
    """The FPGA's board of this process: one for all classifiers, so that a notebook's cell can be run again.

    Closed when each of them has closed it.
    """
    global _shared
    board = _shared()
    if board is not None:
        with board.lock:
            if not board.closed:
                board.users += 1
                return board
    board = ZynqBoard()
    _shared = ref(board)
    return board
