"""The LFC driver on the emulated board: the oracle's words, refusals, ownership, deadlines."""
from __future__ import annotations

import dataclasses
import gzip
import math

import lfc
import numpy as np
import oracle
import pytest
import small_conv
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.contracts.program import WAIT
from qnn_pynq.errors import (
    BoardBusyError,
    BoardError,
    BoardTakenError,
    ClosedError,
    DeadlineError,
    InputError,
    UnsupportedNetworkError,
)
from qnn_pynq.families.bnn_pynq.driver import BnnPynqDriver
from qnn_pynq.families.bnn_pynq.weights import fit_layers, weight_program
from qnn_pynq.networks import Decode

KINDS = ("w1a1", "w1a2")


def _driver(circuit=None, **options):
    circuit = circuit or lfc.tiny()
    return BnnPynqDriver(EmulatedBoard(), circuit, **options)


@pytest.fixture
def driver():
    made = _driver()
    made.net = lfc.network(made.overlay, seed=1)
    made.load(made.net)
    return made


def _hang(twin, event, value):
    return math.inf if event == "duration" else value


# -- words -----------------------------------------------------------------------------------

@settings(max_examples=12, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 2**32 - 1), st.integers(1, 20), st.booleans())
def test_random_networks_give_the_oracles_words(kind, seed, images, hostile):
    circuit = lfc.overlay(kind)
    net = lfc.network(circuit, seed, hostile=hostile)
    driver = _driver(circuit)
    driver.load(net)
    values = lfc.bits(images, 832, seed)
    assert np.array_equal(lfc.run(driver, values), oracle.lfc_words(net.layers, values))


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 2**32 - 1), st.integers(1, 832), st.integers(1, 1024),
       st.integers(1, 1024), st.integers(1, 1024), st.integers(1, 64), st.booleans())
def test_smaller_networks_are_padded_and_give_the_oracles_words(kind, seed, a, b, c, d, e, hostile):
    circuit = lfc.overlay(kind)
    net = lfc.network(circuit, seed, (a, b, c, d, e), classes=e, hostile=hostile)
    driver = _driver(circuit)
    driver.load(net)
    values = lfc.bits(5, a, seed)
    assert np.array_equal(lfc.run(driver, values), oracle.lfc_words(net.layers, values))


@pytest.mark.parametrize("kind", KINDS)
def test_the_conservative_sequence_leaves_the_same_weights(kind):
    circuit = lfc.overlay(kind)
    net = lfc.network(circuit, 5)
    fast, slow = _driver(circuit), _driver(circuit, conservative=True)
    fast.load(net)
    slow.load(net)
    for a, b in zip(fast.board.twin.weights + fast.board.twin.thresholds,
                    slow.board.twin.weights + slow.board.twin.thresholds):
        assert np.array_equal(a, b)
    assert slow.timing["configure"] > fast.timing["configure"]
    values = lfc.bits(3, 832)
    assert np.array_equal(lfc.run(slow, values), oracle.lfc_words(net.layers, values))


@pytest.mark.parametrize("kind, transactions, accesses", [("w1a1", 73_792, 325_170),
                                                          ("w1a2", 76_864, 343_602)])
def test_the_program_has_one_transaction_a_value_and_ends_with_do_init_0(kind, transactions, accesses):
    circuit = lfc.overlay(kind)
    geometry = circuit.geometry["layers"]
    fitted = fit_layers(lfc.network(circuit).layers, geometry)
    fast, published = weight_program(fitted, geometry), weight_program(fitted, geometry, conservative=True)
    for program in (fast, published):
        assert np.count_nonzero(program["op"] == WAIT) == transactions
        assert program[-1].tolist() == (0, 0x28, 0)
        assert program["offset"].max() < 128
    assert len(fast) == accesses
    assert len(published) == 10 * transactions + 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_modelled_time_of_a_load_is_that_of_its_accesses(kind):
    circuit = lfc.overlay(kind)
    driver, net = _driver(circuit), lfc.network(circuit)
    layers = circuit.geometry["layers"]
    program = weight_program(fit_layers(net.layers, layers), layers)
    waits = (program["op"] == WAIT).sum()
    driver.load(net)
    timing = circuit.timing
    writes = (len(program) - waits) * timing["write_access_ns"]
    # The first poll comes before the 20 cycles of a memory write are over: two reads each, at most.
    assert writes + waits * timing["read_access_ns"] < 1e9 * driver.timing["configure"] < (
        writes + waits * (timing["memory_write_cycles"] * 10 + 2 * timing["read_access_ns"]))
    assert driver.timing["modelled"]


