"""Every kind of fault, through real pynq: the default policy recovers from the loud ones, "strict" from the silent."""
from __future__ import annotations

import gc
import logging

import lfc
import numpy as np
import pytest
import small
import small_conv

pytest.importorskip("pynq", reason="needs the real pynq package: tools/pynq_env.sh")

from emulated_device import EmulatedZynq, active  # noqa: E402

from qnn_pynq import Classifier  # noqa: E402
from qnn_pynq.boards import open_board  # noqa: E402
from qnn_pynq.errors import BoardError  # noqa: E402
from qnn_pynq.faults import KINDS, Fault, FaultPlan  # noqa: E402

pytestmark = pytest.mark.pynq
SILENT = ("early done", "done without data", "corrupt word", "flip weight")


@pytest.fixture
def circuit():
    return lfc.tiny()


@pytest.fixture(autouse=True)
def _quiet(caplog):
    """A kept log record keeps its error, that its traceback, and that the buffers of its frames."""
    caplog.set_level(logging.CRITICAL, "qnn_pynq")


@pytest.fixture
def plan():
    """Nothing strikes before the test says so."""
    made = FaultPlan()
    made.active = False
    return made


@pytest.fixture
def device(circuit, plan):
    with active(EmulatedZynq(circuit, faults=plan)) as made:
        yield made


@pytest.fixture
def strike(plan):
    def now(kind):
        drawn = FaultPlan(faults=[Fault(kind, 0, 0.7, 12345)])
        plan.__dict__.update(drawn.__dict__)

    return now


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("no memory", "signal")])
def test_a_batch_is_answered_rightly_after_each_kind_of_fault(board, device, circuit, fetched, plan, strike, kind):
    net = small.network(circuit, seed=3)
    rows = small.pictures(24, net)
    with Classifier(net, board=board, overlay=circuit, policy="strict" if kind in SILENT else "retry") as classifier:
        assert np.array_equal(classifier.predict(rows[:8]), small.answers(net, rows[:8]))
        strike(kind)
        assert np.array_equal(classifier.predict(rows), small.answers(net, rows))
        assert plan.counts[kind] == 1
        anomalies = sum(classifier.recovery.anomalies.values())
        assert anomalies >= 1 or kind in (*SILENT, "slow", "lost done")
        assert np.array_equal(classifier.predict(rows), small.answers(net, rows))
    gc.collect()
    assert not device.pool.live


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("no memory", "signal")])
def test_a_convolutional_stream_is_answered_rightly_after_each_kind_of_fault(fetched_offload, plan, strike, kind):
    net = small_conv.small_network(2)
    rows = np.random.RandomState(1).randint(0, 256, (12, net.input.pixels)).astype(np.uint8)
    with Classifier(net, board="cpu") as software:
        right = software.decision_function(rows)
    policy = "strict" if kind in SILENT else "retry"
    with active(EmulatedZynq(fetched_offload, faults=plan)) as device, open_board("zynq", device=device) as board:
        with Classifier(net, board=board, overlay=fetched_offload, policy=policy) as classifier:
            strike(kind)
            for _ in range(2):
                with classifier.stream(iter(rows), batch_size=4) as stream:
                    found = [answer.scores for answer in stream]
                assert np.allclose(found, right, rtol=1e-5)
            assert plan.counts[kind] == 1
            assert sum(classifier.recovery.anomalies.values()) >= 1 or kind in (*SILENT, "slow", "lost done")
        gc.collect()
        assert not device.pool.live


def test_memory_that_is_short_is_said_and_nothing_is_left_of_it(board, device, circuit, fetched, strike):
    net = small.network(circuit, seed=3)
    rows = small.pictures(24, net)
    with Classifier(net, board=board, overlay=circuit) as classifier:
        strike("no memory")
        with pytest.raises(BoardError, match="no contiguous memory"):
            classifier.predict(rows)
        if classifier.engine.state == "failed":
            classifier.load(net)
        assert np.array_equal(classifier.predict(rows), small.answers(net, rows))
    gc.collect()
    assert not device.pool.live


def test_ctrl_c_in_the_middle_leaves_a_board_that_can_go_on(board, device, circuit, fetched, strike, plan):
    net = small.network(circuit, seed=3)
    rows = small.pictures(24, net)
    with Classifier(net, board=board, overlay=circuit) as classifier:
        strike("signal")
        with pytest.raises(KeyboardInterrupt):
            for _ in range(20):
                classifier.predict(rows)
        plan.active = False
        if classifier.engine.state == "failed":
            classifier.load(net)
        assert np.array_equal(classifier.predict(rows), small.answers(net, rows))
    gc.collect()
    assert not device.pool.live


def test_a_board_of_its_own_is_as_the_fixtures(circuit, fetched):
    """A device without a plan is one without faults."""
    with active(EmulatedZynq(circuit)) as made, open_board("zynq", device=made) as board:
        board.configure(circuit)
        assert made.twin.faults is None and board.ip(circuit.ip.name).read(0) == 4


def test_memory_of_a_run_that_a_failed_download_did_not_end_outlives_board_and_classifier(
        device, circuit, fetched, strike, plan, monkeypatch):
    net = small.network(circuit, seed=3)
    rows = small.pictures(24, net)

    def fails(*_, **__):
        raise OSError("the FPGA manager does not answer")

    with open_board("zynq", device=device) as board:
        classifier = Classifier(net, board=board, overlay=circuit, policy="none", timeout=0.05)
        strike("hang")
        with pytest.raises(BoardError, match="no answer"):
            classifier.predict(rows)
        with monkeypatch.context() as patch:
            patch.setattr(board, "_load", fails)
            classifier.close()
        assert board.owner is None and board.quarantined > 0
    held = board.quarantined
    del board, classifier
    gc.collect()
    assert device.pool.live  # the circuit may still write there
    with open_board("zynq", device=device) as board:
        assert board.quarantined == held
        with Classifier(net, board=board, overlay=circuit, takeover=False) as classifier:
            assert board.quarantined == 0
            assert np.array_equal(classifier.predict(rows), small.answers(net, rows))
    gc.collect()
    assert not device.pool.live
