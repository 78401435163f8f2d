"""The offload twin at register level: whole memory images as the rules of the circuit say, and every access."""

from __future__ import annotations

import dataclasses
import logging
import math

import numpy as np
import offload
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.errors import BusError, DeadlineError, DescriptorError

CTRL, GIER, IER, ISR = 0x00, 0x04, 0x08, 0x0C
IN1, IN2, OUT, DO_INIT, TYPE, K, STRIDE, IFM_CH, OFM_CH, IFM_DIM, PADDED, OFM_DIM, POOL_IN, POOL_OUT, POOL_STRIDE = (
    0x10, 0x1C, 0x28, 0x34, 0x3C, 0x44, 0x4C, 0x54, 0x5C, 0x64, 0x6C, 0x74, 0x7C, 0x84, 0x8C)
# activation bits, pixel bytes, largest channels in and out, threshold words and entries, window
FACTS = {"w1a2": (2, 96, 384, 384, 1, 12, 3), "w1a3": (3, 192, 512, 256, 2, 8, 2)}


# -- the circuit in plain numpy, bit by bit ---------------------------------------------------------------


def words_of(kind, kernel):
    """Weight words of a PE in a load with this kernel register."""
    return (72 if kind == "w1a2" else 64) * kernel**2


def image_bytes(kind, kernel):
    """Bytes of the weight buffer of one memory channel."""
    _, _, _, _, words, entries, _ = FACTS[kind]
    return 8 * 16 * (words_of(kind, kernel) + entries * words)


def to_codes(pixels, bits):
    """Codes (n, lanes) of pixels uint8 (n, bytes): one long little-endian bit string each."""
    dots = np.unpackbits(pixels, axis=1, bitorder="little")
    return dots.reshape(len(pixels), -1, bits) @ (1 << np.arange(bits))


def to_pixels(codes, bits, nbytes):
    """Pixels uint8 (n, nbytes) of codes (n, channels); channels above are 0."""
    dots = (codes[..., None] >> np.arange(bits)) & 1
    flat = np.zeros((len(codes), nbytes * 8), np.uint8)
    flat[:, : codes.shape[1] * bits] = dots.reshape(len(codes), -1)
    return np.packbits(flat, axis=1, bitorder="little")