def test_batches_of_any_size_go_in_chunks_through_the_same_buffers():
    driver = _driver(capacity=48)
    net = lfc.network(driver.overlay, 2)
    driver.load(net)
    addresses = set()
    for images in (1, 16, 17, 48, 49, 130, 5):
        values = lfc.bits(images, 64, images)
        assert np.array_equal(lfc.run(driver, values), oracle.lfc_words(net.layers, values))
        addresses.add(driver._buffer.device_address)
    assert driver._rows == 48 and driver.board.memory.used == 4096


def test_all_layers_are_the_circuits_and_the_ports_say_what_goes_in_and_out(driver):
    before, logic, after = BnnPynqDriver.split(driver.net, driver.overlay)
    assert before == after == () and logic == driver.net.layers
    assert driver.input == ("bits", (8,), np.uint8) and driver.output == ("words", (), np.uint64)
    values = lfc.bits(5, 64)
    driver.put(np.packbits(values, axis=1, bitorder="little"))
    driver.start(5)
    words = driver.finish()
    assert words.dtype == driver.output.dtype and words.shape == (5, *driver.output.shape)
    assert np.array_equal(words, oracle.lfc_words(driver.net.layers, values))
    assert driver.layers() == ()


def test_what_is_put_and_what_is_filled_in_place_is_the_same(driver):
    """A later put counts, whichever way the former came, and fewer images may run than were put."""
    values = lfc.bits(9, 64)
    packed = np.packbits(values, axis=1, bitorder="little")
    wanted = oracle.lfc_words(driver.net.layers, values)
    driver.room(9)[:] = ~packed
    driver.put(packed[:4])
    driver.start(3)
    assert np.array_equal(driver.finish(), wanted[:3])
    driver.put(packed)
    driver.room(2)[:] = packed[7:]
    driver.start(9)
    assert np.array_equal(driver.finish(), np.concatenate([wanted[7:], wanted[2:]]))


def test_a_run_takes_the_modelled_time(driver):
    for images, micros in ((1, 18.0), (100, 18.0 + 99 * 8.41)):
        lfc.run(driver, lfc.bits(images, 64))
        assert driver.timing["run"] == pytest.approx(micros * 1e-6, abs=1e-6)
        assert driver.timing["pictures"] == images
        assert driver.expected_seconds(images) == pytest.approx(micros * 1e-6)


def test_weights_are_swapped_at_run_time_without_configuring_the_logic(driver):
    twin, values = driver.board.twin, lfc.bits(9, 64)
    other = lfc.network(driver.overlay, seed=7)
    for net in (other, driver.net, other):
        driver.load(net)
        assert np.array_equal(lfc.run(driver, values), oracle.lfc_words(net.layers, values))
    assert driver.board.twin is twin


def test_a_stale_done_does_not_end_a_run(driver):
    values = lfc.bits(4, 64)
    registers = driver.board.ip(driver.overlay.ip.name)
    registers.write(0x28, 1)
    registers.write(0x30, 99)  # a memory write to nowhere, never waited for
    registers.write(0, 1)
    driver.board.clock.advance(1e-3)
    assert np.array_equal(lfc.run(driver, values), oracle.lfc_words(driver.net.layers, values))


