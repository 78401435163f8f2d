"""The twin at register level: what the circuit does with every access, one by one."""
from __future__ import annotations

import math

import lfc
import numpy as np
import oracle
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.contracts.clock import RealClock
from qnn_pynq.contracts.program import PROGRAM_DTYPE, WAIT, WRITE, make_program
from qnn_pynq.errors import BoardError, BusError, DeadlineError
from qnn_pynq.faults import FaultPlan

CTRL, GIER, IER, ISR = 0x00, 0x04, 0x08, 0x0C
IN, OUT, DO_INIT, LAYER, MEM, IND, THRESH, LOW, HIGH, REPS = (
    0x10, 0x1C, 0x28, 0x30, 0x38, 0x40, 0x48, 0x50, 0x54, 0x5C)


class Rig:
    """A board with a circuit, and the moves of a programmer."""

    def __init__(self, circuit=None, **options):
        self.overlay = circuit or lfc.tiny()
        self.board = EmulatedBoard(**options)
        self.board.configure(self.overlay)
        self.regs = self.board.ip(self.overlay.ip.name)
        self.input = self.board.allocate(64 * 8, np.uint8)
        self.output = self.board.allocate(64, np.uint64)

    @property
    def twin(self):
        return self.board.twin

    def put(self, layer, mem, ind, thresh, value):
        for offset, word in ((DO_INIT, 1), (LAYER, layer), (MEM, mem), (IND, ind), (THRESH, thresh),
                             (LOW, value & 0xFFFFFFFF), (HIGH, value >> 32 & 0xFFFFFFFF), (CTRL, 1)):
            self.regs.write(offset, word)
        self.wait()
        self.regs.write(DO_INIT, 0)

    def wait(self):
        self.board.wait(self.overlay.ip.name, (CTRL, 2), 1.0)

    def point(self, images, source=None, target=None):
        for offset, word in ((IN, self.input.device_address if source is None else source), (IN + 4, 0),
                             (OUT, self.output.device_address if target is None else target), (OUT + 4, 0),
                             (DO_INIT, 0), (REPS, images)):
            self.regs.write(offset, word)

    def fill(self, net):
        """Every weight through the registers, in the order of the memories."""
        for number, (layer, g) in enumerate(zip(net.layers, self.overlay.geometry["layers"])):
            dots = np.unpackbits(layer.weights, axis=1, bitorder="little")
            sf = g["inputs"] // g["simd"]
            for neuron in range(g["outputs"]):
                nf, pe = divmod(neuron, g["pe"])
                for s in range(sf):
                    lanes = dots[neuron, s * g["simd"]:(s + 1) * g["simd"]].tolist()
                    self.put(2 * number, pe, nf * sf + s, 0, sum(b << k for k, b in enumerate(lanes)))
                for t, value in enumerate(layer.thresholds[neuron].tolist()):
                    self.put(2 * number + 1, pe, nf, t, value & 0xFFFFFFFFFFFFFFFF)

    def compute(self, values):
        packed = np.packbits(values, axis=1, bitorder="little").reshape(-1)
        self.input.array[:packed.size] = packed
        self.input.flush()
        self.point(len(values))
        self.regs.write(CTRL, 1)
        self.wait()
        self.output.invalidate()
        return self.output.array[:len(values)].copy()


@pytest.fixture
def rig():
    return Rig()


@pytest.fixture
def ready(rig):
    """A rig with random weights; `.net` is the network."""
    rig.net = lfc.network(rig.overlay, seed=3)
    rig.fill(rig.net)
    return rig


def test_ctrl_reads_idle_after_reset(rig):
    assert rig.regs.read(CTRL) == 0x4
    rig.regs.write(REPS, 7)
    rig.twin.reset()
    assert (rig.regs.read(CTRL), rig.regs.read(REPS)) == (0x4, 0)


def test_registers_repeat_every_128_bytes(rig):
    rig.regs.write(0x80 + REPS, 5)
    assert rig.regs.read(REPS) == rig.regs.read(0xFF80 + REPS) == 5
    with pytest.raises(BusError):  # a start, with addresses 0
        rig.regs.write(0x80 + CTRL, 1)


