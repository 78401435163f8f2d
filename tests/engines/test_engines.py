"""Engines: the oracle's words in software and on a board, explicit states, ownership, deadlines."""
from __future__ import annotations

import dataclasses
import math

import lfc
import numpy as np
import oracle
import pytest
import small
from hypothesis import given, settings
from hypothesis import strategies as st
from qnn_pynq.engines.dense_board import OverlayEngine
from qnn_pynq.engines.dense_software import SoftwareEngine

from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.classifier.decode import HighestBit
from qnn_pynq.errors import (
    BoardBusyError,
    BoardError,
    BoardTakenError,
    ClosedError,
    DeadlineError,
    InputError,
    QnnError,
    UnsupportedNetworkError,
)


def _overlay_engine(board=None, circuit=None, **options):
    return OverlayEngine(board or EmulatedBoard(), circuit or lfc.tiny(), **options)


@pytest.fixture(params=["software", "overlay"])
def engine(request):
    made = SoftwareEngine() if request.param == "software" else _overlay_engine()
    with made:
        yield made


def _hang(twin, event, value):
    return math.inf if event == "duration" else value


# -- words -----------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.booleans(), st.booleans())
def test_random_small_networks_give_the_oracles_words(seed, count, table, hostile):
    net = small.network(seed=seed, table=table, hostile=hostile)
    rows = small.pictures(count, net, seed)
    wanted = small.words(net, rows)
    for engine in (SoftwareEngine(), _overlay_engine()):
        with engine:
            engine.configure(net)
            assert (engine.run(rows).words == wanted).all()
            for k in range(min(count, 3)):
                assert engine.one(rows[k]) == wanted[k]


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.sampled_from(["w1a1", "w1a2"]), st.integers(0, 2**32 - 1), st.integers(1, 150), st.booleans(), st.booleans())
def test_random_lfc_networks_give_the_oracles_words(kind, seed, count, table, hostile):
    circuit = lfc.overlay(kind)
    net = small.network(circuit, seed, table=table, hostile=hostile)
    rows = small.pictures(count, net, seed)
    wanted = small.words(net, rows)
    for engine in (SoftwareEngine(), _overlay_engine(circuit=circuit)):
        with engine:
            engine.configure(net)
            assert (engine.run(rows).words == wanted).all()


@pytest.mark.parametrize("kind", ["w1a1", "w1a2"])
def test_one_random_lfc_network_gives_the_oracles_words(kind):
    circuit = lfc.overlay(kind)
    net = small.network(circuit, 7, table=True, hostile=True)
    rows = small.pictures(70, net)
    wanted = small.words(net, rows)
    for engine in (SoftwareEngine(threads=2), _overlay_engine(circuit=circuit)):
        with engine:
            engine.configure(net)
            assert (engine.run(rows).words == wanted).all()


def test_software_gives_the_oracles_sums():
    net = small.network(seed=3)
    rows = small.pictures(9, net)
    with SoftwareEngine() as engine:
        engine.configure(net)
        result = engine.run(rows, sums=True)
    assert (result.sums == oracle.lfc_sums(net.layers, small.bits(net, rows))).all()


def test_few_output_neurons_in_software():
    net = small.network(seed=4, sizes=(64, 16, 10), classes=10)
    rows = small.pictures(9, net)
    out = np.empty(9, np.uint64)
    with SoftwareEngine() as engine:
        engine.configure(net)
        assert engine.run(rows, out=out).words is out
        assert (out == small.words(net, rows)).all()
        assert engine.one(rows[3]) == out[3]


def test_chunks_give_what_one_run_gives(engine):
    net = small.network(seed=5)
    rows = small.pictures(100, net)
    engine.configure(net)
    if isinstance(engine, OverlayEngine):
        engine.driver._capacity = 16
    assert (engine.run(rows).words == small.words(net, rows)).all()


def test_out_is_used_and_checked(engine):
    net = small.network()
    rows = small.pictures(5, net)
    engine.configure(net)
    out = np.zeros(5, np.uint64)
    assert engine.run(rows, out=out).words is out and (out == small.words(net, rows)).all()
    for bad in (np.zeros(4, np.uint64), np.zeros(5, np.int64)):
        with pytest.raises(InputError, match="out"):
            engine.run(rows, out=bad)