def test_a_done_that_somebody_read_away_does_not_hang_a_run(driver):
    driver.room(1)
    driver.start(1)
    driver.board.clock.advance(1e-3)
    driver.board.ip(driver.overlay.ip.name).read(0)
    assert len(driver.finish(0.1)) == 1


# -- refusals --------------------------------------------------------------------------------

def _change(net, number, **changes):
    return dataclasses.replace(net, layers=tuple(dataclasses.replace(layer, **changes) if k == number else layer
                                                 for k, layer in enumerate(net.layers)))


def _convolution():
    return small_conv.binary_conv(np.random.default_rng(0), 8, 16)


def _ints(*shape):
    return np.zeros(shape, np.int32)


@pytest.mark.parametrize("change, message", [
    (lambda n: dataclasses.replace(n, layers=n.layers[:1]), "1 layers, the overlay has 2"),
    (lambda n: dataclasses.replace(n, layers=(_convolution(), n.layers[1])),
     'layer 0: type "conv", the overlay computes "dense"'),
    (lambda n: _change(n, 0, input="ternary"), "layer 0: input 'ternary', the overlay computes 'binary'"),
    (lambda n: _change(n, 1, accumulator="popcount"), "layer 1: accumulator 'popcount'.*'sum'"),
    (lambda n: _change(n, 1, output="none"), "layer 1: output 'none'.*'binary'"),
    (lambda n: _change(n, 1, weight_bits=2), "layer 1: weight_bits 2.*1"),
    (lambda n: _change(n, 0, inputs=65), "layer 0: inputs 65, the overlay has 64"),
    (lambda n: _change(n, 0, outputs=17), "layer 0: outputs 17, the overlay has 16"),
    (lambda n: _change(n, 0, outputs=0), "layer 0: outputs 0"),
    (lambda n: _change(n, 1, inputs=15), "layer 1: inputs 15, layer 0 gives 16"),
    (lambda n: _change(n, 0, thresholds=None), r"layer 0: thresholds of shape None.*\(16, 2\)"),
    (lambda n: _change(n, 0, thresholds=_ints(16, 1)), r"layer 0: thresholds of shape \(16, 1\).*\(16, 2\)"),
    (lambda n: _change(n, 1, weights=np.zeros((64, 1), np.uint8)), r"layer 1: weights of shape \(64, 1\)"),
    (lambda n: dataclasses.replace(n, classes=tuple(map(str, range(65)))), "classes: 65, the overlay has 64"),
    (lambda n: dataclasses.replace(n, decode=Decode(levels=7)),
     "10 classes of 7 levels need 70 output neurons, the last layer has 64"),
])
def test_what_the_overlay_cannot_compute_is_refused_before_any_register(change, message):
    driver = _driver()
    net = change(lfc.network(driver.overlay))
    for call in (driver.load, lambda net: BnnPynqDriver.split(net, driver.overlay)):
        with pytest.raises(UnsupportedNetworkError, match=message) as refusal:
            call(net)
        assert str(refusal.value).startswith("network random-0 on overlay bnn-pynq-lfc-w1a2: ")
    assert driver.board.loaded is None and driver.board.owner is None and driver.network is None


@pytest.mark.parametrize("kind, other", [KINDS, KINDS[::-1]])
def test_parameters_of_the_other_precision_are_refused_and_the_old_network_stays(kind, other):
    circuit = lfc.overlay(kind)
    driver, net, values = _driver(circuit), lfc.network(circuit), lfc.bits(2, 832)
    driver.load(net)
    with pytest.raises(UnsupportedNetworkError, match="layer 0: accumulator"):
        driver.load(lfc.network(lfc.overlay(other)))
    assert np.array_equal(lfc.run(driver, values), oracle.lfc_words(net.layers, values))


