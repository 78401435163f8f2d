"""The offload driver through the real pynq package; only the device under pynq is emulated."""
from __future__ import annotations

import gc

import numpy as np
import offload
import oracle_conv
import pytest

pytest.importorskip("pynq", reason="needs the real pynq package: tools/pynq_env.sh")

from emulated_device import EmulatedZynq, active  # noqa: E402

from qnn_pynq.boards import open_board  # noqa: E402
from qnn_pynq.drivers.qnn_mo import QnnMoDriver  # noqa: E402

pytestmark = pytest.mark.pynq


@pytest.fixture
def board(fetched_offload):
    """A device under pynq for the published W1A2 overlay."""
    with active(EmulatedZynq(fetched_offload)) as device, open_board("zynq", device=device) as opened:
        yield opened


@pytest.mark.parametrize("conservative", [False, True])
def test_dorefa_net_through_pynqs_overlay_mmio_and_allocate(board, conservative):
    net = offload.dorefa_net()
    driver = QnnMoDriver(board, offload.overlay("w1a2"), conservative)
    driver.configure(net)
    maps = offload.codes(driver, 2)
    assert np.array_equal(offload.run(driver, maps), oracle_conv.forward(net.layers, maps))
    assert np.array_equal(offload.run(driver, maps[:1]), oracle_conv.forward(net.layers, maps[:1]))
    # On the clock, now: the time of the circuit is what was waited for.
    assert not driver.timing["modelled"] and driver.timing["run"] >= driver.expected_seconds(1)
    driver.close()
    gc.collect()
    assert not board.device.pool.live


def test_a_fresh_buffers_zeros_do_not_stay_in_the_cache(board):
    """A dirty line that leaves the cache late would overwrite what the circuit wrote."""
    flushed = []
    real = board.device.flush
    board.device.flush = lambda *call: flushed.append(call) or real(*call)
    buffer = board.allocate(100)
    assert [(bo, size) for bo, _, _, size in flushed] == [(buffer.device_address, 100)]