def test_start_and_wait_are_run(engine):
    net = small.network()
    rows = small.pictures(5, net)
    engine.configure(net)
    engine.start(rows)
    assert (engine.wait().words == small.words(net, rows)).all()
    with pytest.raises((BoardError, InputError), match="start"):
        engine.wait()


def test_no_pictures_give_no_words(engine):
    net = small.network()
    engine.configure(net)
    assert engine.run(small.pictures(0, net)).words.shape == (0,)


# -- stages ----------------------------------------------------------------------------------


def test_accelerator_time_is_the_model_and_emulation_is_apart():
    net = small.network(lfc.overlay("w1a1"))
    with _overlay_engine(circuit=lfc.overlay("w1a1")) as engine:
        engine.configure(net)
        stages = engine.run(small.pictures(1000, net)).stages
        assert engine.accelerator_is_modelled
        timing = engine.overlay.timing
        cycles = timing["first_image_cycles"] + 999 * timing["cycles_per_image"]
        assert stages["accelerator"] == pytest.approx(cycles / 100e6, rel=0.01)
        assert set(stages) == {"pack", "transfer", "accelerator", "emulation"}
        assert 0 < stages["emulation"] < 1 and stages == engine.profile()


def test_software_has_no_accelerator_stage():
    net = small.network()
    with SoftwareEngine() as engine:
        engine.configure(net)
        assert set(engine.run(small.pictures(3, net)).stages) == {"kernel"}
        assert not engine.accelerator_is_modelled


# -- states ----------------------------------------------------------------------------------


def test_before_configure_and_after_close_everything_is_refused(engine):
    rows = np.zeros((1, 64), np.uint8)
    with pytest.raises(BoardError, match="load"):
        engine.run(rows)
    with pytest.raises(BoardError, match="load"):
        engine.one(rows[0])
    engine.close()
    engine.close()
    for call in (lambda: engine.run(rows), lambda: engine.one(rows[0]), lambda: engine.configure(small.network())):
        with pytest.raises(ClosedError):
            call()


def test_an_unsupported_network_leaves_the_former_one(engine):
    net = small.network(seed=1)
    rows = small.pictures(4, net)
    engine.configure(net)
    bad = dataclasses.replace(net, decode=dataclasses.replace(net.decode, levels=7))
    with pytest.raises(UnsupportedNetworkError, match="levels"):
        engine.configure(bad)
    assert (engine.run(rows).words == small.words(net, rows)).all()


def test_w1a2_parameters_are_refused_by_the_w1a1_overlay_before_any_access():
    board = EmulatedBoard()
    with _overlay_engine(board, lfc.overlay("w1a1")) as engine:
        with pytest.raises(UnsupportedNetworkError, match="layer 0"):
            engine.configure(small.network(lfc.overlay("w1a2")))
    assert board.loaded is None


def test_a_hung_run_is_reported_and_configure_recovers():
    board = EmulatedBoard()
    net = small.network(seed=2)
    rows = small.pictures(4, net)
    with _overlay_engine(board) as engine:
        engine.configure(net)
        board.twin.inject(_hang)
        with pytest.raises(DeadlineError):
            engine.run(rows, deadline=0.5)
        assert engine.state == "failed" and engine.network is None
        with pytest.raises(BoardError, match="load a network"):
            engine.run(rows)
        engine.configure(net)
        assert engine.state == "ready"
        assert (engine.run(rows).words == small.words(net, rows)).all()


def test_a_hung_load_is_reported_and_configure_recovers():
    board = EmulatedBoard()
    net = small.network(seed=2)
    with _overlay_engine(board) as engine:
        engine.configure(net)
        board.twin.inject(_hang)
        with pytest.raises(DeadlineError):
            engine.configure(net)
        with pytest.raises(BoardError, match="load a network"):
            engine.one(small.pictures(1, net)[0])
        engine.configure(net)
        assert engine.one(small.pictures(1, net)[0]) == small.words(net, small.pictures(1, net))[0]


def test_logic_configured_by_somebody_else_is_noticed():
    board = EmulatedBoard()
    net = small.network(seed=2)
    rows = small.pictures(4, net)
    with _overlay_engine(board) as engine:
        engine.configure(net)
        board.forget()
        with pytest.raises(QnnError, match="load"):
            engine.run(rows)
        engine.configure(net)
        assert (engine.run(rows).words == small.words(net, rows)).all()


