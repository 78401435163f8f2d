"""The C loop that ships, through pynq's MMIO on mapped registers that another process serves; golden vectors."""
from __future__ import annotations

import signal
import time

import lfc
import numpy as np
import pytest

pytest.importorskip("pynq", reason="needs the real pynq package: tools/pynq_env.sh")

from emulated_device import EmulatedZynq, Pool, active  # noqa: E402
from pynq.buffer import PynqBuffer  # noqa: E402
from register_slave import BASE, Slave  # noqa: E402

from qnn_pynq.errors import DeadlineError  # noqa: E402
from qnn_pynq.families.bnn_pynq.driver import BnnPynqDriver  # noqa: E402

pytestmark = pytest.mark.pynq


class SharedPool(Pool):
    """Buffers in the memory that the slave sees; coherent, as there is no second view of it."""

    def allocate(self, shape, dtype, **_):
        nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address, _logic = self.memory.allocate(nbytes)
        raw = self.device.slave.memory[address - BASE:address - BASE + nbytes]
        buffer = PynqBuffer(shape, dtype, bo=address, device=self.device, buffer=memoryview(raw),
                            device_address=address, coherent=True)
        buffer.memory, buffer.pointer, buffer.return_to, buffer.freed = self, address, self, True
        return buffer


class MappedZynq(EmulatedZynq):
    """Registers are a plain memory map, as on the board."""

    def __init__(self, overlay, folder):
        super().__init__(overlay, memory_limit=8 << 20)
        self.folder, self.slave = folder, None
        self.pool = self.default_memory = SharedPool(self, 8 << 20)

    def program(self):
        self.stop()
        self.slave = Slave(self.folder, self.overlay.name)

    def stop(self):
        if self.slave is not None:
            self.slave.stop()

    def mmap(self, base_addr, length):
        if base_addr == self.overlay.ip.address:
            return self.slave.registers[:length >> 2]
        return super().mmap(base_addr, length)


@pytest.fixture
def device(circuit, tmp_path):
    with active(MappedZynq(circuit, tmp_path)) as made:
        yield made
        made.stop()


def test_golden_words_through_the_c_loop_and_registers_of_another_process(
        board, device, circuit, fetched, published, golden, shared_data):
    driver = BnnPynqDriver(board, circuit, capacity=256)
    driver.load(published, timeout=300)
    assert board.ip(circuit.ip.name).mapped
    three = lfc.idx(golden / "bnn-pynq" / "images" / "3.image-idx3-ubyte")
    assert lfc.run_packed(driver, lfc.mnist_bits(three)).tolist() == [0x8]
    pictures = lfc.idx(shared_data / "mnist" / "t10k-images-idx3-ubyte.gz")[:200]
    words = (golden / "bnn-pynq" / "results" / "t10k_lfcW1A1_gold.bin").read_bytes()
    assert np.array_equal(lfc.run_packed(driver, lfc.mnist_bits(pictures)), np.frombuffer(words, "<u8")[:200])
    driver.close()


def test_a_slave_that_stops_answering_is_left_at_the_deadline_and_reset(board, device, circuit, fetched):
    driver = BnnPynqDriver(board, circuit, capacity=16)
    board.configure(circuit)
    device.slave.process.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    with pytest.raises(DeadlineError, match="step .* of .*register 0x0 showed none of the bits 0x6 within 0.3 s"):
        driver.load(lfc.network(circuit), timeout=0.3)
    assert 0.3 <= time.monotonic() - begun < 10
    board.reset()
    assert board.ip(circuit.ip.name).read(0) == 4
    driver.close()