def test_holes_read_zero_and_ignore_writes(rig):
    for hole in (0x18, 0x24, 0x2C, 0x34, 0x3C, 0x44, 0x4C, 0x58, 0x60, 0x7C):
        rig.regs.write(hole, 0xFFFFFFFF)
        assert rig.regs.read(hole) == 0


def test_arguments_keep_their_level_and_do_init_one_bit(rig):
    for offset in (IN, IN + 4, OUT, OUT + 4, LAYER, MEM, IND, THRESH, LOW, HIGH, REPS):
        rig.regs.write(offset, 0xDEADBEEF)
        assert rig.regs.read(offset) == 0xDEADBEEF
    rig.regs.write(DO_INIT, 0xFFFFFFFE)
    assert rig.regs.read(DO_INIT) == 0
    rig.regs.write(DO_INIT, 0xFFFFFFFF)
    assert rig.regs.read(DO_INIT) == 1


def test_done_clears_on_read(rig):
    rig.regs.write(DO_INIT, 1)
    rig.regs.write(CTRL, 1)
    rig.board.clock.advance(1e-3)
    assert rig.regs.read(CTRL) == 0x6
    assert rig.regs.read(CTRL) == 0x4


def test_a_run_is_busy_until_the_clock_says_so(ready):
    ready.point(3)
    start = ready.board.clock.now()
    ready.regs.write(CTRL, 1)
    assert ready.regs.read(CTRL) == 0x1
    ready.board.clock.sleep_until(start + 19e-6)
    assert ready.regs.read(CTRL) == 0x1
    ready.board.clock.sleep_until(start + 36e-6)  # (1800 + 2 * 841) cycles of 10 ns, and some accesses
    assert ready.regs.read(CTRL) == 0x6


def test_results_arrive_when_the_run_ends_not_before(ready):
    ready.output.array[:] = 99
    ready.output.flush()
    ready.point(1)
    ready.regs.write(CTRL, 1)
    ready.output.invalidate()
    assert ready.output.array[0] == 99
    ready.wait()
    ready.output.invalidate()
    assert ready.output.array[0] != 99


def test_a_start_while_busy_is_lost(ready):
    ready.point(1)
    ready.regs.write(CTRL, 1)
    until = ready.twin.busy_until
    ready.regs.write(REPS, 60)
    ready.regs.write(CTRL, 1)
    assert ready.twin.busy_until == until


def test_words_equal_the_oracle(ready):
    values = lfc.bits(20, 64, seed=1)
    assert np.array_equal(ready.compute(values), oracle.lfc_words(ready.net.layers, values))


def test_num_reps_images_are_processed_and_no_more(ready):
    ready.output.array[:] = 0x5A
    ready.output.flush()
    ready.compute(lfc.bits(3, 64))
    ready.output.invalidate()
    assert (ready.output.array[3:] == 0x5A).all()


def test_num_reps_zero_is_done_at_once_and_moves_nothing(ready):
    ready.point(0, source=0, target=0)
    ready.regs.write(CTRL, 1)
    assert ready.regs.read(CTRL) == 0x6


def test_memory_writes_change_nothing_in_ddr(ready):
    before = ready.compute(lfc.bits(4, 64))
    ready.point(4)
    ready.put(0, 0, 0, 0, 0)
    ready.output.invalidate()
    assert np.array_equal(ready.output.array[:4], before)


def test_memory_write_uses_the_levels_that_stand(rig):
    for offset, word in ((DO_INIT, 1), (LAYER, 0), (MEM, 2), (LOW, 0x1234)):
        rig.regs.write(offset, word)
    for ind in (0, 5):
        rig.regs.write(IND, ind)
        rig.regs.write(CTRL, 1)
        rig.wait()
    assert rig.twin.weights[0][2, [0, 5]].tolist() == [0x1234, 0x1234]


def test_upper_bits_of_a_value_are_ignored(rig):
    rig.put(0, 1, 3, 0, 0xFFFF_FFFF_FFFF_1234)
    rig.put(1, 1, 3, 1, 0xABCD_EF01_7654_8001)
    assert rig.twin.weights[0][1, 3] == 0x1234
    assert rig.twin.thresholds[0][1, 7] == -32767


