"""Errors that no board should raise, raised inside of its calls: nothing is held after close(), whatever it answers."""

from __future__ import annotations

import random

import lfc
import numpy as np
import pytest
import small
from small_conv import mixed_network, small_network

from qnn_pynq import Classifier
from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.errors import BoardError, StatusError
from qnn_pynq.faults import FaultPlan

ERRORS = (MemoryError, OSError, KeyboardInterrupt)
NETS = {"dense": small.network(seed=1), "conv": small_network(0), "segments": mixed_network(0)}
MAPS = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
ROWS = {"dense": small.pictures(5, NETS["dense"], 5), "conv": MAPS, "segments": MAPS}


class Touched(FaultPlan):
    """Raises at some of the places where the board is touched, counted from 0; `after`: from one on at all of them."""

    def __init__(self, places=(), error=None, after=None):
        super().__init__()
        self.places, self.error, self.after, self.touches = set(places), error, after, 0

    def touch(self):
        number = self.touches
        self.touches += 1
        if self.error is not None and (number in self.places or self.after is not None and number >= self.after):
            raise self.error("injected")


class Board(EmulatedBoard):
    """A configuration of the logic is a touch too, before and after; one read of the control register may be wrong."""

    floating = -1  # reads of control registers until then

    def _configure(self, overlay):
        self.faults.touch()
        super()._configure(overlay)
        self.faults.touch()

    def ip(self, name):
        registers = super().ip(name)
        if self.floating < 0:
            return registers
        read = registers.read

        def look(offset):
            value = read(offset)
            self.floating -= offset == 0
            return 0xFFFFFFFF if offset == 0 and self.floating < 0 else value

        return type("Floating", (), {"read": staticmethod(look), "write": staticmethod(registers.write),
                                     "run_program": staticmethod(registers.run_program)})()


@pytest.fixture(scope="module")
def wanted():
    found = {}
    for name, net in NETS.items():
        with Classifier(net, board="cpu") as software:
            found[name] = software.predict(ROWS[name]).tolist()
    return found


def _options(name, policy):
    return {"overlay": lfc.tiny(), "policy": policy} if name == "dense" else {"policy": policy}


def _use(name, policy, board):
    """Answers of a classifier, which is closed as a user closes it; None where an error came."""
    net, rows, classifier, answers = NETS[name], ROWS[name], None, None
    try:
        classifier = Classifier(net, board, **_options(name, policy))
        answers = classifier.predict(rows).tolist()
        classifier.load(net)
        classifier.predict(rows[:1])
    except (*ERRORS, StatusError):
        pass
    for _ in range(3 if classifier is not None else 0):
        try:
            classifier.close()
            break
        except KeyboardInterrupt:  # and nothing else; whoever interrupts a close() calls it again
            pass
    return answers


def _check(name, policy, plan, wanted, floating=-1):
    """The whole of a trial; the board and its plan."""
    board = Board(faults=plan)
    board.floating = floating
    assert _use(name, policy, board) in (None, wanted[name])
    about = name, policy, plan.places, plan.after, plan.error
    assert board.owner is None and board.in_flight is None, about
    kept = board.quarantined
    assert bool(board.memory.used) == bool(kept), about
    plan.error, board.floating = None, -1
    generation = board.generation
    assert _use(name, policy, board) == wanted[name], about  # nobody refuses the next one
    assert board.memory.used == 0 == board.quarantined and board.owner is None, about
    assert not kept or board.generation > generation
    return kept


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("policy", ["none", "retry", "strict"])
@pytest.mark.parametrize("name, step", [("dense", 1), ("conv", 7), ("segments", 11)])
def test_an_error_inside_of_any_board_call_leaves_nothing_behind(name, step, policy, error, wanted):
    clean = Touched()
    assert _check(name, policy, clean, wanted) == 0
    with_closing = clean.touches // 2  # `_check` uses the board twice
    assert with_closing > 50
    for place in range(0, with_closing, step):
        assert _check(name, policy, Touched([place], error), wanted) == 0  # a reset has ended what was running


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("name, step", [("dense", 1), ("conv", 7), ("segments", 11)])
def test_a_board_that_is_dead_from_some_call_on_is_given_up_with_its_buffers_in_quarantine(name, step, error, wanted):
    clean = Touched()
    _check(name, "retry", clean, wanted)
    kept = [_check(name, "retry", Touched(error=error, after=after), wanted)
            for after in range(0, clean.touches // 2, step)]
    assert any(kept) and not all(kept)


@pytest.mark.parametrize("seed", range(3))
def test_errors_together_with_a_wrong_status_leave_nothing_behind(seed, wanted):
    dice = random.Random(seed)
    for _ in range(120):
        name = dice.choice(sorted(NETS))
        last = {"dense": 57, "conv": 335, "segments": 484}[name]
        places = [dice.randrange(last)]
        for _ in range(dice.randrange(4)):
            places.append(places[-1] + dice.choice((1, 1, 2, 3, 5, dice.randrange(60))))
        policy = dice.choice(("none", "retry", "strict", "canary", "reload"))
        _check(name, policy, Touched(places, dice.choice(ERRORS)), wanted, dice.choice((-1, dice.randrange(last // 3))))


@pytest.mark.parametrize("policy", ["none", "retry"])
@pytest.mark.parametrize("name", sorted(NETS))
def test_after_a_failed_reset_the_board_is_free_and_the_next_classifier_works(name, policy, wanted, caplog):
    board = EmulatedBoard()
    classifier = Classifier(NETS[name], board, **_options(name, policy))
    board.twin.inject(lambda twin, event, value: float("inf") if event == "duration" else value)

    def broken():
        raise BoardError("no answer from the FPGA manager")

    reset, board.reset = board.reset, broken
    with pytest.raises(BoardError):
        classifier.predict(ROWS[name])
    classifier.close()
    board.reset = reset
    assert board.owner is None and board.quarantined > 0
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert any("may still write to are kept until it is configured again" in text for text in said)
    with Classifier(NETS[name], board, takeover=False, **_options(name, policy)) as other:
        assert board.quarantined == 0 and other.predict(ROWS[name]).tolist() == wanted[name]
    assert board.memory.used == 0
