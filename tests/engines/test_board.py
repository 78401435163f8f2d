"""The engine on a board, with one overlay and with several: answers, chunks, stages, ownership, recovery."""

from __future__ import annotations

import dataclasses
import math

import lfc
import numpy as np
import oracle_conv
import pytest
import small
from small_conv import mixed_network, small_network

from qnn_pynq import Classifier
from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.catalogue import find_overlay
from qnn_pynq.engines import BoardEngine
from qnn_pynq.errors import (
    BoardBusyError,
    BoardError,
    BoardTakenError,
    DeadlineError,
    InputError,
    QnnError,
    UnsupportedNetworkError,
)
from qnn_pynq.networks import Segment

W1A2, W1A3 = "qnn-mo-w1a2", "qnn-mo-w1a3"


def _board_engine(board=None, circuit=None, **options):
    return BoardEngine(board or EmulatedBoard(), [circuit or lfc.tiny()], **options)


def _hang(twin, event, value):
    return math.inf if event == "duration" else value


def pictures(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3)).astype(np.uint8)


@pytest.mark.parametrize("conservative", [False, True])
@pytest.mark.parametrize("bits,pool,overlay", [(2, 3, W1A2), (3, 2, W1A3)])
def test_answers_and_features_are_the_oracles(bits, pool, overlay, conservative):
    network = small_network(1, bits, overlay, pool)
    X = pictures(5)
    with Classifier(network, board=EmulatedBoard(), conservative=conservative) as classifier:
        assert np.array_equal(classifier.features(X), oracle_conv.forward(network.layers[:-1], X))
        wanted = oracle_conv.forward(network.layers, X).argmax(axis=1)
        assert np.array_equal(classifier.predict(X), wanted)
        assert [p.index for p in classifier.stream(iter(X), batch_size=2)] == wanted.tolist()


def test_a_batch_larger_than_the_buffers_is_run_in_chunks():
    network = small_network()
    X = pictures(7)
    board = EmulatedBoard()
    engine = BoardEngine(board, [find_overlay(W1A2)])
    with board, engine:
        engine.load(network)
        engine.driver._capacity = 3
        found = engine.run(X.reshape(7, -1))
        assert (found.kind, found.end) == ("codes", 4)
        assert np.array_equal(found.values, oracle_conv.forward(network.layers[:-1], X))
        assert all(layer.pictures == 7 for layer in engine.layers())
        assert sum(layer.seconds for layer in engine.layers()) == pytest.approx(found.stages["accelerator"])
        # The weights are loaded once a chunk; accesses of registers come on top.
        least = 2 * engine.driver.expected_seconds(3) + engine.driver.expected_seconds(1)
        assert least <= found.stages["accelerator"] < 1.2 * least


def test_stages_say_where_the_time_went():
    with Classifier(small_network(), board=EmulatedBoard()) as classifier:
        answer = classifier.classify(pictures(1)[0])
    assert set(answer.stages) == {"preprocess", "first layer", "pack", "transfer", "accelerator", "emulation", "tail"}
    assert answer.accelerator_is_modelled and answer.stages["first layer"] > 0


def test_a_network_of_the_wrong_overlay_is_refused_before_the_board_is_touched():
    board = EmulatedBoard()
    with board:
        with pytest.raises(UnsupportedNetworkError, match="3"):
            Classifier(small_network(code_bits=3, pool=2, overlay=W1A2), board=board)
        with pytest.raises(UnsupportedNetworkError):
            Classifier(small.network(), board=board, overlay=W1A2)
        assert board.loaded is None and board.owner is None


def test_the_board_can_be_taken_and_taken_back():
    network, other = small_network(0), small_network(1)
    X = pictures(2)
    with EmulatedBoard() as board, Classifier(network, board=board) as first:
        wanted = first.predict(X)
        with Classifier(other, board=board) as second:
            second.predict(X)
            with pytest.raises(BoardTakenError):
                first.predict(X)
            first.load(network)
            assert np.array_equal(first.predict(X), wanted)


