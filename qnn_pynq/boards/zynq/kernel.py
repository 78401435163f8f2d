"""What the kernel says about the FPGA, of this machine or of a board behind PYNQ.remote."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ...contracts.chip import FPGA_MANAGER

__all__ = ["KernelFiles", "KernelLog"]


class KernelFiles:
    """Files below `/`, or below a folder that stands for it.

    Parameters
    ----------
    root : Path
    remote : pynq RemoteDevice, optional
        Read them over there instead.
    """

    def __init__(self, root: Path = Path("/"), remote: Any = None) -> None:
        self.root, self.remote = root, remote

    def text(self, path: str) -> str | None:
        """Content without trailing NULs and white space; None where the file cannot be read."""
        try:
            if self.remote is None:
                raw = (self.root / path).read_bytes()
            elif self.remote.exists_file("/" + path).exists:
                raw = self.remote.read_file("/" + path)
            else:
                return None
        except OSError:
            return None
        return raw.decode("utf-8", "replace").strip("\0 \t\r\n")

    @property
    def has_fpga(self) -> bool:
        """Whether there is an FPGA manager."""
        return self.text(FPGA_MANAGER + "/name") is not None or self.text(FPGA_MANAGER + "/state") is not None

    @property
    def manager_state(self) -> str | None:
        """What the FPGA manager says: "operating", "unknown", "write error", ...; None without one."""
        return self.text(FPGA_MANAGER + "/state")

    def clock_mhz(self, number: int) -> float | None:
        """Rate of FCLK `number` as the kernel believes it; None where debugfs is not mounted or not readable."""
        rate = self._clock(number, "clk_rate")
        return None if rate is None else rate * 1e-6

    def clock_users(self, number: int) -> int | None:
        """How many in the kernel have FCLK `number` enabled; None as of `clock_mhz`."""
        return self._clock(number, "clk_enable_count")

    def _clock(self, number: int, what: str) -> int | None:
        said = self.text(f"sys/kernel/debug/clk/fclk{number}/{what}")
        return int(said) if said and said.isdigit() else None


class KernelLog:
    """Notices in /dev/kmsg that somebody has configured the logic, by whatever program.

    The FPGA manager logs "writing FILE to MANAGER" each time. One non-blocking read a call.
    """

    def __init__(self, path: str | Path = "/dev/kmsg") -> None:
        self._fd = -1
        try:
            self._fd = os.open(str(path), os.O_RDONLY | os.O_NONBLOCK)
            os.lseek(self._fd, 0, os.SEEK_END)
        except OSError:  # not root, or none: other signs remain
            self.close()

    def configured(self) -> bool:
        """Whether the logic was configured since the last call."""
        found = False
        while self._fd >= 0:
            try:
                record = os.read(self._fd, 8192)
            except BlockingIOError:
                break
            except BrokenPipeError:  # records were overwritten before we read them
                continue
            except OSError:
                self.close()
                break
            if not record:
                break
            found = found or (b"fpga_manager" in record and b"writing " in record)
        return found

    def close(self) -> None:
        """Idempotent."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()
