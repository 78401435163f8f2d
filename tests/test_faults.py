"""Fault plans: the same seed strikes alike, and each kind does to the circuit what its name says."""

from __future__ import annotations

import lfc
import numpy as np
import offload
import pytest
import small_conv

from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.errors import BoardError, BusError, DeadlineError, InputError, NoDataError
from qnn_pynq.families.bnn_pynq.driver import BnnPynqDriver
from qnn_pynq.faults import KINDS, Fault, FaultPlan

BITS = lfc.bits(20, 64)


def made(*faults, conservative=False):
    """(driver, plan) of a tiny dense circuit; opportunity 0 are the weights, 1 is the first run."""
    plan = FaultPlan(faults=faults)
    driver = BnnPynqDriver(EmulatedBoard(faults=plan), lfc.tiny(), conservative)
    driver.load(lfc.network(driver.overlay))
    driver.limits = driver.limits._replace(earliest=0.0)  # what comes too early is not refused
    return driver, plan


def words(*faults, conservative=False):
    """(words of 20 pictures, driver, plan)."""
    driver, plan = made(*faults, conservative=conservative)
    found = lfc.run(driver, BITS)
    assert not plan._listed and sum(plan.counts.values()) == len(faults)
    return found, driver, plan


@pytest.fixture(scope="module")
def right():
    return words()[0]


# -- plans ---------------------------------------------------------------------------------------------------


def _history(seed, kinds=None, rate=0.2):
    plan = FaultPlan(seed, rate, kinds)
    for _ in range(1000):
        plan.draw()
        try:
            plan.check_allocation(1)
        except (BoardError, KeyboardInterrupt):
            pass
    return list(plan.injected)


def test_whoever_tries_again_after_each_signal_comes_to_an_end():
    plan = FaultPlan(seed=3, rate=1.0, kinds=["signal"])
    injected = [plan.draw() is not None for _ in range(100)]
    assert injected == ([True] * 20 + [False]) * 4 + [True] * 16 and plan.counts["signal"] == 96
    plan = FaultPlan(seed=3, rate=1.0, kinds=["signal"])
    driver = BnnPynqDriver(EmulatedBoard(faults=plan), lfc.tiny())
    loads = 0
    for _ in range(30):
        try:
            driver.load(lfc.network(driver.overlay))
            break
        except KeyboardInterrupt:
            loads += 1
    assert loads == 20


def test_the_same_seed_gives_the_same_faults_and_another_one_others():
    assert _history(5) == _history(5) != _history(6)
    assert {fault.kind for fault in _history(5)} == set(KINDS)
    assert 0.15 < len(_history(5, ["hang"])) / 1000 < 0.25
    assert {fault.kind for fault in _history(5, ["no memory", "slow"])} == {"no memory", "slow"}
    assert _history(5, rate=0.0) == [] and len(_history(5, ["hang"], 1.0)) == 1000


def test_a_resting_plan_neither_strikes_nor_counts():
    plan = FaultPlan(rate=1.0)
    plan.active = False
    assert plan.draw() is None
    plan.check_allocation(1)
    assert plan.opportunities == plan.allocations == 0 and not plan.injected
    plan.active = True
    assert plan.draw() is not None
    armed = FaultPlan(faults=[Fault("signal", 0)])
    armed.draw()
    armed.active = False
    armed.touch()
    armed.active = True
    with pytest.raises(KeyboardInterrupt):
        armed.touch()


@pytest.mark.parametrize("make", [
    lambda: Fault("hanging", 0), lambda: Fault("hang", -1), lambda: Fault("hang", 0, 1.5), lambda: Fault("hang", 1.0),
    lambda: Fault("hang", 0, place=-1), lambda: FaultPlan(rate=1.1), lambda: FaultPlan(rate=-0.1),
    lambda: FaultPlan(rate=float("nan")), lambda: FaultPlan(seed=0.5), lambda: FaultPlan(kinds=["hand"]),
    lambda: FaultPlan(kinds="hang"),
])
def test_a_plan_that_makes_no_sense_is_refused(make):
    with pytest.raises(InputError):
        make()


def test_a_run_of_random_faults_is_the_same_twice():
    def once():
        board = EmulatedBoard(faults=FaultPlan(3, 0.3))
        driver, net, outcomes = BnnPynqDriver(board, lfc.tiny()), lfc.network(lfc.tiny()), []
        for _ in range(60):
            try:
                if driver.network is None:
                    board.reset()
                    driver.load(net)
                outcomes.append(lfc.run(driver, BITS).tolist())
            except (BoardError, DeadlineError, KeyboardInterrupt) as error:
                outcomes.append(repr(error))
                driver.network = None
        return outcomes, list(board.faults.injected), board.clock.now()

    first = once()
    assert first == once() and len(first[1]) > 10