@pytest.mark.parametrize("layer, mem, ind, thresh", [
    (4, 0, 0, 0), (17, 0, 0, 0), (0xFFFFFFFF, 0, 0, 0), (0, 4, 0, 0), (0, 0, 16, 0), (1, 0, 4, 0),
    (1, 0, 0, 2), (3, 8, 0, 0), (3, 0, 8, 0), (3, 0, 0, 1),
    (2, 0xFFFFFFFF, 0, 0), (1, 0, 0xFFFFFFFF, 0xFFFFFFFF),
])
def test_targets_that_do_not_exist_are_ignored(rig, layer, mem, ind, thresh):
    rig.put(layer, mem, ind, thresh, 0xFFFF)
    assert not any(memory.any() for memory in rig.twin.weights + rig.twin.thresholds)


def test_a_weight_write_ignores_target_thresh(rig):
    rig.put(0, 0, 0, 77, 0xFFFF)
    assert rig.twin.weights[0][0, 0] == 0xFFFF


def test_weights_stay_across_runs_resets_and_new_weights_count_at_once(ready):
    values = lfc.bits(5, 64)
    first = ready.compute(values)
    ready.twin.reset()
    assert np.array_equal(ready.compute(values), first)
    ready.put(3, 0, 0, 0, 0x7FFF)  # neuron 0 of the last layer never fires now
    assert not (ready.compute(values) & np.uint64(1)).any()
    ready.put(3, 0, 0, 0, 0x8000)  # -32768: always
    assert (ready.compute(values) & np.uint64(1)).all()


def test_a_threshold_fires_strictly_above(rig):
    values = np.ones((1, 64), np.uint8)
    net = lfc.network(rig.overlay, seed=1)
    rig.fill(net)
    sums = oracle.lfc_sums(net.layers, values)[0]
    for delta, fires in ((0, False), (-1, True)):
        for neuron in range(8):
            rig.put(3, neuron, 0, 0, int(sums[neuron] + delta) & 0xFFFF)
        word = int(rig.compute(values)[0]) & 0xFF
        assert word == (0xFF if fires else 0)


@pytest.mark.parametrize("seed", range(5))
def test_hostile_thresholds_wrap_to_16_bits_and_need_no_order(rig, seed):
    net = lfc.network(rig.overlay, seed, hostile=True)
    rig.fill(net)
    values = lfc.bits(10, 64, seed)
    assert np.array_equal(rig.compute(values), oracle.lfc_words(net.layers, values))


def test_forgotten_flush_computes_on_the_old_pictures(ready):
    old, new = lfc.bits(2, 64, 1), lfc.bits(2, 64, 2)
    expected = ready.compute(old)
    ready.input.array[:16] = np.packbits(new, axis=1, bitorder="little").reshape(-1)
    ready.regs.write(CTRL, 1)
    ready.wait()
    ready.output.invalidate()
    assert np.array_equal(ready.output.array[:2], expected)


def test_forgotten_invalidate_shows_the_old_words(ready):
    expected = ready.compute(lfc.bits(2, 64, 1))
    ready.input.array[:16] = np.packbits(lfc.bits(2, 64, 2), axis=1, bitorder="little").reshape(-1)
    ready.input.flush()
    ready.regs.write(CTRL, 1)
    ready.wait()
    assert np.array_equal(ready.output.array[:2], expected)
    ready.output.invalidate()
    assert not np.array_equal(ready.output.array[:2], expected)


@pytest.mark.parametrize("what, source, target", [
    ("input", 0, None), ("output", None, 0), ("input", 0xFFFFFFF8, None), ("misaligned", "odd", None),
    ("misaligned", None, "odd")])
def test_addresses_outside_live_buffers_are_bus_errors_before_anything_runs(ready, what, source, target):
    source = ready.input.device_address + 4 if source == "odd" else source
    target = ready.output.device_address + 1 if target == "odd" else target
    ready.point(1, source, target)
    message = "multiple of 8" if what == "misaligned" else "outside every live buffer"
    with pytest.raises(BusError, match=message):
        ready.regs.write(CTRL, 1)
    assert ready.regs.read(CTRL) == 0x4


def test_more_images_than_the_buffers_hold_is_a_bus_error(ready):
    for images in (65, 0xFFFFFFFF):
        ready.point(images)
        with pytest.raises(BusError, match="numReps"):
            ready.regs.write(CTRL, 1)