def test_the_second_engine_takes_the_board_over():
    board = EmulatedBoard()
    nets = [small.network(seed=k) for k in (1, 2)]
    rows = small.pictures(6, nets[0])
    first, second = _overlay_engine(board), _overlay_engine(board)
    first.configure(nets[0])
    second.configure(nets[1])
    for _ in range(2):
        with pytest.raises(BoardTakenError):
            first.run(rows)
    assert (second.run(rows).words == small.words(nets[1], rows)).all()
    first.configure(nets[0])
    assert (first.run(rows).words == small.words(nets[0], rows)).all()
    with pytest.raises(BoardTakenError):
        second.one(rows[0])
    polite = _overlay_engine(board, takeover=False)
    with pytest.raises(BoardBusyError, match="takeover"):
        polite.configure(nets[1])
    first.close()
    polite.configure(nets[1])
    assert (polite.run(rows).words == small.words(nets[1], rows)).all()


def test_a_run_in_flight_is_not_taken_over():
    board = EmulatedBoard()
    nets = [small.network(seed=k) for k in (1, 2)]
    rows = small.pictures(6, nets[0])
    first, second = _overlay_engine(board), _overlay_engine(board)
    first.configure(nets[0])
    first.start(rows)
    with pytest.raises(BoardBusyError):
        second.configure(nets[1])
    with pytest.raises(BoardError, match="in flight"):
        first.configure(nets[1])
    assert (first.wait().words == small.words(nets[0], rows)).all()
    second.configure(nets[1])


def test_a_run_that_somebody_elses_configuration_ended_is_not_in_the_way():
    board = EmulatedBoard()
    net = small.network(seed=1)
    rows = small.pictures(6, net)
    first, second = _overlay_engine(board), _overlay_engine(board)
    first.configure(net)
    first.start(rows)
    board.forget()
    second.configure(net)
    assert (second.run(rows).words == small.words(net, rows)).all()
    with pytest.raises(BoardError):
        first.wait()


def test_threads_must_be_positive():
    with pytest.raises(InputError, match="threads"):
        SoftwareEngine(threads=0)


# -- decode ----------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=30), st.sampled_from([(10, 1), (10, 6), (1, 1), (2, 32), (64, 1)]))
def test_decoding_is_the_oracles(values, shape):
    classes, levels = shape
    net = small.network(classes=classes)
    net = dataclasses.replace(net, decode=dataclasses.replace(net.decode, levels=levels))
    decoder = HighestBit(net)
    words = np.array(values, np.uint64)
    index, fired = oracle.decode(words, classes, levels)
    found, unfired = decoder.indices(words)
    assert (found == index).all() and unfired == (~fired).sum()
    scores = decoder.scores(words)
    for k, value in enumerate(values):
        masked = value & decoder.mask
        assert decoder.by_length[masked.bit_length()] == index[k]
        levels_of = [max([lv + 1 for lv in range(levels) if masked >> (lv * classes + c) & 1], default=0)
                     for c in range(classes)]
        assert scores[k].tolist() == levels_of
        if fired[k]:  # the highest score, and of equal ones the highest class
            assert index[k] == max(range(classes), key=lambda c: (levels_of[c], c))


def test_word_12_is_class_3_and_word_0_is_not_fired():
    decoder = HighestBit(small.network())
    indices, unfired = decoder.indices(np.array([12, 0, 1 << 63], np.uint64))
    assert indices.tolist() == [3, 0, 0] and unfired == 2


def test_probabilities_are_a_softmax_of_the_margins():
    net = small.network(seed=1)
    net = dataclasses.replace(net, decode=dataclasses.replace(net.decode, scale=0.5))
    base = net.layers[-1].thresholds[:10, 0]
    sums = np.zeros((2, 64), np.int32)
    sums[:, :10] = base
    sums[1, 3] += 2
    p = HighestBit(net).probabilities(sums)
    assert p[0] == pytest.approx(np.full(10, 0.1))
    assert p[1, 3] == pytest.approx(math.e / (math.e + 9)) and p.sum(axis=1) == pytest.approx(1)