def test_an_error_before_the_run_leaves_the_engine_ready(monkeypatch):
    network = small_network()
    X = pictures(2)
    with EmulatedBoard() as board, Classifier(network, board=board) as classifier:
        wanted, generation = classifier.predict(X), board.generation

        def interrupted(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(classifier.engine.driver, "put", interrupted)
        with pytest.raises(KeyboardInterrupt):
            classifier.predict(X)
        monkeypatch.undo()
        assert np.array_equal(classifier.predict(X), wanted)
        assert board.generation == generation


# -- segments --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_segments_on_two_overlays_answer_as_one_network(seed):
    network = mixed_network(seed)
    X = pictures(5, seed)
    with Classifier(network, board=EmulatedBoard()) as classifier, Classifier(network, board="cpu") as software:
        assert len(classifier.engine.drivers) == 2
        for _ in range(2):  # the second batch begins with the other overlay in the logic
            found = classifier.features(X)
            assert np.array_equal(found, oracle_conv.forward(network.layers[:-1], X))
            assert np.array_equal(found, software.features(X))
        assert np.array_equal(classifier.predict(X), oracle_conv.forward(network.layers, X).argmax(axis=1))


def test_every_picture_of_a_batch_passes_a_segment_before_the_logic_is_configured_again():
    network = mixed_network()
    with EmulatedBoard() as board, Classifier(network, board=board) as classifier:
        generation = board.generation
        answers = classifier.classify_many(pictures(6))
        assert board.generation == generation + 1
        assert [(part.overlay, part.pictures) for part in classifier.engine.segments] == [(W1A2, 6), (W1A3, 6)]
        assert classifier.engine.segments[1].configure > 0
        assert "reconfigure" not in answers[0].stages  # the emulation's time is no board's
        classifier.predict(pictures(2))
        assert board.generation == generation + 3
        assert [layer.layer for layer in classifier.engine.layers()] == [1, 3, 5]
        profile = classifier.profile(pictures(2))
        assert [row.where for row in profile.rows] == ["software", *["overlay"] * 3, "software tail"]
        assert profile.reconfigure_seconds is None


def test_only_the_segment_in_the_logic_has_buffers():
    with EmulatedBoard() as board, Classifier(mixed_network(), board=board) as classifier:
        classifier.predict(pictures(40))
        used = [driver.dma_bytes for driver in classifier.engine.drivers]
        assert used[0] == 0 and 0 < used[1] == board.memory.used


def test_segments_are_refused_in_a_stream_of_single_pictures():
    network = mixed_network()
    X = pictures(5)
    with Classifier(network, board=EmulatedBoard()) as classifier:
        with pytest.raises(InputError, match="batch_size 1"):
            classifier.stream(iter(X), batch_size=1)
        wanted = classifier.predict(X).tolist()
        assert [p.index for p in classifier.stream(iter(X), batch_size=2)] == wanted
    with Classifier(network, board="cpu") as classifier:
        assert len(list(classifier.stream(iter(X), batch_size=1))) == 5


def test_a_segment_that_its_overlay_cannot_compute_is_refused_before_the_board_is_touched():
    network = mixed_network()
    with EmulatedBoard() as board:
        with pytest.raises(UnsupportedNetworkError, match="segment 1 .layers counted from 3 on"):
            Classifier(dataclasses.replace(network, segments=(Segment(3, W1A2),)), board=board)
        with pytest.raises(UnsupportedNetworkError, match="2 segments"):
            BoardEngine(board, [find_overlay(W1A2)]).check(network)
        assert board.loaded is None


def test_segments_and_single_networks_take_turns_on_one_classifier():
    single, mixed = small_network(), mixed_network()
    X = pictures(3)
    with Classifier(single, board=EmulatedBoard()) as classifier:
        wanted = classifier.predict(X)
        classifier.load(mixed)
        assert np.array_equal(classifier.predict(X), oracle_conv.forward(mixed.layers, X).argmax(axis=1))
        classifier.load(single)
        assert np.array_equal(classifier.predict(X), wanted)


def test_a_board_taken_between_batches_is_not_taken_back_without_a_load():
    mixed = mixed_network()
    X = pictures(3)
    with EmulatedBoard() as board, Classifier(mixed, board=board, takeover=False) as first:
        wanted = first.predict(X)
        assert np.array_equal(first.predict(X), wanted)
        with Classifier(small_network(), board=board):
            with pytest.raises(BoardTakenError):
                first.predict(X)
        first.load(mixed)
        assert np.array_equal(first.predict(X), wanted)


LFC = dataclasses.replace(small.network(lfc.overlay("w1a1"), 1), overlays=("bnn-pynq-lfc-w1a1",))


@pytest.mark.parametrize("first", [small_network(), mixed_network(), LFC])
@pytest.mark.parametrize("then", [small_network(1, 3, W1A3, 2), mixed_network(1), LFC])
def test_after_a_hang_any_network_can_be_loaded(first, then):
    def hang(_, event, value):
        return float("inf") if event == "duration" else value

    def some(network):
        return np.zeros((2, network.input.pixels), np.uint8)

    with EmulatedBoard() as board, Classifier(first, board=board, policy="none") as classifier:
        board.twin.inject(hang)
        with pytest.raises(DeadlineError):
            classifier.predict(some(first))
        classifier.load(then)
        with Classifier(then, board="cpu") as software:
            assert np.array_equal(classifier.predict(some(then)), software.predict(some(then)))


def test_a_hung_classifier_that_is_closed_leaves_the_board_free():
    network = small_network()
    with EmulatedBoard() as board:
        with Classifier(network, board=board, policy="none") as classifier:
            board.twin.inject(lambda _, event, value: float("inf") if event == "duration" else value)
            with pytest.raises(DeadlineError):
                classifier.predict(pictures(1))
        assert board.memory.used == 0
        with Classifier(network, board=board) as classifier:
            assert classifier.predict(pictures(1)).shape == (1,)


@pytest.mark.parametrize("faulty", [0, 1])
def test_after_a_deadline_in_any_segment_a_load_recovers(faulty, monkeypatch):
    mixed = mixed_network()
    X = pictures(3)
    with EmulatedBoard() as board, Classifier(mixed, board=board) as classifier:
        wanted = classifier.predict(X)
        driver = classifier.engine.drivers[faulty]

        def late(timeout=None):
            raise DeadlineError("no answer")

        monkeypatch.setattr(driver, "finish", late)
        with pytest.raises(DeadlineError):
            classifier.predict(X)
        monkeypatch.undo()
        classifier.load(mixed)
        assert np.array_equal(classifier.predict(X), wanted)


# -- dense networks ---------------------------------------------------------------------------------------


def test_accelerator_time_is_the_model_and_emulation_is_apart():
    net = small.network(lfc.overlay("w1a1"))
    with _board_engine(circuit=lfc.overlay("w1a1")) as engine:
        engine.load(net)
        stages = engine.run(small.pictures(1000, net)).stages
        assert engine.accelerator_is_modelled
        timing = engine.overlays[0].timing
        cycles = timing["first_image_cycles"] + 999 * timing["cycles_per_image"]
        assert stages["accelerator"] == pytest.approx(cycles / 100e6, rel=0.01)
        assert set(stages) == {"pack", "transfer", "accelerator", "emulation"}
        assert 0 < stages["emulation"] < 1 and engine.layers() == ()


def test_w1a2_parameters_are_refused_by_the_w1a1_overlay_before_any_access():
    board = EmulatedBoard()
    with _board_engine(board, lfc.overlay("w1a1")) as engine:
        with pytest.raises(UnsupportedNetworkError, match="layer 0"):
            engine.load(small.network(lfc.overlay("w1a2")))
    assert board.loaded is None


def test_a_hung_run_is_reported_and_configure_recovers():
    board = EmulatedBoard()
    net = small.network(seed=2)
    rows = small.pictures(4, net)
    with _board_engine(board) as engine:
        engine.load(net)
        board.twin.inject(_hang)
        with pytest.raises(DeadlineError):
            engine.run(rows, timeout=0.5)
        assert engine.state == "failed" and engine.network is None
        with pytest.raises(BoardError, match="load a network"):
            engine.run(rows)
        engine.load(net)
        assert engine.state == "ready"
        assert (engine.run(rows).values == small.words(net, rows)).all()


def test_a_hung_load_is_reported_and_configure_recovers():
    board = EmulatedBoard()
    net = small.network(seed=2)
    with _board_engine(board) as engine:
        engine.load(net)
        board.twin.inject(_hang)
        with pytest.raises(DeadlineError):
            engine.load(net)
        with pytest.raises(BoardError, match="load a network"):
            engine.one(small.pictures(1, net)[0])
        engine.load(net)
        assert engine.one(small.pictures(1, net)[0]) == small.words(net, small.pictures(1, net))[0]


def test_logic_configured_by_somebody_else_is_noticed():
    board = EmulatedBoard()
    net = small.network(seed=2)
    rows = small.pictures(4, net)
    with _board_engine(board) as engine:
        engine.load(net)
        board.forget()
        with pytest.raises(QnnError, match="load"):
            engine.run(rows)
        engine.load(net)
        assert (engine.run(rows).values == small.words(net, rows)).all()


def test_the_second_engine_takes_the_board_over():
    board = EmulatedBoard()
    nets = [small.network(seed=k) for k in (1, 2)]
    rows = small.pictures(6, nets[0])
    first, second = _board_engine(board), _board_engine(board)
    first.load(nets[0])
    second.load(nets[1])
    for _ in range(2):
        with pytest.raises(BoardTakenError):
            first.run(rows)
    assert (second.run(rows).values == small.words(nets[1], rows)).all()
    first.load(nets[0])
    assert (first.run(rows).values == small.words(nets[0], rows)).all()
    with pytest.raises(BoardTakenError):
        second.one(rows[0])
    polite = _board_engine(board, takeover=False)
    with pytest.raises(BoardBusyError, match="takeover"):
        polite.load(nets[1])
    first.close()
    polite.load(nets[1])
    assert (polite.run(rows).values == small.words(nets[1], rows)).all()


def test_a_run_in_flight_is_not_taken_over():
    board = EmulatedBoard()
    nets = [small.network(seed=k) for k in (1, 2)]
    rows = small.pictures(6, nets[0])
    first, second = _board_engine(board), _board_engine(board)
    first.load(nets[0])
    first.start(rows)
    with pytest.raises(BoardBusyError):
        second.load(nets[1])
    with pytest.raises(BoardError, match="in flight"):
        first.load(nets[1])
    assert (first.wait().values == small.words(nets[0], rows)).all()
    second.load(nets[1])


def test_a_run_that_somebody_elses_configuration_ended_is_not_in_the_way():
    board = EmulatedBoard()
    net = small.network(seed=1)
    rows = small.pictures(6, net)
    first, second = _board_engine(board), _board_engine(board)
    first.load(net)
    first.start(rows)
    board.forget()
    second.load(net)
    assert (second.run(rows).values == small.words(net, rows)).all()
    with pytest.raises(BoardError):
        first.wait()