def test_a_buffer_closed_during_a_run_is_a_bus_error_at_the_next_access(ready):
    ready.point(1)
    ready.regs.write(CTRL, 1)
    ready.output.close()
    ready.board.clock.advance(1.0)
    with pytest.raises(BusError, match="closed during the run"):
        ready.regs.read(CTRL)
    ready.regs.read(CTRL)  # said once


def test_interrupt_line_follows_enables_and_toggles_off(rig):
    rig.regs.write(DO_INIT, 1)
    for gier, ier, line in ((0, 3, False), (1, 0, False), (1, 1, True), (1, 2, True)):
        rig.twin.reset()
        rig.regs.write(DO_INIT, 1)
        rig.regs.write(GIER, gier)
        rig.regs.write(IER, ier)
        rig.regs.write(CTRL, 1)
        assert not rig.twin.interrupt
        rig.board.clock.advance(1e-3)
        assert rig.twin.interrupt is line
        assert (rig.regs.read(GIER), rig.regs.read(IER)) == (gier, ier)
        pending = rig.regs.read(ISR)
        assert pending == ier
        rig.regs.write(ISR, pending)
        assert not rig.twin.interrupt


def test_auto_restart_starts_again(rig):
    rig.regs.write(DO_INIT, 1)
    rig.regs.write(CTRL, 0x81)
    rig.board.clock.advance(1e-3)
    assert rig.regs.read(CTRL) == 0x83  # done, and running again
    rig.regs.write(CTRL, 0)
    rig.board.clock.advance(1e-3)
    assert rig.regs.read(CTRL) == 0x06


def test_modelled_time_does_not_depend_on_the_clock():
    seconds = []
    for options in ({}, {"clock": RealClock()}):
        rig = Rig(**options)
        rig.fill(lfc.network(rig.overlay))
        rig.compute(lfc.bits(10, 64))
        seconds.append(rig.board.modelled_seconds)
    # Polls that come while a run is busy make the only difference.
    assert seconds[0] == pytest.approx(seconds[1], rel=0.2)
    assert 1e-4 < seconds[0] < 1e-3


def test_first_image_and_interval_of_the_cycle_model():
    rig = Rig()
    spent = []
    for images in (1, 64):
        rig.point(images)
        before = rig.board.modelled_seconds
        rig.regs.write(CTRL, 1)
        rig.wait()
        spent.append(rig.board.modelled_seconds - before)
    assert spent[0] == pytest.approx(18e-6, abs=1e-6)
    assert spent[1] - spent[0] == pytest.approx(63 * 8.41e-6, abs=1e-6)


def test_faults_are_called_at_every_hook_point(ready):
    seen = []
    ready.twin.inject(lambda twin, event, value: seen.append(event) or value)
    ready.put(0, 0, 0, 0, 1)
    ready.compute(lfc.bits(1, 64))
    assert seen == ["value", "duration", "done", "words", "duration", "done"]
    ready.twin.clear_injected()
    ready.compute(lfc.bits(1, 64))
    assert len(seen) == 6


# -- whole programs: at once is the same as access by access ---------------------------------

LEVELS = (LAYER, MEM, IND, THRESH, LOW, HIGH, REPS, 0x18)


@st.composite
def well_behaved(draw):
    """Memory writes, each waited for, with stray levels, repeats and targets that do not exist."""
    steps = [(WRITE, DO_INIT, 1)]
    for _ in range(draw(st.integers(0, 12))):
        for offset in draw(st.lists(st.sampled_from(LEVELS), max_size=5)):
            value = draw(st.integers(0, 2**32 - 1) if offset in (LOW, HIGH) else st.integers(0, 20))
            steps.append((WRITE, offset + draw(st.sampled_from([0, 0x80, 0x100])), value))
        if draw(st.integers(0, 5)) == 0:
            steps.append((WRITE, DO_INIT, draw(st.sampled_from([1, 3, 0xFFFFFFFF]))))
        steps.append((WRITE, CTRL, draw(st.sampled_from([1, 5]))))
        steps.append((WAIT, CTRL, draw(st.sampled_from([2, 4, 6]))))
    if draw(st.booleans()):
        steps.append((WRITE, DO_INIT, 0))
    return steps


HOSTILE = st.tuples(st.sampled_from([WRITE, WRITE, WAIT]),
                    st.sampled_from([CTRL, CTRL, GIER, IER, ISR, IN, DO_INIT, LAYER, IND, LOW, REPS, 0x18]),
                    st.sampled_from([0, 1, 2, 3, 4, 6, 7, 0x81, 0xFFFFFFFF])
                    ).filter(lambda step: step[0] == WRITE or step[2])