@pytest.mark.parametrize("images", [0, -1, 49])
def test_a_batch_outside_the_capacity_is_refused(images):
    driver = _driver(capacity=48)
    driver.load(lfc.network(driver.overlay))
    driver.room(16)
    for call in (driver.room, driver.start):
        with pytest.raises(InputError, match=r"expected 1\.\.48"):
            call(images)
    if images >= 0:
        with pytest.raises(InputError, match=r"expected 1\.\.48"):
            driver.put(np.zeros((images, 8), np.uint8))
    with pytest.raises(InputError, match="room\\(\\) was asked for 16"):
        driver.start(17)
    with pytest.raises(InputError, match="capacity 0"):
        _driver(capacity=0)


@pytest.mark.parametrize("values", [
    np.zeros((2, 8), np.int8), np.zeros((2, 8)), np.zeros((2, 7), np.uint8), np.zeros((2, 9), np.uint8),
    np.zeros(8, np.uint8), np.uint8(0), np.zeros((2, 1, 8), np.uint8), [[0] * 8], None])
def test_inputs_of_another_shape_or_dtype_are_refused_and_the_former_ones_stay(driver, values):
    bits = lfc.bits(3, 64)
    driver.put(np.packbits(bits, axis=1, bitorder="little"))
    with pytest.raises(InputError, match=r"expected uint8 \(pictures, 8\), packed bits"):
        driver.put(values)
    driver.start(3)
    assert np.array_equal(driver.finish(), oracle.lfc_words(driver.net.layers, bits))


def test_nothing_runs_before_configure_nor_finishes_before_start(driver):
    fresh = _driver()
    with pytest.raises(BoardError, match="no network is configured"):
        fresh.start(1)
    with pytest.raises(BoardError, match="call start"):
        driver.finish()


def test_too_little_contiguous_memory_is_said_and_leaves_nothing_behind():
    circuit = lfc.tiny()
    driver = BnnPynqDriver(EmulatedBoard(memory_limit=4096), circuit)
    driver.load(lfc.network(circuit))
    with pytest.raises(BoardError, match="contiguous memory"):
        driver.room(300)
    assert driver.board.memory.used == 0


# -- one run, one owner ----------------------------------------------------------------------

def test_a_second_start_and_a_new_network_wait_for_finish(driver):
    driver.room(2)
    driver.start(2)
    for call in (lambda: driver.start(2), lambda: driver.room(2), lambda: driver.put(np.zeros((2, 8), np.uint8)),
                 lambda: driver.load(driver.net)):
        with pytest.raises(BoardBusyError, match="2 pictures is in flight"):
            call()
    assert len(driver.finish()) == 2


def test_two_drivers_on_one_board_never_answer_with_the_wrong_network(driver):
    values = lfc.bits(6, 64)
    other = BnnPynqDriver(driver.board, driver.overlay)
    theirs = lfc.network(driver.overlay, seed=8)
    other.load(theirs)
    for call in (lambda: driver.start(1), lambda: lfc.run(driver, values)):
        with pytest.raises(BoardTakenError, match="another classifier"):
            call()
    assert np.array_equal(lfc.run(other, values), oracle.lfc_words(theirs.layers, values))
    driver.load(driver.net)  # takes it back
    assert np.array_equal(lfc.run(driver, values), oracle.lfc_words(driver.net.layers, values))
    with pytest.raises(BoardTakenError):
        other.start(1)


def test_nobody_takes_the_board_during_a_run(driver):
    driver.room(1)
    driver.start(1)
    other = BnnPynqDriver(driver.board, driver.overlay)
    with pytest.raises(BoardBusyError, match="in flight"):
        other.load(driver.net)
    assert other.network is None
    driver.finish()
    other.load(driver.net)


def test_logic_that_somebody_reprogrammed_is_noticed(driver):
    values = lfc.bits(3, 64)
    other = lfc.overlay("w1a1")
    for happens in (driver.board.forget, driver.board.reset, lambda: driver.board.configure(other)):
        happens()
        with pytest.raises(BoardError, match="configured again"):
            driver.start(1)
        with pytest.raises(BoardError, match="no network is configured"):
            driver.start(1)
        driver.load(driver.net)
        assert np.array_equal(lfc.run(driver, values), oracle.lfc_words(driver.net.layers, values))


