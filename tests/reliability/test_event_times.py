"""When an event was noticed, and how long its recovery took, by the board's clock."""

from __future__ import annotations

import numpy as np
import pytest

from qnn_pynq import Classifier
from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.faults import Fault, FaultPlan


def test_an_event_has_the_time_when_it_was_noticed_not_when_it_was_over() -> None:
    plan = FaultPlan(faults=[Fault("hang", 0)])
    plan.active = False
    board = EmulatedBoard(faults=plan)
    with Classifier("lfc-w1a1-mnist", board=board, overlay="bnn-pynq-lfc-w1a1", timeout=0.5) as classifier:
        plan.active, begun = True, board.clock.now()
        classifier.predict(np.zeros((4, 784), np.uint8))
        (event,) = classifier.recovery.events
        assert event.time - begun == pytest.approx(0.5, abs=0.01)
        assert event.seconds > 0.01 and event.time + event.seconds <= board.clock.now()