@st.composite
def hostile(draw):
    steps = draw(well_behaved())
    for step in draw(st.lists(HOSTILE, min_size=1, max_size=6)):
        steps.insert(draw(st.integers(0, len(steps))), step)
    return steps


def _seen(rig, offset):
    try:
        return rig.regs.read(offset)
    except BusError as error:  # of a run that began by itself
        return str(error)


def _outcome(steps, at_once, memory_write_cycles, timeout, prologue, stale_done=False):
    timing = dict(lfc.tiny().timing, memory_write_cycles=memory_write_cycles)
    rig = Rig(lfc.tiny(timing=timing))
    taken = []
    real = rig.twin.run_program
    rig.twin.run_program = lambda *call: taken.append(at_once and real(*call)) or taken[-1]
    for offset, value in prologue:
        rig.regs.write(offset, value)
    if stale_done:
        rig.board.clock.advance(1e-3)
    try:
        rig.regs.run_program(make_program(steps) if steps else np.empty(0, PROGRAM_DTYPE), timeout)
        error = None
    except (DeadlineError, BusError) as raised:
        error = str(raised)
    twin = rig.twin
    state = (error, twin.registers, [m.tolist() for m in twin.weights + twin.thresholds],
             [_seen(rig, offset) for offset in (CTRL, GIER, IER, ISR)], twin.busy_until is None)
    return state, (rig.board.clock.now(), rig.board.modelled_seconds), taken[0]


@settings(max_examples=150, deadline=None)
@given(well_behaved(), st.sampled_from([1, 17, 18, 19, 20, 36, 300]),
       st.sampled_from([[], [(LAYER, 1), (MEM, 2)], [(LOW, 5), (HIGH, 9)]]))
def test_a_weight_program_at_once_is_the_same_as_access_by_access(steps, cycles, prologue):
    plain, times, _ = _outcome(steps, False, cycles, 1.0, prologue)
    fast, fast_times, taken = _outcome(steps, True, cycles, 1.0, prologue)
    assert taken
    assert fast == plain
    assert fast_times == pytest.approx(times, rel=1e-9)


@settings(max_examples=150, deadline=None)
@example([(WRITE, REPS, 1), (WRITE, DO_INIT, 1), (WRITE, CTRL, 0x81), (WRITE, DO_INIT, 0)], 1, 1.0, [(CTRL, 1)])
@given(hostile(), st.sampled_from([1, 20, 300]), st.sampled_from([1.0, 5e-6]),
       st.sampled_from([[], [(CTRL, 1)], [(DO_INIT, 1), (CTRL, 1)], [(DO_INIT, 1), (CTRL, 0x81)],
                        [(IER, 1)]]))
def test_a_hostile_program_is_played_the_same(steps, cycles, timeout, prologue):
    plain, times, _ = _outcome(steps, False, cycles, timeout, prologue)
    fast, fast_times, _ = _outcome(steps, True, cycles, timeout, prologue)
    assert fast == plain
    assert fast_times == pytest.approx(times, rel=1e-9)


ONE = [(WRITE, DO_INIT, 1), (WRITE, LOW, 5), (WRITE, CTRL, 1), (WAIT, CTRL, 6)]


@pytest.mark.parametrize("steps, timeout, prologue, stale_done", [
    (ONE * 2, 5e-6, [], False),  # too slow: the same step is named
    (ONE + [(WRITE, LOW, 9)] + ONE[2:], 1.0, [(DO_INIT, 1), (CTRL, 1)], True),  # the first wait ends at once
])
def test_what_is_not_the_same_at_once_is_played_access_by_access(steps, timeout, prologue, stale_done):
    plain, times, _ = _outcome(steps, False, 300, timeout, prologue, stale_done)
    fast, fast_times, taken = _outcome(steps, True, 300, timeout, prologue, stale_done)
    assert not taken and fast == plain and fast_times == times