def zeros_around(maps, size):
    """A square map (n, n, c) with zeros to `size` lines, the odd one at the bottom and right."""
    lines = size - len(maps)
    return np.pad(maps, ((lines // 2, lines - lines // 2),) * 2 + ((0, 0),), "constant")


class Weights:
    """What loads leave in the circuit: by PE, raw words."""

    def __init__(self, kind):
        _, _, _, _, words, entries, _ = FACTS[kind]
        self.kind = kind
        self.weights = np.zeros((32, words_of(kind, 5 if kind == "w1a2" else 3)), np.uint64)
        self.thresholds = np.zeros((32, entries, words), np.uint64)

    def load(self, kernel, first, second):
        """Both buffers, uint8, of a load with this kernel register."""
        block = words_of(self.kind, kernel)
        _, _, _, _, words, entries, _ = FACTS[self.kind]
        for port, buffer in enumerate((first, second)):
            stream = buffer.view("<u8")
            for p in range(16):
                self.weights[16 * port + p, :block] = stream[p * block : (p + 1) * block]
                at = 16 * block + p * entries * words
                self.thresholds[16 * port + p] = stream[at : at + entries * words].reshape(entries, words)

    def entry(self, row, pe):
        """(thresholds, invert) of output channel row * 32 + pe."""
        # Two words: the first is the upper one.
        value = sum(int(word) << 64 * k for k, word in enumerate(reversed(self.thresholds[pe, row].tolist())))
        count = 3 if self.kind == "w1a2" else 7
        values = [(value >> 16 * k) & 0xFFFF for k in range(count)]
        return [v - 0x10000 if v & 0x8000 else v for v in values], value >> 16 * count & 1


def compute(weights, regs, source):
    """Bytes that one run writes, of the bytes that it reads."""
    bits, pixel, _, _, _, _, window = FACTS[weights.kind]
    kernel, step, size = regs[K], 1 << regs[STRIDE], regs[IFM_DIM]
    tiles, rows = -(-regs[IFM_CH] // 64), -(-regs[OFM_CH] // 32)
    lanes = to_codes(source.reshape(size * size, pixel), bits)[:, : 64 * tiles].reshape(size, size, -1)
    padded = zeros_around(lanes, regs[PADDED]).astype(np.int64)
    out = regs[OFM_DIM]
    codes = np.zeros((out, out, 32 * rows), np.int64)
    for row in range(rows):
        total = np.zeros((out, out, 32), np.int64)
        for ky in range(kernel):
            for kx in range(kernel):
                for g in range(tiles):
                    words = weights.weights[:, ((row * kernel + ky) * kernel + kx) * tiles + g].astype("<u8")
                    minus = np.unpackbits(words.view(np.uint8), bitorder="little").reshape(32, 64)
                    seen = padded[ky:, kx:, 64 * g : 64 * g + 64][::step, ::step][:out, :out]
                    total += seen @ (1 - 2 * minus.astype(np.int64)).T
        assert abs(total).max() < 32768
        for pe in range(32):
            thresholds, invert = weights.entry(row, pe)
            code = sum((total[:, :, pe] >= t).astype(np.int64) for t in thresholds)
            codes[:, :, 32 * row + pe] = 2**bits - 1 - code if invert else code
    if regs[TYPE] != 1:
        area, step, out = zeros_around(codes, regs[POOL_IN]), 1 << regs[POOL_STRIDE], regs[POOL_OUT]
        codes = np.zeros((out, out, codes.shape[2]), np.int64)
        for y in range(out):
            for x in range(out):
                codes[y, x] = area[y * step : y * step + window, x * step : x * step + window].max(axis=(0, 1))
    return to_pixels(codes.reshape(-1, codes.shape[2]), bits, pixel).reshape(-1)


# -- a programmer -----------------------------------------------------------------------------------------


class Rig:
    """A board with one of the circuits and a single block of memory, full of garbage."""

    def __init__(self, kind="w1a2", seed=0, nbytes=1 << 20, **options):
        self.kind, self.overlay = kind, offload.overlay(kind)
        self.board = EmulatedBoard(**options)
        self.board.configure(self.overlay)
        self.regs = self.board.ip(self.overlay.ip.name)
        self.memory = self.board.allocate(nbytes)
        self.rng = np.random.default_rng(seed)
        self.memory.array[:] = self.rng.integers(0, 256, nbytes)
        self.memory.flush()
        self.model = Weights(kind)

    @property
    def base(self):
        return self.memory.device_address

    def set(self, **values):
        for name, value in values.items():
            offset = globals()[name]
            if name in ("IN1", "IN2", "OUT"):
                self.regs.write(offset + 4, value >> 32)
                value &= 0xFFFFFFFF
            self.regs.write(offset, value)

    def begin(self):
        self.regs.write(CTRL, 1)

    def wait(self, timeout=1.0):
        self.board.wait(self.overlay.ip.name, (CTRL, 2), timeout)

    def load(self, kernel, at=0):
        """Load what lies at `at`, one memory channel behind the other."""
        each = image_bytes(self.kind, kernel)
        self.memory.flush()
        self.set(IN1=self.base + at, IN2=self.base + at + each, DO_INIT=1, K=kernel)
        self.begin()
        self.wait()
        self.model.load(kernel, self.memory.array[at : at + each], self.memory.array[at + each : at + 2 * each])

    def shape(self, kernel=1, inputs=64, outputs=32, size=4, padded=None, stride=0, pool=None):
        """Registers of a run; `pool` is (PoolInDim, log2 stride, layerType)."""
        padded = size if padded is None else padded
        out = (padded - kernel >> stride) + 1
        area, log_stride, kind = pool or (out, 0, 1)
        window = FACTS[self.kind][6]
        return {"K": kernel, "STRIDE": stride, "IFM_CH": inputs, "OFM_CH": outputs, "IFM_DIM": size, "PADDED": padded,
                "OFM_DIM": out, "TYPE": kind, "POOL_IN": area, "POOL_STRIDE": log_stride,
                "POOL_OUT": (area - window >> log_stride) + 1 if pool else 1}

    def run(self, source, target, **registers):
        self.set(DO_INIT=0, IN1=self.base + source, OUT=self.base + target, **registers)
        self.begin()

    def check(self, source, target, **registers):
        """Run, and compare the whole memory."""
        self.memory.flush()
        expected = self.memory.array.copy()
        self.run(source, target, **registers)
        self.wait()
        regs = {globals()[name]: value for name, value in registers.items()}
        read = regs[IFM_DIM] ** 2 * FACTS[self.kind][1]
        wrote = compute(self.model, regs, expected[source : source + read])
        expected[target : target + len(wrote)] = wrote
        self.memory.invalidate()
        assert np.array_equal(self.memory.array, expected)


@pytest.fixture(params=offload.KINDS)
def rig(request):
    made = Rig(request.param)
    made.load(1)
    return made


@pytest.fixture
def ready():
    made = Rig()
    made.load(1)
    return made


# -- whole memory images ----------------------------------------------------------------------------------


def _enough(kind, words):
    return next(k for k in range(1, 6) if words_of(kind, k) >= words)


@settings(max_examples=80, deadline=None)
@given(st.data(), st.sampled_from(offload.KINDS), st.integers(0, 2**32 - 1))
def test_random_runs_leave_the_memory_that_the_rules_say(data, kind, seed):
    """Random words everywhere: weights, unsorted thresholds, invert flags, lanes and channels beyond the real ones."""
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    most, window = offload.MAX_KERNEL[kind], offload.WINDOW[kind]
    made = Rig(kind, seed)
    size = draw(1, 8)
    padded = size + draw(0, 3)
    kernel = draw(1, min(most, padded))
    if kernel == padded == 1:
        padded = 2
    inputs, outputs = draw(1, 200), draw(1, 96)
    made.load(draw(_enough(kind, kernel**2 * -(-inputs // 64) * -(-outputs // 32)), most))
    pool = None
    if data.draw(st.booleans()):
        out = padded - kernel + 1
        kinds = st.sampled_from([0, 2, 3, 7, 2**32 - 1])
        pool = draw(max(out, window), max(out, window) + 3), draw(0, 1), data.draw(kinds)
    near = made.memory.array[: 2 * image_bytes(kind, most)].view("<i2")
    near[draw(0, 3) :: 4] >>= 9  # thresholds that sums do reach
    made.load(data.draw(st.sampled_from([1, most])))
    source, target = 700_000 + 8 * draw(0, 50), 850_000 + 8 * draw(0, 50)
    made.check(source, target, **made.shape(kernel, inputs, outputs, size, padded, 0, pool))


@pytest.mark.parametrize("kind", offload.KINDS)
def test_the_largest_channel_counts_fill_the_pixel(kind):
    made = Rig(kind, 3)
    made.load(2)
    _, _, inputs, outputs, _, _, _ = FACTS[kind]
    made.check(800_000, 900_000, **made.shape(2, inputs, outputs, 3))


@pytest.mark.parametrize("kernel, stride, size", [(2, 1, 6), (4, 1, 6), (4, 2, 8)])
def test_the_strides_that_the_line_buffer_does_support(kernel, stride, size):
    made = Rig("w1a2", 1)
    made.load(4)
    made.check(800_000, 900_000, **made.shape(kernel, 64, 32, size, stride=stride))


def test_unused_lanes_up_to_the_next_64_are_multiplied_and_those_above_are_not(rig):
    bits, pixel = FACTS[rig.kind][:2]
    shape = rig.shape(1, 5, 32, 4)
    outputs = []
    for channel in (None, 63, 64):
        codes = np.zeros((16, 64 * 2), np.int64)
        codes[:, :5] = 1
        if channel is not None:
            codes[:, channel] = 2**bits - 1
        rig.memory.array[500_000 : 500_000 + 16 * pixel] = to_pixels(codes, bits, pixel).reshape(-1)
        rig.memory.array[: 2 * image_bytes(rig.kind, 1)].view("<i2")[:] = np.random.default_rng(0).integers(
            -12, 12, image_bytes(rig.kind, 1))
        rig.load(1)
        rig.check(500_000, 600_000, **shape)
        outputs.append(rig.memory.array[600_000 : 600_000 + 16 * pixel].copy())
    assert not np.array_equal(outputs[0], outputs[1]) and np.array_equal(outputs[0], outputs[2])


def test_outputs_up_to_the_next_32_are_computed_and_those_above_are_zero(rig):
    bits, pixel = FACTS[rig.kind][:2]
    rig.check(500_000, 600_000, **rig.shape(1, 64, 33, 4))
    found = to_codes(rig.memory.array[600_000 : 600_000 + 16 * pixel].reshape(16, pixel), bits)
    assert found[:, 33:64].any() and not found[:, 64:].any()


def test_pad_rows_of_the_published_files_give_code_0(ready):
    """0x0001FFFFFFFFFFFF: three times -1 and the flag; with weight bits 0 no sum is below 0."""
    ready.memory.array[: 2 * image_bytes("w1a2", 1)] = 0
    words = ready.memory.array[: 2 * image_bytes("w1a2", 1)].view("<u8").reshape(2, -1)
    words[:, 16 * 72 :] = 0x0001FFFFFFFFFFFF
    ready.load(1)
    ready.check(500_000, 600_000, **ready.shape(1, 64, 32, 4))
    assert not ready.memory.array[600_000 : 600_000 + 16 * 96].any()


def test_the_damaged_threshold_of_the_published_set_gives_code_1(ready):
    """0x000279B8E2CE4BE4: 19428, -7474, 31160, and bit 49 that does not count."""
    words = ready.memory.array[: 2 * image_bytes("w1a2", 1)].view("<u8").reshape(2, -1)
    words[:, 16 * 72 :] = 0x000279B8E2CE4BE4
    ready.load(1)
    ready.check(500_000, 600_000, **ready.shape(1, 64, 32, 4))
    assert (ready.memory.array[600_000 : 600_000 + 16 * 96].reshape(16, 96)[:, :8] == 0b01010101).all()


def test_a_slice_at_a_word_is_the_copied_slice(rig):
    bits, pixel = FACTS[rig.kind][:2]
    shape = rig.shape(1, 64, 32, 4)
    rig.check(500_000 + 64 * bits // 8, 600_000, **shape)
    moved = to_codes(rig.memory.array[500_000 : 500_000 + 16 * pixel].reshape(16, pixel), bits)[:, 64:128]
    rig.memory.array[700_000 : 700_000 + 16 * pixel] = to_pixels(moved, bits, pixel).reshape(-1)
    rig.check(700_000, 800_000, **shape)
    first, second = (rig.memory.array[at : at + 16 * pixel] for at in (600_000, 800_000))
    assert np.array_equal(first, second)


def test_any_load_kernel_that_holds_the_words_gives_the_same(rig):
    shape = rig.shape(3, 64, 32, 6)
    found = []
    words = np.random.default_rng(1).integers(0, 256, (2, 16, 9 * 8)).astype(np.uint8)
    entries = np.random.default_rng(2).integers(0, 256, (2, 16 * 8 * FACTS[rig.kind][4] * FACTS[rig.kind][5]))
    for kernel in range(1, offload.MAX_KERNEL[rig.kind] + 1):
        each = image_bytes(rig.kind, kernel)
        image = rig.memory.array[: 2 * each].reshape(2, each)
        image[:] = 0
        block = 8 * words_of(rig.kind, kernel)
        for pe in range(16):
            image[:, pe * block : pe * block + 72] = words[:, pe]
        image[:, 16 * block :] = entries
        rig.load(kernel)
        rig.check(800_000, 900_000, **shape)
        found.append(rig.memory.array[900_000 : 900_000 + 16 * FACTS[rig.kind][1]].copy())
    assert all(np.array_equal(found[0], each) for each in found)


def test_words_beyond_a_load_stay_from_the_load_before():
    made = Rig("w1a2", 5)
    made.load(2)
    made.load(1, at=300_000)
    made.check(800_000, 900_000, **made.shape(2, 384, 96, 3))  # 72 words: all of the second load
    made.check(800_000, 900_000, **made.shape(2, 384, 384, 3))  # 288 words: the rest is of the first


def test_weights_stay_across_runs_and_resets(rig):
    for _ in range(2):
        rig.check(500_000, 600_000, **rig.shape())
        rig.board.twin.reset()


def test_loads_change_nothing_in_memory(rig):
    before = rig.memory.array.copy()
    rig.load(2)
    rig.memory.invalidate()
    assert np.array_equal(rig.memory.array, before)


# -- registers --------------------------------------------------------------------------------------------


def test_ctrl_reads_idle_after_reset_and_arguments_cannot_be_read(ready):
    ready.board.twin.reset()
    assert ready.regs.read(CTRL) == 0x4
    for offset in range(IN1, 0x90, 4):
        ready.regs.write(offset, 5)
        assert ready.regs.read(offset) == 0


def test_registers_repeat_every_256_bytes(ready):
    ready.regs.write(0x100 + IER, 3)
    assert ready.regs.read(IER) == ready.regs.read(0xFF00 + IER) == 3


def test_done_clears_on_read(ready):
    ready.run(500_000, 600_000, **ready.shape())
    ready.board.clock.advance(1e-3)
    assert ready.regs.read(CTRL) == 0x6
    assert ready.regs.read(CTRL) == 0x4


def test_do_init_keeps_one_bit(ready):
    ready.load(2)
    ready.regs.write(DO_INIT, 0xFFFFFFFE)
    ready.set(IN1=ready.base + 500_000, OUT=ready.base + 600_000, **ready.shape())
    ready.begin()
    assert ready.board.twin.runs == 1 and ready.board.twin.loads == 2


def test_results_arrive_when_the_run_ends_not_before(ready):
    before = ready.memory.array.copy()
    ready.run(500_000, 600_000, **ready.shape())
    ready.memory.invalidate()
    assert np.array_equal(ready.memory.array, before)
    ready.wait()
    ready.memory.invalidate()
    assert not np.array_equal(ready.memory.array, before)


def test_a_start_while_busy_is_lost(ready):
    ready.run(500_000, 600_000, **ready.shape())
    until = ready.board.twin.busy_until
    ready.begin()
    assert ready.board.twin.busy_until == until and ready.board.twin.runs == 1


def test_auto_restart_starts_again(ready):
    ready.set(DO_INIT=0, IN1=ready.base, OUT=ready.base + 600_000, **ready.shape())
    ready.regs.write(CTRL, 0x81)
    ready.board.clock.advance(1e-3)
    assert ready.regs.read(CTRL) == 0x83
    ready.regs.write(CTRL, 0)
    ready.board.clock.advance(1e-3)
    assert ready.regs.read(CTRL) == 0x06


def test_interrupt_level_follows_enables_and_toggles_off(ready):
    ready.regs.write(GIER, 1)
    ready.regs.write(IER, 1)
    ready.run(500_000, 600_000, **ready.shape())
    assert not ready.board.twin.interrupt
    ready.board.clock.advance(1e-3)
    assert ready.board.twin.interrupt and ready.regs.read(ISR) == 1
    ready.regs.write(ISR, 1)
    assert not ready.board.twin.interrupt


# -- time -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, kernel, cycles", [
    ("w1a2", 1, 1344), ("w1a2", 2, 4800), ("w1a2", 3, 10560), ("w1a2", 5, 28992), ("w1a3", 1, 1280), ("w1a3", 3, 9472)])
def test_a_load_takes_a_word_a_cycle(kind, kernel, cycles):
    made = Rig(kind)
    before = made.board.modelled_seconds
    made.load(kernel)
    assert made.board.modelled_seconds - before == pytest.approx(cycles * 1e-8, abs=3e-6)


@pytest.mark.parametrize("kind, shape, cycles", [
    ("w1a2", {"kernel": 3, "inputs": 100, "outputs": 96, "size": 14, "padded": 16}, 14 * 14 * 9 * 2 * 3),
    ("w1a2", {"kernel": 1, "inputs": 64, "outputs": 32, "size": 20}, 20 * 20 * 12),  # reading is slower
    ("w1a3", {"kernel": 1, "inputs": 64, "outputs": 32, "size": 20}, 20 * 20 * 24),
    ("w1a2", {"kernel": 2, "inputs": 1, "outputs": 1, "size": 2, "pool": (20, 0, 2)}, 18 * 18 * 12),  # writing
])
def test_a_run_takes_what_its_slowest_stage_takes(kind, shape, cycles):
    made = Rig(kind)
    made.load(3)
    made.set(DO_INIT=0, IN1=made.base, OUT=made.base + 600_000, **made.shape(**shape))
    before = made.board.modelled_seconds
    made.begin()
    made.wait()
    assert made.board.modelled_seconds - before == pytest.approx(cycles * 1e-8, abs=1e-6)


@pytest.mark.parametrize("slow, took", [(0.03, 0.05), (0.07, 0.07)])
def test_what_emulation_takes_on_the_clock_is_part_of_the_modelled_time(slow, took):
    made = Rig()

    def duration(twin, event, value):
        if event == "duration":
            made.board.clock.advance(slow)
            return 0.05
        return value

    made.board.twin.inject(duration)
    begun = made.board.clock.now()
    made.load(1)
    assert made.board.clock.now() - begun == pytest.approx(took, abs=1e-5)


def test_a_second_run_of_the_same_weights_prepares_nothing(ready, monkeypatch):
    prepared = []
    real = type(ready.board.twin)._prepare
    monkeypatch.setattr(type(ready.board.twin), "_prepare", lambda *call: prepared.append(1) or real(*call))
    for _ in range(3):
        ready.check(500_000, 600_000, **ready.shape())
        ready.load(1)  # the same words again
    assert len(prepared) == 1
    ready.load(2)
    ready.check(500_000, 600_000, **ready.shape())
    assert len(prepared) == 2


# -- what the circuit cannot do ---------------------------------------------------------------------------

IMPOSSIBLE = {
    "KernelDim 6": {"K": 6}, "KernelDim 0": {"K": 0}, "IFMCh 0": {"IFM_CH": 0}, "IFMCh 385": {"IFM_CH": 385},
    "OFMCh 0": {"OFM_CH": 0}, "OFMCh 385": {"OFM_CH": 385}, "IFMDim 0": {"IFM_DIM": 0},
    "IFMDim 65": {"IFM_DIM": 65, "PADDED": 65, "OFM_DIM": 63}, "OFMDim 65": {"PADDED": 67, "OFM_DIM": 65},
    "stride 2 with kernel 3": {"STRIDE": 1, "PADDED": 9, "OFM_DIM": 4},
    "stride 2 on odd lines": {"K": 2, "STRIDE": 1, "IFM_DIM": 7, "PADDED": 7, "OFM_DIM": 3},
    "stride 2**200": {"STRIDE": 200}, "PaddedDim below IFMDim": {"PADDED": 7, "OFM_DIM": 5},
    "OFMDim cropped": {"OFM_DIM": 5}, "kernel 1 on one line": {"K": 1, "IFM_DIM": 1, "PADDED": 1, "OFM_DIM": 1},
    "line buffer": {"IFM_CH": 384, "IFM_DIM": 64, "PADDED": 66, "OFM_DIM": 64},
    "PoolInDim below the window": {"TYPE": 2, "IFM_DIM": 3, "PADDED": 4, "OFM_DIM": 2, "POOL_IN": 2, "POOL_OUT": 0},
    "PoolInDim below OFMDim": {"TYPE": 2, "POOL_IN": 5, "POOL_OUT": 3},
    "PoolInDim 65": {"TYPE": 2, "POOL_IN": 65, "POOL_OUT": 63},
    "PoolOutDim": {"TYPE": 2, "POOL_IN": 6, "POOL_OUT": 3}, "pool stride 4": {"TYPE": 2, "POOL_IN": 7, "POOL_OUT": 2,
                                                                              "POOL_STRIDE": 2},
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_shapes_that_the_circuit_cannot_do_hang_and_a_warning_says_why(ready, name, caplog):
    before = ready.memory.array.copy()
    with caplog.at_level(logging.WARNING, "qnn_pynq"):
        ready.run(500_000, 600_000, **{**ready.shape(3, 64, 32, 8), **IMPOSSIBLE[name]})
    assert "hangs" in caplog.text and ready.board.twin.busy_until == math.inf
    with pytest.raises(DeadlineError):
        ready.wait(0.1)
    ready.memory.invalidate()
    assert np.array_equal(ready.memory.array, before)


def test_a_load_with_a_kernel_that_is_not_there_hangs(ready):
    for kernel in (0, 6):
        ready.board.reset()
        regs = ready.board.ip(ready.overlay.ip.name)
        for offset, value in ((DO_INIT, 1), (K, kernel), (CTRL, 1)):
            regs.write(offset, value)
        assert ready.board.twin.busy_until == math.inf


@pytest.mark.parametrize("name, address, message", [
    ("IN1", 0, "outside every live buffer"), ("OUT", 0, "outside every live buffer"),
    ("IN1", 0x1_1000_0000, "outside every live buffer"), ("IN1", "odd", "multiple of 8"),
    ("OUT", "odd", "multiple of 8"), ("IN1", "end", "outside every live buffer"),
    ("OUT", "end", "outside every live buffer")])
def test_addresses_outside_live_buffers_are_bus_errors_before_anything_runs(ready, name, address, message):
    address = {"odd": ready.base + 4, "end": ready.base + (1 << 20) - 8}.get(address, address)
    ready.set(**{"DO_INIT": 0, "IN1": ready.base, "OUT": ready.base + 600_000, **ready.shape(), name: address})
    with pytest.raises(BusError, match=message):
        ready.begin()
    assert ready.regs.read(CTRL) == 0x4


def test_a_load_needs_both_buffers_whole(ready):
    ready.set(DO_INIT=1, K=1, IN1=ready.base, IN2=ready.base + (1 << 20) - image_bytes("w1a2", 1) + 8)
    before = ready.board.twin.weights.copy()
    with pytest.raises(BusError, match="outside every live buffer"):
        ready.begin()
    assert np.array_equal(ready.board.twin.weights, before)


def test_a_buffer_closed_during_a_run_is_a_bus_error_at_the_next_access(ready):
    ready.run(500_000, 600_000, **ready.shape())
    ready.memory.close()
    ready.board.clock.advance(1.0)
    with pytest.raises(BusError, match="closed during the run"):
        ready.regs.read(CTRL)
    ready.regs.read(CTRL)  # said once


def test_faults_are_called_at_every_hook_point(ready):
    seen = []
    ready.board.twin.inject(lambda twin, event, value: seen.append(event) or value)
    ready.load(1)
    ready.run(500_000, 600_000, **ready.shape())
    ready.wait()
    assert seen == ["duration", "done", "result", "duration", "done"]


def test_the_bitstreams_digest_decides_which_circuit_it_is():
    two, three = offload.overlay("w1a2"), offload.overlay("w1a3")
    with pytest.raises(DescriptorError, match="by the digest"):
        EmulatedBoard().configure(dataclasses.replace(two, files=three.files))


# -- golden -----------------------------------------------------------------------------------------------


def _published(folder, number, rows, kernel, tiles):
    """Both memory channels of a load with the smallest kernel register, uint8, of the files of one run."""
    words = rows * kernel**2 * tiles
    load = _enough("w1a2", words)
    image = np.zeros((2, 16 * (words_of("w1a2", load) + 12)), "<u8")
    for pe in range(32):
        port, place = divmod(pe, 16)
        found = np.frombuffer((folder / f"{number}-{pe}-weights.bin").read_bytes(), "<u8")
        entries = np.frombuffer((folder / f"{number}-{pe}-thres.bin").read_bytes(), "<u8")
        assert len(found) == words and len(entries) == rows
        image[port, place * words_of("w1a2", load) :][:words] = found
        image[port, 16 * words_of("w1a2", load) + 12 * place :][:rows] = entries
    return load, image.view(np.uint8).reshape(-1)


def test_the_published_dorefa_net_through_registers_alone(golden):
    """File by file as the specification has the sequence, splits and merges by hand: 0 of 9,216 codes differ."""
    folder = golden / "qnn-mo" / "params" / "binparam-dorefanet"
    tests = golden / "qnn-mo" / "test"
    made = Rig("w1a2")

    def offloaded(number, maps, outputs, kernel, padded, pool=None):
        size, channels = len(maps), maps.shape[2]
        load, image = _published(folder, number, -(-outputs // 32), kernel, -(-channels // 64))
        made.memory.array[: len(image)] = image
        made.memory.array[300_000 : 300_000 + size**2 * 96] = to_pixels(maps.reshape(-1, channels), 2, 96).reshape(-1)
        made.load(load)
        shape = made.shape(kernel, channels, outputs, size, padded, 0, pool and (*pool, 2))
        made.run(300_000, 600_000, **shape)
        made.wait()
        made.memory.invalidate()
        side = shape["POOL_OUT"] if pool else shape["OFM_DIM"]
        pixels = made.memory.array[600_000 : 600_000 + side**2 * 96].reshape(-1, 96)
        return to_codes(pixels, 2)[:, :outputs].reshape(side, side, outputs)

    given = next(tests.rglob("input.bin")).read_bytes()
    maps = to_codes(np.frombuffer(given, np.uint8)[: 54 * 54 * 96].reshape(-1, 96), 2)[:, :68].reshape(54, 54, 68)
    maps = np.concatenate([offloaded(1 + k, maps[:, :, 34 * k : 34 * k + 34], 90, 5, 58, (55, 1)) for k in (0, 1)], 2)
    maps = offloaded(3, maps, 272, 3, 29, (29, 1))
    halves = [offloaded(5 + 2 * k, offloaded(4 + 2 * k, maps[:, :, 136 * k : 136 * k + 136], 192, 3, 16), 128, 3, 16,
                        (14, 1)) for k in (0, 1)]
    expected = np.frombuffer(next(tests.rglob("verification.bin")).read_bytes(), np.uint8).reshape(36, 96)
    found = np.concatenate(halves, 2)
    assert found.size == 9216
    assert np.array_equal(to_pixels(found.reshape(36, 256), 2, 96), expected)