# -- the dense circuit ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 1])
def test_a_hang_ends_at_the_deadline_and_only_a_reset_helps(at, right):
    board = EmulatedBoard(faults=FaultPlan(faults=[Fault("hang", at, place=77)]))
    driver = BnnPynqDriver(board, lfc.tiny())
    net = lfc.network(driver.overlay)
    with pytest.raises(DeadlineError):
        driver.load(net)
        lfc.run(driver, BITS)
    assert board.twin.busy_until == float("inf")
    board.reset()
    driver.load(net)
    assert np.array_equal(lfc.run(driver, BITS), right)


def test_a_lost_done_still_shows_idle(right):
    assert np.array_equal(words(Fault("lost done", 1))[0], right)
    assert np.array_equal(words(Fault("lost done", 0))[0], right)
    for at in (0, 1):
        with pytest.raises(DeadlineError):
            words(Fault("lost done", at), conservative=True)


def test_after_an_early_done_the_data_come_late(right):
    driver, _ = made(Fault("early done", 1, amount=0.3))
    begun = driver.board.clock.now()
    with pytest.raises(NoDataError, match="20 of 20"):
        lfc.run(driver, BITS)
    assert driver.board.clock.now() - begun < driver.expected_seconds(20)
    driver.board.clock.sleep(1)
    driver._buffer.invalidate()
    assert np.array_equal(driver._words[:20], right)


def test_data_that_come_late_go_where_the_buffer_was():
    driver, _ = made(Fault("early done", 1))
    with pytest.raises(NoDataError):
        lfc.run(driver, BITS)
    driver._buffer.close()
    driver.board.clock.sleep(1)
    with pytest.raises(BusError):
        driver.board.ip(driver.overlay.ip.name).read(0)


def test_a_done_without_data_writes_nothing(right):
    driver, _ = made(Fault("done without data", 1))
    with pytest.raises(NoDataError, match="20 of 20"):
        lfc.run(driver, BITS)
    driver.board.clock.sleep(1)
    driver._buffer.invalidate()
    assert not np.isin(right, driver._words[:20]).any()


@pytest.mark.parametrize("place", [0, 5, 2**62 - 1])
def test_a_corrupt_word_is_one_word_once(right, place):
    found, driver, _ = words(Fault("corrupt word", 1, place=place))
    assert (found != right).sum() == 1
    assert np.array_equal(lfc.run(driver, BITS), right)


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("place", [0, 100, 64 * 16, 2**62 - 1])
def test_a_flipped_weight_is_one_bit_and_stays_until_weights_are_written(at, place):
    good = words()[1].board.twin.weights
    _, driver, _ = words(Fault("flip weight", at, place=place))

    def differing():
        pairs = zip(good, driver.board.twin.weights)
        return sum(bin(int(word)).count("1") for a, b in pairs for word in (a ^ b).ravel())

    assert differing() == 1
    lfc.run(driver, BITS)
    assert differing() == 1
    driver.load(driver.network)
    assert differing() == 0


def test_a_lost_memory_write_is_one_word():
    # Where the word was zero already, losing it changes nothing: so load inverted weights before.
    board = EmulatedBoard(faults=FaultPlan(faults=[Fault("done without data", 1, place=9)]))
    driver = BnnPynqDriver(board, lfc.tiny())
    net = lfc.network(driver.overlay)
    driver.load(net)
    good = [memory.copy() for memory in board.twin.weights + board.twin.thresholds]
    for memory in board.twin.weights + board.twin.thresholds:
        memory[:] = ~memory
    driver.load(net)
    assert sum(int((a != b).sum()) for a, b in zip(good, board.twin.weights + board.twin.thresholds)) == 1


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("amount", [0.2, 0.8])
def test_a_decode_error_is_a_bus_error(at, amount):
    with pytest.raises(BusError, match="decode error"):
        words(Fault("bus error", at, amount))


@pytest.mark.parametrize("at", [0, 1])
def test_logic_that_somebody_else_configured_is_gone(at):
    board = EmulatedBoard(faults=FaultPlan(faults=[Fault("reprogrammed", at)]))
    driver = BnnPynqDriver(board, lfc.tiny())
    with pytest.raises(BoardError):
        driver.load(lfc.network(driver.overlay))
        lfc.run(driver, BITS)
    assert board.loaded is None


def test_without_a_board_that_knows_the_registers_of_foreign_logic_read_zero():
    board = EmulatedBoard(faults=FaultPlan(faults=[Fault("reprogrammed", 1)]))
    board.configure(lfc.tiny())
    board.twin.reprogrammed = None
    driver = BnnPynqDriver(board, lfc.tiny())
    driver.load(lfc.network(driver.overlay))
    with pytest.raises(DeadlineError):
        lfc.run(driver, BITS)
    assert board.twin.read(0) == 0


