"""The engine's driver: values of whole networks through the emulated circuit, what it refuses, how it recovers."""

from __future__ import annotations

import dataclasses

import engine_networks as nets
import lfc
import numpy as np
import oracle
import pytest
import small
import small_conv
from test_golden_dorefa import OUTPUT, digest, unpack

from qnn_pynq import Classifier, FaultPlan
from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.catalogue import find_network, find_overlay, overlay_files
from qnn_pynq.convert.qnn_mo import import_qnn_mo
from qnn_pynq.engines import BoardEngine, SoftwareEngine
from qnn_pynq.errors import (
    BoardBusyError,
    BoardError,
    BusError,
    DeadlineError,
    DescriptorError,
    ForeignBitstreamError,
    InputError,
    NoDataError,
    OverlayMissingError,
    StatusError,
    StrayRunError,
)
from qnn_pynq.families.engine import driver as driver_module
from qnn_pynq.families.engine.driver import EngineDriver
from qnn_pynq.files.fields import Fields
from qnn_pynq.overlay import load_overlay
from qnn_pynq.reliability.answers import Answers, differences, known_answers

LFC = ("lfc-w1a1-mnist", "lfc-w1a1-fashion-mnist", "lfc-w1a2-mnist", "lfc-w1a2-fashion-mnist")
DOREFA = ("dorefa-w1a2-imagenette", "dorefa-w1a2-cifar10")


def made(net, overlay=None, **options):
    driver = EngineDriver(EmulatedBoard(), overlay or nets.small_engine(), **options)
    driver.load(net)
    return driver


def run(driver, values):
    driver.put(values)
    driver.start(len(values))
    return driver.finish()


def right(driver, net, pictures, seed=0):
    first = len(driver.split(net, driver.overlay).before)
    values = nets.inputs_of(net, net.layers[first:], first, pictures, seed)
    row = np.zeros((pictures, *driver.input.shape), np.uint8)
    row[:, : values.shape[1]] = values
    found = run(driver, row)
    assert np.array_equal(found, nets.expected(net, net.layers[first:], values))
    return found


# -- values -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LFC)
def test_shipped_dense_networks_give_the_words_of_the_oracle(name):
    net = find_network(name)
    driver = made(net, nets.overlay())
    bits = np.random.RandomState(1).randint(0, 2, (37, net.layers[0].inputs)).astype(np.uint8)
    words = run(driver, np.packbits(bits, axis=1, bitorder="little"))
    assert np.array_equal(words, oracle.lfc_words(net.layers, bits))
    counters = driver.counters
    assert counters.busy <= counters.cycles and driver.timing["run"] == pytest.approx(counters.cycles * 1e-8)


@pytest.mark.parametrize("name", [*LFC, *DOREFA])
def test_shipped_networks_give_their_known_answers(name):
    net = find_network(name)
    known = known_answers(net).part(slice(0, 5))
    with BoardEngine(EmulatedBoard(), [nets.overlay()]) as engine:
        engine.load(net)
        found = engine.run(known.pictures)
    assert found.kind == ("words" if name in LFC else "scores")
    assert not differences(net, known, Answers.of(known.pictures, found))


@pytest.mark.parametrize("kind, words", [("lfcW1A1", "t10k_lfcW1A1_gold.bin"), ("lfcW1A2", "t10k_lfcW1A2_gold2k.bin")])
def test_published_dense_parameters_give_the_published_words(golden, shared_data, kind, words):
    rows, _ = small.test_set(shared_data, "mnist")
    wanted = np.fromfile(str(golden / "bnn-pynq" / "results" / words), "<u8")[:500]
    with BoardEngine(EmulatedBoard(), [nets.overlay()]) as engine:
        engine.load(small.published(golden, kind))
        assert np.array_equal(engine.run(rows[:500]).values, wanted)


