"""A pynq Device without hardware, for pynq 2.7 to 4.0: pynq's own Overlay, MMIO, allocate and caches over our twins.

pynq meets memory-mapped windows (the IPs of the overlay, which are our twins, and the SLCR page for the clocks) and
buffers whose logic view is our EmulatedMemory. Nothing of pynq is patched; what one release lacks is filled in here.
"""
from __future__ import annotations

import contextlib
import glob
import itertools
import os
import re
from typing import Any, Iterator

import numpy as np
import pynq
from pynq.buffer import PynqBuffer
from pynq.pl_server import embedded_device
from pynq.pl_server.device import Device

from qnn_pynq.boards.emulated import EmulatedMemory
from qnn_pynq.contracts.clock import RealClock
from qnn_pynq.contracts.families import twin_class

VERSION = tuple(int(part) for part in pynq.__version__.split(".")[:2])
SYNCS_WHOLE_BUFFERS = VERSION >= (3, 1)  # whatever slice was flushed
SLCR = 0xF8000000
# What a Z1 has after boot: PLL feedback dividers for a 50 MHz crystal, FPGA clocks from the IO PLL, open shifters.
SLCR_RESET = {0x100: 26 << 12, 0x104: 21 << 12, 0x108: 20 << 12, 0x120: 0x1F000200,
              0x170: 0x00200500, 0x180: 0x00200500, 0x190: 0x00200500, 0x1A0: 0x00200500, 0x900: 0xF}
_numbers = itertools.count()


