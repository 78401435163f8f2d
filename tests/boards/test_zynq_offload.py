"""The offload driver through the real pynq package; only the device under pynq is emulated."""
from __future__ import annotations

import dataclasses
import gc

import numpy as np
import offload
import pytest

pytest.importorskip("pynq", reason="needs the real pynq package: tools/pynq_env.sh")

from emulated_device import EmulatedZynq, active  # noqa: E402

from qnn_pynq.boards import open_board  # noqa: E402
from qnn_pynq.convert.qnn_mo import import_qnn_mo  # noqa: E402
from qnn_pynq.errors import ForeignBitstreamError  # noqa: E402
from qnn_pynq.families.qnn_mo.driver import QnnMoDriver  # noqa: E402
from qnn_pynq.networks import load_network, save_network  # noqa: E402

pytestmark = pytest.mark.pynq


@pytest.fixture
def board(fetched_offload):
    """A device under pynq for the published W1A2 overlay."""
    with active(EmulatedZynq(fetched_offload)) as device, open_board("zynq", device=device) as opened:
        yield opened


def codes(path, size, channels):
    """Codes (size, size, channels) of a published file with 96 bytes a pixel, four codes a byte."""
    pixels = np.fromfile(str(path), np.uint8)[: size * size * 96].reshape(size, size, 96)
    return np.stack([pixels >> shift & 3 for shift in (0, 2, 4, 6)], axis=3).reshape(size, size, 384)[:, :, :channels]


@pytest.mark.parametrize("conservative", [False, True])
def test_the_published_dorefa_net_gives_every_published_code(board, golden, tmp_path, conservative):
    folder = golden / "qnn-mo"
    save_network(import_qnn_mo(folder / "params" / "dorefanet-layers.json"), tmp_path / "net")
    net = load_network(tmp_path / "net")
    driver = QnnMoDriver(board, offload.overlay("w1a2"), conservative)
    driver.load(dataclasses.replace(net, layers=net.layers[:9]))
    given, wanted = codes(folder / "test" / "input.bin", 54, 68), codes(folder / "test" / "verification.bin", 6, 256)
    for _ in range(2):  # the second time, after a reset, with weights loaded anew
        assert given.size == 198288 and wanted.size == 9216
        driver.put(np.ascontiguousarray(given)[None])
        driver.start(1)
        assert int((driver.finish()[0] != wanted).sum()) == 0
        # On the clock, now: the time of the circuit is what was waited for.
        assert not driver.timing["modelled"] and driver.timing["run"] >= driver.expected_seconds(1)
        board.reset()
        with pytest.raises(ForeignBitstreamError):
            driver.start(1)
        driver.load(dataclasses.replace(net, layers=net.layers[:9]))
    assert board.device.downloads == 3
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