@pytest.mark.slow
def test_the_published_convolutional_network_gives_the_published_codes(golden, tmp_path):
    folder = golden / "qnn-mo"
    net = import_qnn_mo(folder / "params" / "dorefanet-layers.json")
    split = EngineDriver.split(net, nets.overlay())
    assert [len(part) for part in split] == [1, len(net.layers) - 1, 0]
    driver = made(net, nets.overlay())
    found = run(driver, unpack(folder / "test" / "input.bin", 54, 68)[None])
    assert digest(found[0]) == OUTPUT
    assert driver.counters.cycles / 4 <= 400_000
    assert [layer.layer for layer in driver.layers()] == [1, 3, 5, 6]


def test_batches_of_any_size_and_the_next_network(golden):
    net, other = nets.whole_network(1), nets.dense_network(1, (832, 64, 40), ternary=True)
    driver = made(net)
    for pictures in (1, 2, 3, 8):
        right(driver, net, pictures, pictures)
    driver.load(other)
    right(driver, other, 9)
    assert driver.output.kind == "words" and driver.board.generation == 1


def test_large_batches_keep_to_the_memory_that_they_may_take():
    net = nets.whole_network(2)
    driver = made(net, dma_bytes=200_000)
    assert 2 <= driver.capacity < 60 and driver.capacity % 2 == 0
    right(driver, net, driver.capacity)
    assert sum(buffer.nbytes for buffer in driver._buffers()) <= 200_000
    assert made(net, dma_bytes=1).capacity == 2  # a group gets what it needs


# -- chunks -----------------------------------------------------------------------------------------------


@pytest.fixture
def small_chunks(monkeypatch):
    """Each of one group of pictures."""
    monkeypatch.setattr(driver_module, "_CHUNK", 1)
    monkeypatch.setattr(driver_module, "_OVERHEAD", 0)
    monkeypatch.setattr(driver_module, "_LEAST", 1)


NETS = {
    "words": lambda: nets.dense_network(6, (70, 64, 40), ternary=True),
    "sums": lambda: nets.dense_network(6, (70, 64, 40), sums=True),
    "scores": nets.whole_network,
    "codes": lambda: nets.network([small_conv.binary_conv(np.random.default_rng(1), 64, 24)], (5, 6)),
}


