"""Waiting by interrupt, through pynq's own Overlay, DMA driver, Interrupt and interrupt controller."""
from __future__ import annotations

import asyncio
import threading
import warnings

import pytest

pytest.importorskip("pynq", reason="needs the real pynq package: tools/pynq_env.sh")

import pynq  # noqa: E402
import pynq.lib.dma  # noqa: E402
from emulated_device import active  # noqa: E402
from emulated_dma import DmaZynq, Interrupts  # noqa: E402

from qnn_pynq.boards import open_board  # noqa: E402
from qnn_pynq.boards.zynq.interrupts import InterruptLine  # noqa: E402
from qnn_pynq.errors import DeadlineError  # noqa: E402

pytestmark = [pytest.mark.pynq, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
IOC, IDLE, STATUS = 0x1000, 0x2, 0x34
RUN = 0.24  # seconds; the wait looks for itself at 0.16 and 0.32


def sooner_or_later(attempt):
    """An attempt of several has to show it: on a busy machine the wait may look before the interrupt gets through."""
    return any(attempt(value) for value in range(1, 6))


@pytest.fixture
def loop():
    """The main thread's event loop, on which pynq listens."""
    made = asyncio.new_event_loop()
    asyncio.set_event_loop(made)
    yield made
    made.close()
    asyncio.set_event_loop(asyncio.new_event_loop())


@pytest.fixture
def device(tmp_path):
    with active(DmaZynq(tmp_path)) as made:
        yield made


@pytest.fixture
def board(device, loop):
    with open_board("zynq", device=device) as opened:
        opened.configure(device.overlay)
        yield opened


@pytest.fixture
def uio(board, device):
    with Interrupts(device) as made:
        yield made


class Loop:
    """Sends bytes round through the DMA's registers, as a driver of ours does."""

    def __init__(self, board, device, seconds):
        self.registers = board.ip("axi_dma_0")
        self.out, self.back = board.allocate(1024), board.allocate(1024)
        device.seconds = seconds
        for control in (0x00, 0x30):
            self.registers.write(control, 0x1001)  # run, and an interrupt when done

    def start(self, value, acknowledge=True):
        self.out.array[:] = value
        self.out.flush()
        if acknowledge:
            for status in (0x04, STATUS):
                self.registers.write(status, IOC)
        for base, buffer in ((0x30, self.back), (0x00, self.out)):
            self.registers.write(base + 0x18, buffer.device_address)
            self.registers.write(base + 0x28, 1024)

    def came(self, value):
        self.back.invalidate()
        return bool((self.back.array == value).all())


def test_pynqs_own_driver_waits_asynchronously_for_our_twin(board, device, uio, loop):
    dma = board.design.axi_dma_0
    assert isinstance(dma, pynq.lib.dma.DMA)
    out, back = board.allocate(256), board.allocate(256)
    device.seconds = 0.01
    for value in (1, 2, 3):
        out.array[:] = value
        dma.recvchannel.transfer(back.pynq_buffer)
        dma.sendchannel.transfer(out.pynq_buffer)
        loop.run_until_complete(asyncio.wait_for(dma.recvchannel.wait_async(), 5))
        loop.run_until_complete(asyncio.wait_for(dma.sendchannel.wait_async(), 5))
        assert (back.array == value).all()
    assert uio.fired


def test_a_wait_by_interrupt_looks_a_few_times_only(board, device, uio):
    moved = Loop(board, device, RUN)

    def attempt(value):
        moved.start(value)
        fired, reads = uio.fired, device.reads
        assert board.wait("axi_dma_0", (STATUS, IOC), 5.0) == IOC
        assert device.reads - reads <= 8 and moved.came(value)
        return uio.fired > fired

    assert sooner_or_later(attempt)


def test_without_the_descriptors_pin_the_same_wait_polls(board, device, uio, monkeypatch):
    moved = Loop(board, device, 0.2)
    monkeypatch.setattr(board, "interrupt_line", lambda ip: None)
    moved.start(1)
    reads = device.reads
    assert board.wait("axi_dma_0", (STATUS, IOC), 5.0) == IOC
    assert device.reads - reads > 50 and not uio.fired


def test_a_lost_interrupt_costs_time_and_nothing_else(board, device, uio):
    moved = Loop(board, device, 0.1)
    device.intc.deaf = True
    moved.start(1)
    begun = board.clock.now()
    assert board.wait("axi_dma_0", (STATUS, IOC), 5.0) == IOC
    assert moved.came(1) and not uio.fired and board.clock.now() - begun < 1


def test_an_interrupt_that_nobody_acknowledged_does_not_make_a_busy_loop(board, device, uio):
    moved = Loop(board, device, 0.0)
    moved.start(1)
    board.wait("axi_dma_0", (STATUS, IOC), 5.0)
    device.seconds = 0.2
    moved.start(2, acknowledge=False)
    reads = device.reads
    assert board.wait("axi_dma_0", (STATUS, IDLE), 5.0) == IDLE
    assert device.reads - reads < 2000 and moved.came(2)  # a busy loop makes 20,000


def test_a_wait_by_interrupt_meets_its_deadline(board, device, uio, loop):
    Loop(board, device, 0.0)
    begun = board.clock.now()
    with pytest.raises(DeadlineError, match="no answer within 0.1 s"):
        board.wait("axi_dma_0", (STATUS, IOC), 0.1)
    assert board.clock.now() - begun < 2


def test_inside_a_running_loop_and_in_other_threads_a_plain_wait_polls(board, device, uio, loop):
    moved = Loop(board, device, 0.05)

    async def notebook():
        return board.wait("axi_dma_0", (STATUS, IOC), 5.0)

    moved.start(1)
    assert loop.run_until_complete(notebook()) == IOC and moved.came(1)
    moved.start(2)
    found = []
    thread = threading.Thread(target=lambda: found.append(board.wait("axi_dma_0", (STATUS, IOC), 5.0)))
    thread.start()
    thread.join()
    assert found == [IOC] and moved.came(2)


def test_a_board_without_a_uio_device_polls(board, device, caplog):
    moved = Loop(board, device, 0.02)
    moved.start(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert board.wait("axi_dma_0", (STATUS, IOC), 5.0) == IOC
    assert moved.came(1) and "polling instead" in caplog.text


def test_a_pin_that_the_design_does_not_have_is_said_and_polled(board, device, uio, loop, caplog):
    line = InterruptLine("axi_dma_0/no_such_pin")
    assert line.wait(0.01) is None
    assert "no_such_pin" in caplog.text


def test_after_loading_again_interrupts_come_again(board, device, uio):
    def attempt(value):
        moved = Loop(board, device, RUN)
        moved.start(value)
        fired = uio.fired
        assert board.wait("axi_dma_0", (STATUS, IOC), 5.0) == IOC and moved.came(value)
        return uio.fired > fired

    assert sooner_or_later(attempt)
    board.reset()
    assert sooner_or_later(attempt)
