"""A short campaign of seeded faults through real pynq: the trials of `tools/campaign.py`, on another board."""
from __future__ import annotations

import gc
import logging
import random
import sys
from pathlib import Path

import lfc
import pytest

pytest.importorskip("pynq", reason="needs the real pynq package: tools/pynq_env.sh")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from emulated_device import EmulatedZynq, active  # noqa: E402
from fault_trials import MODES, POLICIES, Trial, clean_reaches, make_case, make_plan  # noqa: E402

from qnn_pynq import Classifier  # noqa: E402
from qnn_pynq.boards import open_board  # noqa: E402

pytestmark = pytest.mark.pynq
TRIALS = 12  # each policy once with batches, once with a stream


class PynqTrial(Trial):
    """On the board that pynq's emulated device is."""

    device = None

    def _make_board(self):
        return open_board("zynq", device=self.device)

    def _allocated(self):
        gc.collect()
        return sum(raw.nbytes for raw in self.device.pool.live.values())


def ask(case, mode, policy, number, reach, make=Classifier):
    dice = random.Random(f"pynq/{number}")
    plan = make_plan(case, mode, dice, False, reach)
    trial = PynqTrial(case, mode, policy, plan, dice, make)
    plan.active = False
    with active(EmulatedZynq(case.overlay, faults=plan)) as trial.device:
        plan.active = True
        return trial.run()


@pytest.fixture
def circuit():
    return lfc.tiny()


@pytest.mark.parametrize("name", ["tiny dense", "small convolutional"])
def test_nothing_is_lost_doubled_hung_or_leaked_and_strict_hands_out_nothing_wrong(
        name, fetched, fetched_offload, caplog):
    caplog.set_level(logging.CRITICAL, "qnn_pynq")  # a kept record keeps its error, and that the buffers of its frames
    case = make_case(name)
    reaches = dict(clean_reaches([case]))
    if case.overlay is None:
        case = case._replace(overlay=fetched_offload)
    injected = 0
    for number in range(TRIALS):
        policy, mode = list(POLICIES)[number % len(POLICIES)], MODES[number // len(POLICIES) % 2]
        trial = ask(case, mode, policy, number, reaches[case.name, mode])
        assert not trial.notes, (number, policy, mode, trial.plan.injected, trial.notes)
        assert trial.count["inputs"] == trial.count["results"] + trial.count["errors"]
        assert not (policy == "strict" and trial.count["wrong"]), (number, trial.plan.injected)
        injected += sum(trial.plan.counts.values())
    assert injected >= TRIALS / 2


def test_a_buffer_that_is_left_is_found(fetched):
    kept = []

    class Leaks(Classifier):
        def close(self):
            kept.append(self.board.allocate(100))
            super().close()

    trial = ask(make_case("tiny dense"), "batch", "retry", 1, (10**6, 10**6), Leaks)
    assert trial.notes == ["leaks: 100 bytes of buffers after close()"]