# -- deadlines -------------------------------------------------------------------------------

def test_a_hung_run_ends_at_its_deadline_and_a_reset_helps(driver):
    values = lfc.bits(3, 64)
    driver.board.twin.inject(_hang)
    driver.room(3)
    driver.start(3)
    before = driver.board.clock.now()
    with pytest.raises(DeadlineError, match=r"bnn-pynq-lfc-w1a2 on 3 pictures.*model says.*within 0.5 s"):
        driver.finish(0.5)
    assert driver.board.clock.now() - before == pytest.approx(0.5, rel=1e-3)
    with pytest.raises(DeadlineError):
        driver.finish()
    with pytest.raises(BoardBusyError):
        driver.start(3)
    driver.board.reset()
    driver.load(driver.net)
    assert np.array_equal(lfc.run(driver, values), oracle.lfc_words(driver.net.layers, values))


def test_a_slow_run_can_be_waited_for_again(driver):
    values = lfc.bits(3, 64)
    driver.board.twin.inject(lambda twin, event, value: 2.0 if event == "duration" else value)
    driver.room(3)[:] = np.packbits(values, axis=1, bitorder="little")
    driver.start(3)
    with pytest.raises(DeadlineError):
        driver.finish(1.5)
    assert np.array_equal(driver.finish(1.5), oracle.lfc_words(driver.net.layers, values))


def test_a_failed_configure_leaves_do_init_clear_and_the_driver_unconfigured(driver):
    driver.board.twin.inject(_hang)
    with pytest.raises(DeadlineError, match="step"):
        driver.load(driver.net, timeout=0.1)
    assert driver.board.ip(driver.overlay.ip.name).read(0x28) == 0
    assert driver.network is None
    with pytest.raises(BoardError, match="no network is configured"):
        driver.start(1)
    with pytest.raises(BoardBusyError, match="reset"):  # the hung write is still in the circuit
        driver.load(driver.net)


# -- freeing ---------------------------------------------------------------------------------

def test_free_gives_the_buffers_back_until_the_next_configure(driver):
    values = lfc.bits(3, 64)
    words = lfc.run(driver, values)
    for _ in range(2):
        driver.free()
        assert driver.board.memory.used == 0
        assert driver.network is None and driver.board.owner is driver
    driver.room(1)
    with pytest.raises(BoardError, match="given back: load the network again"):
        driver.start(1)
    driver.load(driver.net)
    assert np.array_equal(lfc.run(driver, values), words)


def test_free_refuses_while_the_circuit_may_write(driver):
    driver.room(1)
    driver.start(1)
    with pytest.raises(BoardBusyError, match="call finish"):
        driver.free()
    assert len(driver.finish()) == 1
    driver.free()
    driver.close()
    driver.free()


# -- closing ---------------------------------------------------------------------------------

def test_close_gives_buffers_and_board_back(driver):
    lfc.run(driver, lfc.bits(3, 64))
    driver.close()
    driver.close()
    assert driver.board.memory.used == 0 and driver.board.owner is None
    for call in (lambda: driver.room(1), lambda: driver.put(np.zeros((1, 8), np.uint8)), lambda: driver.start(1),
                 driver.finish, lambda: driver.load(driver.net)):
        with pytest.raises(ClosedError, match="closed"):
            call()


def test_close_waits_for_a_run_and_ends_one_that_hangs_by_a_reset(driver):
    driver.room(1)
    driver.start(1)
    driver.close()
    assert driver.board.memory.used == 0
    other = BnnPynqDriver(driver.board, driver.overlay)
    other.load(driver.net)
    driver.board.twin.inject(_hang)
    other.room(1)
    other.start(1)
    generation = driver.board.generation
    other.close()
    board = driver.board
    assert board.memory.used == 0 and board.generation == generation + 1
    assert board.owner is None and board.in_flight is None