@pytest.mark.parametrize("kind", NETS)
def test_a_batch_goes_through_two_buffers_chunk_by_chunk(small_chunks, kind):
    net = NETS[kind]()
    driver = made(net)
    assert driver.output.kind == kind
    for pictures in (2, 3, 9, 16, 1):
        right(driver, net, pictures, pictures)
        assert [len(buffers) for buffers in driver._maps] == ([1, 1] if pictures == 2 else [2, 2])
        chunks = -(-pictures // 2)
        assert len(driver._counted) == chunks and driver.timing["pictures"] == pictures
        assert driver.timing["run"] == pytest.approx(1e-8 * sum(one.cycles for one in driver._counted))
    assert driver.expected_seconds(16) == pytest.approx(8 * driver.expected_seconds(2))
    assert max(buffer.nbytes for buffers in driver._maps for buffer in buffers) == max(driver._compiled.maps)


def test_chunks_of_a_network_of_several_programs(small_chunks):
    net = nets.dense_network(1, (256, 256, 256, 256, 64))
    driver = made(net, nets.overlay(weight_words=64))
    assert len(driver._compiled.parts) == 2
    for pictures in (4, 13):
        right(driver, net, pictures)
    assert [len(buffers) for buffers in driver._maps] == [2, 1, 2] and len(driver._counted) == 8


def test_large_chunks_where_each_loads_weights_and_small_ones_where_memory_is_small():
    turns = made(nets.dense_network(1, (256, 256, 256, 256, 64)), nets.overlay(weight_words=64))
    resident = made(nets.dense_network(1, (256, 256, 256, 256, 64)), nets.overlay())
    for driver in (turns, resident):
        groups = driver._largest
        assert driver._cycles(groups) <= 1.02 * groups * (driver._cycles(101) - driver._cycles(100))
        assert 2 * groups * driver._vectors <= driver.capacity
        assert driver._cycles(groups) > 500_000
    assert made(nets.whole_network())._largest >= 3
    assert made(nets.whole_network(), dma_bytes=200_000)._largest <= 10


def test_the_host_packs_and_unpacks_while_the_circuit_runs(small_chunks, monkeypatch):
    net = NETS["codes"]()
    driver = made(net)
    seen = []
    works = {name: getattr(driver_module, name) for name in ("pack_maps", "unpack_codes")}
    for name in works:
        def watched(*arguments, name=name):
            seen.append((name, driver._engine.busy))
            return works[name](*arguments)

        monkeypatch.setattr(driver_module, name, watched)
    right(driver, net, 8)
    assert seen == [("pack_maps", False), ("pack_maps", True), ("pack_maps", True), ("unpack_codes", True),
                    ("pack_maps", True), ("unpack_codes", True), ("unpack_codes", True), ("unpack_codes", False)]


def test_pictures_may_change_once_they_are_put_and_fewer_may_be_run(small_chunks):
    net = NETS["codes"]()
    driver = made(net)
    values = nets.inputs_of(net, net.layers, 0, 9)
    given = values.copy()
    driver.put(given)
    given[:] = 0
    driver.start(7)
    with pytest.raises(BoardBusyError):
        driver.put(given)
    found = driver.finish()
    assert np.array_equal(found, nets.expected(net, net.layers, values[:7]))
    kept = found.copy()
    right(driver, net, 9, 1)
    assert np.array_equal(found, kept)


@pytest.mark.parametrize("name", ["pack_maps", "unpack_codes", "result_words"])
@pytest.mark.parametrize("turn", [1, 2, 4])
def test_an_interrupt_between_chunks_leaves_a_run_that_can_be_finished(small_chunks, monkeypatch, name, turn):
    net = NETS["codes"]()
    driver = made(net)
    values = nets.inputs_of(net, net.layers, 0, 9)
    driver.put(values)
    driver.start(9)
    work, calls = getattr(driver_module, name), []

    def broken(*arguments):
        calls.append(1)
        if len(calls) == turn:
            raise KeyboardInterrupt
        return work(*arguments)

    monkeypatch.setattr(driver_module, name, broken)
    with pytest.raises(KeyboardInterrupt):
        driver.finish()
    assert np.array_equal(driver.finish(), nets.expected(net, net.layers, values))
    right(driver, net, 5, 1)


def test_a_later_chunk_that_takes_too_long_ends_the_run(small_chunks):
    net = NETS["codes"]()
    driver = made(net)
    wait, waits = driver._engine.wait, []

    def late(timeout, *others):
        waits.append(timeout)
        return wait(1e-6 if len(waits) == 3 else timeout, *others)

    driver._engine.wait = late
    driver.put(nets.inputs_of(net, net.layers, 0, 9))
    driver.start(9)
    with pytest.raises(DeadlineError):
        driver.finish()
    assert driver.board.in_flight is None and len(waits) == 3
    with pytest.raises(BoardError, match="no run in flight"):
        driver.finish()
    with pytest.raises(InputError, match="put"):
        driver.start(1)
    right(driver, net, 9)


def test_results_of_a_chunk_that_were_never_written_are_missed(small_chunks, monkeypatch):
    net = NETS["codes"]()
    driver = made(net)
    ready = driver._make_ready

    def elsewhere(chunk):  # the circuit writes where nobody looks
        ready(chunk)
        if chunk == 2:
            windows = driver._windows
            spare = driver.board.allocate(driver._maps[-1][0].nbytes, np.uint8)
            driver._windows = lambda *arguments: [
                one._replace(base=spare.device_address) if place == 2 else one
                for place, one in enumerate(windows(*arguments))]
            driver._starts.clear()

    monkeypatch.setattr(driver, "_make_ready", elsewhere)
    driver.put(nets.inputs_of(net, net.layers, 0, 9))
    driver.start(9)
    with pytest.raises(NoDataError, match="2 of 2"):
        driver.finish()


def test_weights_that_do_not_fit_at_once_are_loaded_by_the_programs():
    rng = np.random.default_rng(3)
    net = nets.network([small_conv.binary_conv(rng, 64, 64) for _ in range(6)], (5, 5), 64)
    driver = made(net, nets.small_engine(pe=4, weight_words=512))
    right(driver, net, 5)
    right(driver, net, 3, 1)


def test_what_stays_of_the_weights_outlives_a_run_that_is_broken_off():
    rng = np.random.default_rng(3)
    net = nets.network([small_conv.binary_conv(rng, 64, 64) for _ in range(6)], (5, 5), 64)
    driver = made(net, nets.small_engine(pe=4, weight_words=512))
    assert driver._compiled.setup is not None and driver._compiled.parts[0].image == 0
    values = nets.inputs_of(net, net.layers, 0, 7)
    driver.put(values)
    driver.start(7)
    with pytest.raises(DeadlineError):
        driver.finish(5e-4)
    assert driver.board.in_flight is None
    for pictures in (7, 1):
        right(driver, net, pictures)
    assert driver.counters.wait_load < 0.01 * driver.counters.cycles


def test_probabilities_mean_something_on_the_engine():
    net = dataclasses.replace(nets.whole_network(), overlays=("engine-z7020",))
    pictures = np.random.RandomState(0).randint(0, 256, (3, 14, 14, 3)).astype(np.uint8)
    with Classifier(net, board="emulated") as one, Classifier(net, board="cpu") as other:
        assert np.array_equal(one.predict_proba(list(pictures)), other.predict_proba(list(pictures)))


def test_scores_are_those_of_the_software_bit_by_bit():
    net = find_network("dorefa-w1a2-imagenette")
    pictures = np.random.RandomState(0).randint(0, 256, (2, net.input.pixels)).astype(np.uint8)
    with BoardEngine(EmulatedBoard(), [nets.overlay()]) as one, SoftwareEngine() as other:
        one.load(net)
        other.load(net)
        assert not differences(net, Answers.of(pictures, other.run(pictures)), Answers.of(pictures, one.run(pictures)))
        assert one.layers()[-1].name == "fc10" and one.first_on_logic == 1


@pytest.mark.parametrize("activation, bits", [("clip", 0), ("quantise", 2), ("none", 0)])
def test_activations_of_a_tail(activation, bits):
    net = nets.whole_network()
    tail = dataclasses.replace(net.layers[-1], activation=activation, output_bits=bits, scale=1e-3)
    changed = dataclasses.replace(net, layers=(*net.layers[:-1], tail))
    pictures = np.random.RandomState(0).randint(0, 256, (3, net.input.pixels)).astype(np.uint8)
    with BoardEngine(EmulatedBoard(), [nets.small_engine()]) as one, SoftwareEngine() as other:
        one.load(changed)
        other.load(changed)
        mine, theirs = one.run(pictures), other.run(pictures)
        assert not differences(changed, Answers.of(pictures, theirs), Answers.of(pictures, mine))


# -- cycles -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, most", [("lfc-w1a1-mnist", 385), ("lfc-w1a2-mnist", 766)])
def test_a_further_picture_takes_no_more_cycles_than_wanted(name, most):
    driver = made(find_network(name), nets.overlay())
    counted = []
    for pictures in (40, 80):
        run(driver, np.zeros((pictures, *driver.input.shape), np.uint8))
        counted.append(driver.counters.cycles)
        assert driver.expected_seconds(pictures) == pytest.approx(driver.timing["run"], rel=0.03)
    assert (counted[1] - counted[0]) / 40 <= most


def test_weights_take_no_more_cycles_than_wanted():
    for name in (*LFC, *DOREFA):
        driver = EngineDriver(EmulatedBoard(), nets.overlay())
        seconds = []
        wait = driver._engine.wait

        def watched(*arguments, wait=wait, seconds=seconds):
            counters = wait(*arguments)
            seconds.append(counters.cycles)
            return counters

        driver._engine.wait = watched
        driver.load(find_network(name))
        assert len(seconds) == 1 and seconds[0] <= 60_000


def test_a_first_layer_of_few_bits_runs_on_the_engine_too():
    net = find_network("dorefa-w1a2-imagenette")
    rng = np.random.default_rng(0)
    first = dataclasses.replace(
        net.layers[0], weights=(2 * rng.integers(-8, 8, net.layers[0].weights.shape) + 1).astype(np.int16),
        thresholds=rng.integers(-60_000, 60_000, net.layers[0].thresholds.shape).astype(np.int32))
    whole = dataclasses.replace(net, layers=(first, *net.layers[1:]))
    driver = made(whole, nets.overlay())
    assert driver.input.kind == "pixels" and driver.output.kind == "scores"
    right(driver, whole, 4)
    assert driver.counters.cycles / 4 <= 80_000


# -- another circuit, and what goes wrong ------------------------------------------------------------------


@pytest.mark.parametrize("key, value", [("pe", 4), ("vectors", 4), ("weight_words", 1024), ("bank_words", 1024),
                                        ("threshold_words", 256)])
def test_a_circuit_of_other_capabilities_is_refused_as_the_wrong_bitstream(key, value):
    board = EmulatedBoard()
    board.configure(nets.small_engine(**{key: value}))
    driver = EngineDriver(board, nets.small_engine())
    board.configure = lambda overlay: None  # as if the descriptor had named that bitstream
    with pytest.raises(ForeignBitstreamError, match=f"{key} {value}"):
        driver.load(nets.dense_network())
    assert driver.network is None and not driver._buffers()


def test_what_is_no_engine_is_refused():
    board = EmulatedBoard()
    board.configure(lfc.tiny())
    board.configure = lambda overlay: None
    registers = board.ip(board.loaded.ip.name)
    board.ip = lambda name: registers
    with pytest.raises(ForeignBitstreamError, match="magic"):
        EngineDriver(board, nets.small_engine()).load(nets.dense_network())


def test_a_broken_program_is_an_error_and_not_a_hang():
    net = nets.dense_network()
    for word, kind in ((0, StatusError), (7 << 20, StatusError)):
        driver = made(net)
        part = driver._compiled.parts[0]
        words = part.words.copy()
        words[0] = word
        broken = dataclasses.replace(driver._compiled, parts=(part._replace(words=words),))
        driver._compiled = broken
        driver.put(np.zeros((1, *driver.input.shape), np.uint8))
        driver.start(1)
        with pytest.raises(kind, match="bad program"):
            driver.finish()


@pytest.mark.parametrize("change", [
    lambda window: window._replace(size=0), lambda window: window._replace(size=max(0, window.size - 128)),
    lambda window: window._replace(base=window.base + 64), lambda window: window._replace(stride=1 << 31)])
def test_memory_that_is_too_small_or_lies_between_is_an_error(change):
    net = nets.dense_network()
    driver = made(net)
    windows = driver._windows
    driver._windows = lambda part, groups: [change(window) for window in windows(part, groups)]
    driver.put(np.zeros((3, *driver.input.shape), np.uint8))
    driver.start(3)
    with pytest.raises(StatusError, match="out of range"):
        driver.finish()


def test_an_address_that_nobody_answers_for_is_a_bus_error():
    driver = made(nets.dense_network())
    windows = driver._windows
    driver._windows = lambda part, groups: [one._replace(base=one.base + (1 << 30)) for one in windows(part, groups)]
    driver.put(np.zeros((1, *driver.input.shape), np.uint8))
    driver.start(1)
    with pytest.raises(BusError, match="memory"):
        driver.finish()


def test_a_run_that_takes_too_long_is_aborted_and_the_next_one_is_right():
    net = nets.whole_network()
    driver = made(net)
    values = nets.inputs_of(net, net.layers, 0, 4)
    driver.put(values)
    driver.start(4)
    with pytest.raises(DeadlineError):
        driver.finish(1e-6)
    assert driver.board.in_flight is None and driver.network is net  # the engine is idle, its weights are there
    right(driver, net, 4)


def test_a_hang_stays_in_flight_until_the_board_is_reset():
    plan = FaultPlan(0, 1.0, ["hang"])
    plan.active = False
    net = nets.dense_network()
    driver = EngineDriver(EmulatedBoard(faults=plan), nets.small_engine())
    driver.load(net)
    plan.active = True
    driver.put(np.zeros((1, *driver.input.shape), np.uint8))
    driver.start(1)
    with pytest.raises(DeadlineError):
        driver.finish()
    plan.active = False
    if driver.board.in_flight is driver:  # nothing but a configuration ends this one
        with pytest.raises(StrayRunError):
            driver._running = 0
            driver.load(net)
        driver.board.reset()
    driver.load(net)
    right(driver, net, 3)


def test_codes_that_are_too_large_are_refused():
    net = nets.network([small_conv.binary_conv(np.random.default_rng(0), 64, 8)])
    driver = made(net)
    values = np.zeros((1, 9, 9, 64), np.uint8)
    values[0, 3, 3, 3] = 4
    with pytest.raises(InputError, match="code 4"):
        driver.put(values)


def test_bits_beyond_the_inputs_do_not_count():
    net = nets.dense_network()
    driver = made(net)
    values = np.zeros((1, *driver.input.shape), np.uint8)
    found = run(driver, values)
    bits = np.ones(8 * values.shape[1], np.uint8)
    bits[: net.layers[0].inputs] = 0
    assert np.array_equal(run(driver, np.packbits(bits, bitorder="little")[None]), found)


# -- the descriptor ----------------------------------------------------------------------------------------


def test_a_circuit_without_a_bitstream_is_listed_and_refused_by_boards():
    overlay = find_overlay("engine-z7020")
    assert overlay.files == {} and "no bitstream" in overlay.verified["state"]
    with pytest.raises(OverlayMissingError, match="no bitstream yet"):
        overlay_files(overlay)


@pytest.mark.parametrize("key, value", [
    ("pe", 0), ("pe", 33), ("vectors", 0), ("lanes", 32), ("accumulator_bits", 16), ("program_words", 2048),
    ("weight_words", 100), ("threshold_words", 513), ("bank_words", 2000), ("bank_words", 8192), ("more", 1)])
def test_a_geometry_that_no_engine_has_is_refused(key, value):
    from qnn_pynq.families.engine.descriptor import check

    overlay = load_overlay(find_overlay("engine-z7020").path)
    with pytest.raises(DescriptorError, match=key):
        check(Fields(dict(overlay.geometry, **{key: value}), "here"), Fields(dict(overlay.timing), "here"))
    with pytest.raises(DescriptorError, match="write_access_ns"):
        timing = {name: found for name, found in overlay.timing.items() if name != "write_access_ns"}
        check(Fields(dict(overlay.geometry), "here"), Fields(timing, "here"))


@pytest.mark.parametrize("address", [(1 << 32) - 127, 1 << 32, 1 << 35])
def test_a_buffer_that_the_registers_do_not_reach_is_refused(address, monkeypatch):
    board = EmulatedBoard()
    with BoardEngine(board, [find_overlay("engine-z7020-32x2")]) as engine:
        engine.load(find_network("lfc-w1a1-mnist"))
        give = board.allocate

        def elsewhere(*arguments):
            buffer = give(*arguments)
            buffer.device_address = address
            return buffer

        monkeypatch.setattr(board, "allocate", elsewhere)
        with pytest.raises(BoardError, match="lies at 0x.*expected it below 0x100000000"):
            engine.run(np.zeros((2, 784), np.uint8))