class Window:
    """Array-like of 32-bit registers with side effects, as MMIO and Register want it."""

    def __init__(self, read: Any, write: Any, length: int, start: int = 0) -> None:
        self._read, self._write, self._start, self._length = read, write, start, length
        self.shape = (length // 4,)

    def __len__(self) -> int:
        return self.shape[0]

    def view(self, dtype: Any) -> Window:
        assert np.dtype(dtype).itemsize == 4
        return self

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            first, last, _ = index.indices(len(self))
            return Window(self._read, self._write, 4 * (last - first), self._start + 4 * first)
        return self._read(self._start + 4 * int(index))

    def __setitem__(self, index: int, value: Any) -> None:
        self._write(self._start + 4 * int(index), int(value))


class Pool:
    """Contiguous memory for pynq.allocate; the logic's view is apart from the processor's."""

    def __init__(self, device: EmulatedZynq, limit: int) -> None:
        self.device, self.memory = device, EmulatedMemory(limit)
        self.live: dict[int, np.ndarray] = {}  # processor's bytes by address
        self.sizes: dict[int, int] = {}
        self.freed: list[int] = []

    def allocate(self, shape: Any, dtype: Any, **_: Any) -> PynqBuffer:
        dtype = np.dtype(dtype)
        nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if self.device.faults is not None:
            self.device.faults.check_allocation(nbytes)
        address, _logic = self.memory.allocate(nbytes)
        raw = np.zeros(max(nbytes, 1), np.uint8)
        buffer = PynqBuffer(shape, dtype, bo=address, device=self.device, buffer=memoryview(raw),
                            device_address=address, coherent=False)
        self.live[address], self.sizes[address] = raw, nbytes
        # Without `freed` a second free would unmap Python's own memory.
        buffer.memory, buffer.pointer, buffer.return_to, buffer.freed = self, address, self, True
        return buffer

    def return_pointer(self, pointer: int) -> None:
        self.freed.append(pointer)
        self.live.pop(pointer, None)
        self.memory.free(pointer)

    def copy(self, bo: int, offset: int, size: int, to_logic: bool) -> None:
        self.device.settle()
        if SYNCS_WHOLE_BUFFERS:
            offset, size = 0, self.sizes[bo]
        processor = self.live[bo][offset:offset + size]
        logic = self.memory.read(bo + offset, size)
        if to_logic:
            logic[:] = processor
        else:
            processor[:] = logic


class _Bitfile(embedded_device.BitfileHandler):
    """pynq's own reader of bitstream, .hwh and metadata cache; xclbinutil exists on boards only."""

    def get_xclbin_data(self) -> bytes:
        return embedded_device.DEFAULT_XCLBIN


class EmulatedZynq(Device):
    """A Pynq-Z1 whose logic is a twin."""

    def __init__(self, overlay: Any, clock: Any = None, memory_limit: int = 16 << 20,
                 name: str = "Pynq-Z1", faults: Any = None) -> None:
        tag = f"qnn-test-{os.getpid()}-{next(_numbers)}"
        super().__init__(tag, **({"server_type": "local"} if VERSION < (3, 0) else {}))
        self.name = name
        self.arch = "armv7l"
        self.capabilities = {"MEMORY_MAPPED": True}
        self.overlay, self.clock, self.faults = overlay, clock or RealClock(), faults
        self.pool = self.default_memory = Pool(self, memory_limit)
        self.twin: Any = None
        self.windows: dict[int, Any] = {}  # further models by address: objects with read, write and range
        self.downloads = 0
        self.slcr = dict(SLCR_RESET)
        self.fills_in_clocks = True

    def settle(self) -> None:
        if self.twin is not None:
            self.twin.settle()

    def mmap(self, base_addr: int, length: int) -> Window:
        for ip in self.overlay.ips if self.twin is not None else ():
            if base_addr == ip.address:
                twin = self.twin.ip(ip.name)
                return Window(self._touching(twin.read), self._touching(twin.write), min(length, ip.range))
        if base_addr in self.windows:
            model = self.windows[base_addr]
            return Window(model.read, model.write, min(length, model.range))
        if base_addr == SLCR:
            return Window(lambda at: self.slcr.get(at, 0), lambda at, value: self.slcr.update({at: value}), length)
        raise RuntimeError(f"nothing is mapped at {base_addr:#x}")

    def _touching(self, access: Any) -> Any:
        """Where an injected signal may come."""
        if self.faults is None:
            return access

        def touched(*arguments: int) -> Any:
            self.faults.touch()
            answer = access(*arguments)
            self.faults.touch()
            return answer

        return touched

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> Any:
        if VERSION < (3, 0):  # its HWH is abstract on a PC
            from pynq.pl_server.hwh_parser import _HWHZynq

            parser = _HWHZynq(os.path.splitext(bitfile_name)[0] + ".hwh")
            parser.systemgraph = None
            return parser
        parser = _Bitfile(bitfile_name).get_parser(partial=partial)
        if VERSION >= (4, 0) and self.fills_in_clocks:
            for number, clock in enumerate(parser.clock_dict.values()):
                # It sets clocks from a parameter that Zynq-7000 designs do not have.
                clock["frequency"] = self._frequency(bitfile_name, number)
        return parser

    @staticmethod
    def _frequency(bitfile_name: str, number: int) -> float:
        with open(os.path.splitext(bitfile_name)[0] + ".hwh", encoding="utf-8") as file:
            pattern = rf'PCW_ACT_FPGA{number}_PERIPHERAL_FREQMHZ" VALUE="([0-9.]+)"'
            found = re.search(pattern, file.read())
        assert found
        return float(found.group(1))

    def download(self, bitstream: Any, parser: Any = None) -> None:
        self.downloads += 1
        if VERSION >= (3, 0):  # the state file and the metadata cache, as on the board
            embedded_device.EmbeddedDevice.gen_cache(self, bitstream, parser)
        self.program()
        self.parsed = parser
        super().post_download(bitstream, parser, *([self.name] if VERSION >= (3, 0) else []))

    def program(self) -> None:
        """What the FPGA manager does, whoever asks it."""
        self.twin = twin_class(self.overlay.kind)(self.overlay, self.pool.memory, self.clock)
        self.twin.faults, self.twin.reprogrammed = self.faults, self.reprogram

    def reprogram(self) -> None:
        """Somebody else's load, as pynq sees it."""
        self.reset(self.parsed, "another time", "/home/xilinx/another.bit")

    def flush(self, bo: int, offset: int, ptr: Any, size: int) -> None:
        self.pool.copy(bo, offset, size, to_logic=True)

    def invalidate(self, bo: int, offset: int, ptr: Any, size: int) -> None:
        self.pool.copy(bo, offset, size, to_logic=False)

    def gen_cache(self, *_: Any, **__: Any) -> None:
        pass

    def shutdown(self) -> None:
        pass

    def close(self) -> None:
        if VERSION < (3, 0):
            super().close()


def caches() -> list[str]:
    """The files that pynq >= 3 leaves in its own package."""
    folder = os.path.dirname(embedded_device.__file__)
    return glob.glob(os.path.join(folder, "global_pl_state*.json")) + glob.glob(
        os.path.join(folder, "_current_metadata.pkl"))


@contextlib.contextmanager
def active(device: EmulatedZynq) -> Iterator[EmulatedZynq]:
    """The device as pynq's active one, without a trace afterwards."""
    assert not hasattr(Device, "_active_device")
    Device.active_device = device
    if VERSION < (3, 1):  # these ask the processor that they run on
        pynq.ps.Clocks._real_instance = pynq.ps._ClocksZynq()
    try:
        yield device
    finally:
        del Device._active_device
        if hasattr(pynq.ps.Clocks, "_real_instance"):
            del pynq.ps.Clocks._real_instance  # kept for ever, with the first device's clocks
        for path in caches():
            os.remove(path)
        device.close()