def test_buffers_of_a_run_that_nothing_ends_are_quarantined_until_the_logic_is_configured(driver, caplog, monkeypatch):
    board, values = driver.board, lfc.bits(3, 64)
    wanted = lfc.run(driver, values).tolist()
    board.twin.inject(_hang)
    driver.room(1)
    driver.start(1)

    def broken():
        raise BoardError("no answer from the FPGA manager")

    with monkeypatch.context() as patch:
        patch.setattr(board, "reset", broken)
        driver.close()
    assert board.owner is None and board.in_flight is None and driver._buffer is None
    assert board.memory.used == 4096 and board.quarantined > 0
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert any("the reset failed too: no answer" in text for text in said)
    assert any("may still write to are kept" in text for text in said)
    driver.close()
    place = board.allocate(8)
    assert place.device_address >= 0x1000_0000 + 4096  # not handed out again
    place.close()
    other = BnnPynqDriver(board, driver.overlay)
    generation = board.generation
    other.load(driver.net)  # nobody refuses it, and it configures the logic again
    assert board.generation == generation + 1 and board.quarantined == 0 == board.memory.used
    assert lfc.run(other, values).tolist() == wanted
    other.close()
    assert board.memory.used == 0


def test_closing_the_board_first_is_fine(driver):
    lfc.run(driver, lfc.bits(3, 64))
    driver.board.close()
    with pytest.raises(ClosedError):
        driver.start(1)
    driver.close()


# -- golden ----------------------------------------------------------------------------------

def _published(golden, kind):
    from qnn_pynq.convert.bnn_pynq import import_bnn_pynq

    return import_bnn_pynq(golden / "bnn-pynq" / "params" / "mnist" / f"lfcW1A{kind[-1]}")


@pytest.mark.parametrize("kind, file, correct", [("w1a1", "t10k_lfcW1A1_gold.bin", 9840),
                                                 ("w1a2", "t10k_lfcW1A2_gold2k.bin", None)])
def test_golden_words_of_mnist(golden, shared_data, kind, file, correct):
    expected = np.frombuffer((golden / "bnn-pynq" / "results" / file).read_bytes(), "<u8")
    pictures = lfc.idx(shared_data / "mnist" / "t10k-images-idx3-ubyte.gz")[:len(expected)]
    driver = _driver(lfc.overlay(kind))
    driver.load(_published(golden, kind))
    words = lfc.run_packed(driver, lfc.mnist_bits(pictures))
    assert len(words) == {"w1a1": 10_000, "w1a2": 2_000}[kind]
    assert np.array_equal(words, expected)
    if correct is None:
        words = lfc.run_packed(driver, lfc.mnist_bits(
            lfc.idx(shared_data / "mnist" / "t10k-images-idx3-ubyte.gz")))
        correct = 9849
    labels = _labels(shared_data)
    assert np.count_nonzero(oracle.decode(words, 10)[0] == labels) == correct


def _labels(shared_data):
    packed = (shared_data / "mnist" / "t10k-labels-idx1-ubyte.gz").read_bytes()
    return np.frombuffer(gzip.decompress(packed), np.uint8, offset=8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("conservative", [False, True])
def test_golden_three_gives_word_8(golden, kind, conservative):
    driver = _driver(lfc.overlay(kind), conservative=conservative)
    driver.load(_published(golden, kind))
    picture = lfc.idx(golden / "bnn-pynq" / "images" / "3.image-idx3-ubyte")
    assert lfc.run_packed(driver, lfc.mnist_bits(picture)).tolist() == [0x8]


def test_ten_thousand_images_take_84_ms_by_the_model(golden):
    driver = _driver(lfc.overlay("w1a1"))
    driver.load(_published(golden, "w1a1"))
    driver.room(10_000)
    driver.start(10_000)
    driver.finish()
    assert driver.timing["run"] == pytest.approx(84.1e-3, rel=0.001)
