"""The offload driver through the real pynq package; only the device under pynq is emulated."""
from __future__ import annotations

import gc
import shutil

import numpy as np
import offload
import oracle_conv
import pytest

pytest.importorskip("pynq", reason="needs the real pynq package (pip install 'pynq==4.0.0' 'pycparser<3')")

import pynq  # noqa: E402
from emulated_device import EmulatedZynq  # noqa: E402

from qnn_pynq.boards import open_board  # noqa: E402
from qnn_pynq.catalogue import cached_path  # noqa: E402
from qnn_pynq.drivers.qnn_mo import QnnMoDriver  # noqa: E402

pytestmark = pytest.mark.pynq


@pytest.fixture
def board(golden):
    """The published W1A2 overlay's files in the cache, and a device under pynq."""
    circuit = offload.overlay("w1a2")
    for file in circuit.files.values():
        place = cached_path(circuit, file)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(golden / "qnn-mo" / "bitstreams" / file.name), str(place))
    assert not hasattr(pynq.Device, "_active_device")
    pynq.Device.active_device = EmulatedZynq(circuit)
    with open_board("zynq", device=pynq.Device.active_device) as opened:
        yield opened
    del pynq.Device._active_device
    if hasattr(pynq.ps.Clocks, "_real_instance"):
        del pynq.ps.Clocks._real_instance
    shutil.rmtree(str(place.parent))


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