def _run(at_once, prologue, mask, timeout, closed=False):
    """A start and the wait for it: what can be seen afterwards, all times, and what was done at once."""
    rig, taken = Rig(), []
    rig.input.array[:] = np.arange(rig.input.array.size)
    rig.input.flush()
    play, wait = rig.twin.run_program, rig.twin.wait
    rig.twin.run_program = lambda *call: taken.append(at_once and play(*call)) or taken[-1]
    rig.twin.wait = lambda *call: taken.append(at_once and wait(*call)) or taken[-1]
    seen = []
    try:
        rig.regs.run_program(make_program([(WRITE, offset, value) for offset, value in prologue] + [
            (WRITE, IN, rig.input.device_address), (WRITE, OUT, rig.output.device_address), (WRITE, DO_INIT, 0),
            (WRITE, REPS, 20), (WRITE, CTRL, 1)]), 1.0)
        if closed:
            rig.output.close()
        seen.append(rig.board.wait(rig.overlay.ip.name, (CTRL, mask), timeout))
    except (DeadlineError, BusError) as error:
        seen.append(str(error))
    times = rig.board.clock.now(), rig.board.modelled_seconds
    if not closed:
        rig.output.invalidate()
        seen.append(rig.output.array.tolist())
    seen += [rig.twin.registers, rig.twin.interrupt, rig.twin.busy_until] + [
        _seen(rig, offset) for offset in (CTRL, GIER, IER, ISR)]
    return seen, times, [bool(each) for each in taken]


@pytest.mark.parametrize("prologue, mask, timeout, at_once", [
    ([], 2, 1.0, [True, True]),
    ([(0x18, 7), (IN + 0x80, 9)], 0xFFFFFD76, 1.0, [True, True]),  # a hole, and an alias
    ([], 4, 1.0, [True, False]),  # nobody waits for idle alone
    ([], 3, 1.0, [True, False]),  # the start bit shows at once
    ([], 2, 5e-6, [True, False]),  # too slow
    ([], 2, math.nan, [True, False]),
    ([(GIER, 1), (IER, 1)], 2, 1.0, [False, True]),
    ([(CTRL, 0x80)], 2, 1.0, [False, True]),  # the start takes the restart away
])
def test_a_start_and_its_wait_at_once_are_the_same_as_access_by_access(prologue, mask, timeout, at_once):
    plain, times, _ = _run(False, prologue, mask, timeout)
    fast, fast_times, taken = _run(True, prologue, mask, timeout)
    assert fast == plain and fast_times == times and taken == at_once


def test_a_buffer_that_is_closed_during_a_run_is_met_by_a_wait_at_once_too():
    plain, times, _ = _run(False, [], 2, 1.0, closed=True)
    fast, fast_times, taken = _run(True, [], 2, 1.0, closed=True)
    assert fast == plain and fast_times == times and taken == [True]  # the wait raises
    assert "outside every live buffer" in fast[0]


def test_with_faults_and_hooks_every_access_is_made():
    for prepare in (lambda twin: twin.inject(lambda twin, event, value: value),
                    lambda twin: setattr(twin, "faults", FaultPlan(rate=0.0))):
        rig = Rig()
        prepare(rig.twin)
        rig.point(1)
        assert not rig.twin.run_program(make_program([(WRITE, CTRL, 1)]), 1.0)
        rig.regs.write(CTRL, 1)
        assert not rig.twin.wait(CTRL, 2, 1.0)


@pytest.mark.parametrize("step, error", [((2, 0, 0), BoardError), ((WAIT, 0, 0), BoardError),
                                         ((WRITE, 2, 0), BusError),
                                         ((WAIT, 0x10000, 1), BusError), ((WRITE, 0xFFFFFFFC, 1), BusError)])
def test_a_bad_program_is_refused_before_its_first_access(rig, step, error):
    with pytest.raises(error, match="step 1"):
        rig.regs.run_program(make_program([(WRITE, REPS, 9), step]), 1.0)
    assert rig.regs.read(REPS) == 0


def test_a_hang_ends_at_the_deadline_and_names_the_step(rig):
    rig.twin.inject(lambda twin, event, value: math.inf if event == "duration" else value)
    before = rig.board.clock.now()
    with pytest.raises(DeadlineError, match=r"step 2 of 3.*0x0.*0x6"):
        rig.regs.run_program(make_program([(WRITE, DO_INIT, 1), (WRITE, CTRL, 1), (WAIT, CTRL, 6)]), 0.5)
    assert rig.board.clock.now() - before == pytest.approx(0.5, rel=1e-3)