def test_an_allocation_fails_and_the_next_one_does_not():
    board = EmulatedBoard(faults=FaultPlan(faults=[Fault("no memory", 0)]))
    driver = BnnPynqDriver(board, lfc.tiny())
    driver.load(lfc.network(driver.overlay))
    with pytest.raises(BoardError, match="contiguous memory"):
        lfc.run(driver, BITS)
    assert board.memory.used == 0
    lfc.run(driver, BITS)


def test_a_slow_run_is_late_by_what_was_asked_for(right):
    plain = words()[1].timing["run"]
    found, driver, _ = words(Fault("slow", 1, amount=0.6))  # 0.1 s
    assert np.array_equal(found, right)
    assert driver.timing["run"] == pytest.approx(plain + 0.1, rel=1e-3)
    with pytest.raises(DeadlineError):
        words(Fault("slow", 1, amount=1.0))


def test_a_signal_comes_at_the_chosen_access():
    class Count(FaultPlan):
        def touch(self):
            self.touches = getattr(self, "touches", 0) + 1
            super().touch()

    for place in range(24):
        plan = Count(faults=[Fault("signal", 1, place=place)])
        board = EmulatedBoard(faults=plan)
        driver = BnnPynqDriver(board, lfc.tiny())
        driver.load(lfc.network(driver.overlay))
        before = None
        with pytest.raises(KeyboardInterrupt):
            for _ in range(5):
                view = driver.room(len(BITS))
                view[:] = 0
                driver.start(len(BITS))
                # The start is injected inside its last access, whose second touch point is the signal's first.
                before = plan.touches - 1 if before is None else before
                driver.finish()
        assert plan._signal == -1 and (before is None or plan.touches == before + place + 1)


def test_a_signal_while_weights_are_written_leaves_a_part_of_them():
    board = EmulatedBoard(faults=FaultPlan(faults=[Fault("signal", 0, place=40)]))
    driver = BnnPynqDriver(board, lfc.tiny())
    with pytest.raises(KeyboardInterrupt):
        driver.load(lfc.network(driver.overlay))
    written = sum(int(memory.any()) for memory in board.twin.weights)
    assert driver.network is None and written == 1


# -- the layer-by-layer circuit ------------------------------------------------------------------------------


def _net():
    rng, conv = np.random.default_rng(0), small_conv.binary_conv
    return offload.network([conv(rng, 64, 96), conv(rng, 96, 40)], 5, 64)


def maps(*faults):
    """(codes of two pictures, driver); opportunities: load, run, run, load, run, run."""
    plan = FaultPlan(faults=faults)
    driver = offload.driver(net=_net(), board=EmulatedBoard(faults=plan))
    driver.limits = driver.limits._replace(earliest=0.0)
    found = offload.run(driver, offload.codes(driver, 2))
    assert sum(plan.counts.values()) == len(faults)
    return found, driver


@pytest.mark.parametrize("kind, at", [
    ("done without data", 0), ("done without data", 3), ("done without data", 5), ("corrupt word", 0),
    ("corrupt word", 5), ("early done", 0), ("early done", 3), ("early done", 5),
])
def test_what_a_load_or_a_run_left_wrong_is_right_in_the_next_batch(kind, at):
    wanted, driver = maps()
    many_bits_of_word_0 = driver.board.twin.weights.size * 0x15555555
    found, driver = maps(Fault(kind, at, 0.4, 0 if at == 5 else many_bits_of_word_0))
    spoiled = (found != wanted).any(axis=(1, 2, 3)).tolist()
    assert spoiled == ([False, True] if at == 5 else [True, True])
    driver.board.clock.sleep(1)
    assert np.array_equal(offload.run(driver, offload.codes(driver, 2)), wanted)


def test_data_behind_an_early_done_may_fall_into_the_next_batch():
    found, driver = maps(Fault("early done", 5, amount=0.4))
    assert not np.array_equal(offload.run(driver, offload.codes(driver, 2)), maps()[0])


@pytest.mark.parametrize("at, lasts", [(0, True), (1, False)])
def test_a_weight_flips_in_shared_memory_for_good_and_in_the_circuit_until_the_next_load(at, lasts):
    wanted = maps()[0]
    found, driver = maps(Fault("flip weight", at, place=0))
    assert not np.array_equal(found, wanted)
    assert np.array_equal(offload.run(driver, offload.codes(driver, 2)), wanted) is not lasts
    driver.load(driver.network)
    assert np.array_equal(offload.run(driver, offload.codes(driver, 2)), wanted)


@pytest.mark.parametrize("at", [0, 2, 3])
@pytest.mark.parametrize("kind, error",
                         [("hang", DeadlineError), ("bus error", BusError), ("reprogrammed", BoardError)])
def test_a_walk_that_is_broken_off_says_why(kind, error, at):
    with pytest.raises(error):
        maps(Fault(kind, at))
