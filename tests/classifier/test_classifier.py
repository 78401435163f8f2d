"""Classifier: scikit-learn's conventions, predictions, run-time loading, threads, refusals."""
from __future__ import annotations

import dataclasses
import io
import math
import threading
import time

import lfc
import numpy as np
import oracle
import pytest
import small
from PIL import Image
from small_conv import mixed_network, small_network

from qnn_pynq import Classifier
from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.catalogue import find_overlay
from qnn_pynq.errors import (
    BoardBusyError,
    BoardError,
    BoardTakenError,
    ClosedError,
    DeadlineError,
    InputError,
    NotFoundError,
    ScoresUnavailableError,
    UnsupportedNetworkError,
)
from qnn_pynq.families.bnn_pynq.driver import BnnPynqDriver
from qnn_pynq.networks import Segment, save_network


def _classifier(board="emulated", net=None, **options):
    if board != "cpu":
        options.setdefault("overlay", lfc.tiny())
    return Classifier(net or small.network(seed=1), board=board, **options)


@pytest.fixture(params=["cpu", "emulated"])
def classifier(request):
    with _classifier(request.param) as made:
        yield made


def _hang(twin, event, value):
    return math.inf if event == "duration" else value


def _rows(count, net=None):
    return small.pictures(count, net or small.network(seed=1), 5)


# -- predict ---------------------------------------------------------------------------------


def test_predict_gives_the_oracles_classes(classifier):
    rows = _rows(50)
    answers = classifier.predict(rows)
    assert answers.dtype == np.intp and (answers == small.answers(classifier.network, rows)).all()
    assert (classifier.predict(rows.reshape(-1, 8, 8)) == answers).all()
    assert (classifier.predict(list(rows)) == answers).all()
    assert (classifier.predict(row.reshape(8, 8) for row in rows) == answers).all()
    assert (classifier.predict(rows.tolist()) == answers).all()
    assert (classifier.predict(rows / 255.0) == answers).all()
    assert (classifier.predict(np.asfortranarray(rows)) == answers).all()


def test_one_picture_of_any_shape_gives_one_element(classifier):
    for row in _rows(5):
        wanted = small.answers(classifier.network, row[None])
        for shape in ((64,), (1, 64), (8, 8), (1, 8, 8), (1, 8, 8, 1)):
            answer = classifier.predict(row.reshape(shape))
            assert answer.shape == (1,) and answer.dtype == np.intp and answer == wanted
        assert classifier.predict(row / 255.0) == wanted
        assert classifier.predict(np.repeat(row, 2)[::2]) == wanted  # not contiguous
        assert classifier.predict(np.asfortranarray(row.reshape(8, 8))) == wanted


def test_no_pictures_give_no_answers(classifier):
    assert classifier.predict(np.zeros((0, 64), np.uint8)).shape == (0,)
    assert classifier.predict([]).shape == (0,)


def test_unfired_pictures_answer_class_0_and_are_counted():
    net = small.network(seed=1)
    layers = (*net.layers[:-1], dataclasses.replace(net.layers[-1], thresholds=np.full((64, 1), 32767, np.int32)))
    for board in ("cpu", "emulated"):
        with _classifier(board, dataclasses.replace(net, layers=layers)) as classifier:
            assert not classifier.predict(_rows(7)).any() and classifier.unfired_ == 7
            assert classifier.predict(_rows(1)[0]) == 0 and classifier.unfired_ == 1
            assert not classifier.decision_function(_rows(2)).any()
            prediction = classifier.classify(_rows(1)[0])
            assert not prediction.fired and prediction.index == 0 and "no neuron" in repr(prediction)
            assert classifier.evaluate(_rows(7), [0] * 7).unfired == 7


def test_scores_and_probabilities(classifier):
    rows = _rows(20)
    scores = classifier.decision_function(rows)
    words = small.words(classifier.network, rows)
    assert (scores == (words[:, None] >> np.arange(10, dtype=np.uint64)) % 2).all()
    if classifier.board is None:
        p = classifier.predict_proba(rows)
        assert p.shape == (20, 10) and p.sum(axis=1) == pytest.approx(1)
        sums = oracle.lfc_sums(classifier.network.layers, small.bits(classifier.network, rows))[:, :10]
        margins = sums - classifier.network.layers[-1].thresholds[:10, 0]
        assert (p.argmax(axis=1) == margins.argmax(axis=1)).all()
    else:
        with pytest.raises(ScoresUnavailableError, match='board="cpu"'):
            classifier.predict_proba(rows)


def test_scikit_learn_attributes(classifier):
    assert classifier.classes_.tolist() == list(range(10))
    assert classifier.class_names == tuple("0123456789")
    rows = _rows(30)
    answers = classifier.predict(rows)
    assert classifier.score(rows, answers) == 1
    assert classifier.score(rows, (answers + 1) % 10) == 0


@pytest.mark.parametrize("bad", [
    np.zeros(63, np.uint8), np.zeros((3, 63), np.uint8), np.full((2, 64), np.nan), np.full((2, 64), 300),
    np.zeros((2, 64), complex), "picture.png", [["a"] * 64], 5, None, ["no-such-file.png"],
])
def test_bad_pictures_are_refused_and_the_classifier_goes_on(classifier, bad):
    with pytest.raises(InputError):
        classifier.predict(bad)
    assert classifier.predict(_rows(3)).shape == (3,)


# -- classify --------------------------------------------------------------------------------


def test_classify_takes_every_kind_of_picture(classifier, tmp_path):
    row = _rows(1)[0]
    wanted = small.answers(classifier.network, row[None])[0]
    prediction = classifier.classify(row.reshape(8, 8))
    assert (prediction.index, prediction.label) == (wanted, classifier.class_names[wanted])
    image = Image.fromarray(row.reshape(8, 8))
    image.save(tmp_path / "a.png")
    keep = {"invert": False}
    for source in (image, tmp_path / "a.png", str(tmp_path / "a.png"), io.BytesIO((tmp_path / "a.png").read_bytes())):
        assert classifier.classify(source, **keep).index == wanted
    assert (prediction.probabilities is None) == (classifier.board is not None)
    assert "preprocess" in prediction.stages and "unpack" in prediction.stages


def test_predictions_of_many(classifier, tmp_path):
    rows = _rows(10)
    wanted = small.answers(classifier.network, rows).tolist()
    assert [p.index for p in classifier.classify_many(rows, batch_size=3)] == wanted
    assert [p.index for p in classifier.classify_many(list(rows.reshape(-1, 8, 8)))] == wanted
    assert classifier.classify_many([]) == []
    with pytest.raises(InputError, match="list"):
        classifier.classify_many("one.png")
    with pytest.raises(InputError, match="batch_size"):
        classifier.classify_many(rows, batch_size=0)


def test_stream_takes_no_more_pictures_than_it_may(classifier):
    taken = []

    def endless():
        for row in _rows(100):
            taken.append(1)
            yield row

    with classifier.stream(endless(), batch_size=4, ahead=2) as stream:
        next(stream)
        time.sleep(0.05)
        # One batch answered, two waiting, one ready and held back.
        assert 4 <= len(taken) <= 4 * (1 + 2 + 1)


def test_a_missing_file_is_named(classifier, tmp_path):
    with pytest.raises(InputError, match="nothing.png"):
        classifier.classify(tmp_path / "nothing.png")


# -- evaluate --------------------------------------------------------------------------------


def test_evaluation_counts(classifier):
    rows = _rows(40)
    truth = small.answers(classifier.network, rows)
    wrong = truth.copy()
    wrong[:10] = (wrong[:10] + 1) % 10
    result = classifier.evaluate(rows, wrong, compare=True)
    assert (result.pictures, result.correct, result.accuracy) == (40, 30, 0.75)
    assert result.confusion.sum() == 40 and np.trace(result.confusion) == 30
    assert result.confusion[wrong[0], truth[0]] >= 1
    assert result.differing == 0 and result.software.board == "cpu"
    assert result.seconds > 0 and result.images_per_second > 0
    assert result.accelerator_is_modelled == (classifier.board is not None)
    assert (result.accelerator_images_per_second is None) == (classifier.board is None)


def test_labels_may_be_names(classifier):
    rows = _rows(5)
    names = [classifier.class_names[k] for k in classifier.predict(rows)]
    assert classifier.evaluate(rows, names).accuracy == 1


@pytest.mark.parametrize("labels, word", [
    ([0, 1], "labels"), ([0, 1, 10], "0..9"), ([0, 1, -1], "0..9"), (["0", "1", "x"], "'x'"), ([0.5, 1, 2], "dtype"),
    ([[0], [1], [2]], "shape"),
])
def test_bad_labels_are_refused(classifier, labels, word):
    with pytest.raises(InputError, match=word):
        classifier.evaluate(_rows(3), labels)


def test_an_evaluation_needs_pictures(classifier):
    with pytest.raises(InputError, match="at least one"):
        classifier.evaluate(_rows(0), [])


# -- networks --------------------------------------------------------------------------------


def test_load_swaps_the_weights_and_keeps_the_logic(classifier):
    rows = _rows(20)
    generation = classifier.board.generation if classifier.board else None
    for seed in (2, 3, 1):
        net = small.network(seed=seed, classes=5 + seed)
        classifier.load(net)
        assert classifier.network is net and len(classifier.classes_) == 5 + seed
        assert (classifier.predict(rows) == small.answers(net, rows)).all()
        assert classifier.predict(rows[0]) == small.answers(net, rows[:1])
    assert classifier.board is None or classifier.board.generation == generation


def test_a_refused_load_leaves_the_former_network(classifier):
    rows = _rows(20)
    before = classifier.predict(rows)
    bad = dataclasses.replace(small.network(), decode=dataclasses.replace(small.network().decode, levels=9))
    for wrong, error in ((bad, UnsupportedNetworkError), ("no-such-network", NotFoundError)):
        with pytest.raises(error):
            classifier.load(wrong)
        assert (classifier.predict(rows) == before).all()


def test_load_takes_another_overlay_where_the_network_needs_one():
    nets = {kind: dataclasses.replace(small.network(lfc.overlay(kind), 1), overlays=("bnn-pynq-lfc-" + kind,))
            for kind in ("w1a1", "w1a2")}
    rows = small.pictures(5, nets["w1a1"])
    with Classifier(nets["w1a1"], board="emulated") as classifier:
        assert classifier.overlay.name == "bnn-pynq-lfc-w1a1"
        for kind in ("w1a2", "w1a1"):
            classifier.load(nets[kind])
            assert classifier.overlay.name == "bnn-pynq-lfc-" + kind
            assert (classifier.predict(rows) == small.answers(nets[kind], rows)).all()


def test_a_load_that_fails_on_another_overlay_can_be_tried_again(monkeypatch):
    nets = {kind: dataclasses.replace(small.network(lfc.overlay(kind), 1), overlays=("bnn-pynq-lfc-" + kind,))
            for kind in ("w1a1", "w1a2")}
    rows = small.pictures(5, nets["w1a1"])

    def fail(*_):
        raise DeadlineError("no answer")

    with Classifier(nets["w1a1"], board="emulated") as classifier:
        with monkeypatch.context() as patch:
            patch.setattr(BnnPynqDriver, "load", fail)
            with pytest.raises(DeadlineError):
                classifier.load(nets["w1a2"])
        for pictures in (rows, rows[0]):
            with pytest.raises(BoardError, match="load a network again"):
                classifier.predict(pictures)
        classifier.load(nets["w1a2"])
        assert (classifier.predict(rows) == small.answers(nets["w1a2"], rows)).all()


def test_a_closed_classifier_cannot_be_entered():
    classifier = Classifier(small.network(), board="cpu")
    classifier.close()
    with pytest.raises(ClosedError, match="make another"):
        with classifier:
            pass


def test_a_network_directory_is_loaded_by_path(tmp_path):
    net = dataclasses.replace(small.network(lfc.overlay("w1a2"), 3), name="mine", title="mine")
    save_network(net, tmp_path / "mine")
    rows = small.pictures(5, net)
    for board in ("cpu", "emulated"):
        with Classifier(tmp_path / "mine", board=board) as classifier:
            assert (classifier.predict(rows) == small.answers(net, rows)).all()
            assert "mine" in repr(classifier)


def test_arguments_are_checked():
    net = small.network()
    with pytest.raises(InputError, match="overlay"):
        Classifier(net, board="cpu", overlay="bnn-pynq-lfc-w1a1")
    for deadline in (0, True, float("nan")):
        with pytest.raises(InputError, match="timeout"):
            Classifier(net, board="cpu", timeout=deadline)
    with pytest.raises(InputError, match="cpu"):
        Classifier(dataclasses.replace(net, overlays=()), board="emulated")
    with pytest.raises(NotFoundError):
        Classifier("no-such-network", board="cpu")
    with pytest.raises(ValueError, match="board"):
        Classifier(net, board="fpga", overlay=lfc.tiny())
    with pytest.raises(UnsupportedNetworkError):
        Classifier(net, board="emulated", overlay=lfc.overlay("w1a1"))


def test_what_the_overlay_cannot_compute_opens_no_board(monkeypatch):
    opened = []

    def opening(board):
        opened.append(board)
        raise AssertionError("a board was opened")

    monkeypatch.setattr("qnn_pynq.classifier.classifier.open_board", opening)
    wide = small.network(sizes=(64, 65, 64))
    conv, mixed = small_network(), mixed_network()
    with EmulatedBoard() as own:
        for board in (None, "auto", "emulated", "zynq", own):
            for net, overlay in ((wide, lfc.tiny()), (small.network(), "qnn-mo-w1a2"), (conv, lfc.tiny()),
                                 (conv, "qnn-mo-w1a3"),
                                 (dataclasses.replace(mixed, segments=(Segment(3, "qnn-mo-w1a2"),)), None)):
                with pytest.raises(UnsupportedNetworkError):
                    Classifier(net, board=board, overlay=overlay)
            with pytest.raises(NotFoundError):
                Classifier(wide, board=board, overlay="no-such-overlay")
        assert own.loaded is None and own.owner is None and own.memory.used == 0
    assert not opened
    with pytest.raises(AssertionError, match="was opened"):
        Classifier(small.network(), board="emulated", overlay=lfc.tiny())


# -- boards ----------------------------------------------------------------------------------


def test_two_classifiers_on_one_board_never_mix():
    board = EmulatedBoard()
    nets = [small.network(seed=k) for k in (1, 2)]
    rows = _rows(20)
    first = _classifier(board, nets[0])
    assert first.board is board
    second = _classifier(board, nets[1])
    with pytest.raises(BoardTakenError, match="load"):
        first.predict(rows)
    with pytest.raises(BoardTakenError):
        first.predict(rows[0])
    assert (second.predict(rows) == small.answers(nets[1], rows)).all()
    first.load(nets[0])
    assert (first.predict(rows) == small.answers(nets[0], rows)).all()
    with pytest.raises(BoardBusyError):
        _classifier(board, nets[1], takeover=False)
    assert (first.predict(rows) == small.answers(nets[0], rows)).all()
    first.close()
    second.close()
    assert not board.closed and board.memory.used == 0


def test_a_board_that_we_opened_is_closed():
    classifier = _classifier()
    board = classifier.board
    classifier.close()
    classifier.close()
    assert board.closed
    for call in (lambda: classifier.predict(_rows(1)), lambda: classifier.predict(_rows(1)[0]),
                 lambda: classifier.classify(_rows(1)[0]), lambda: classifier.load(small.network())):
        with pytest.raises(ClosedError):
            call()


@pytest.mark.parametrize("policy", ["none", "retry"])
def test_a_deadline_is_an_error_and_load_recovers(policy, monkeypatch):
    with _classifier(timeout=0.5, policy=policy) as classifier:
        classifier.board.twin.inject(_hang)
        if policy == "retry":  # it hangs again, however often the logic is configured
            reset = classifier.board.reset

            def hangs_again():
                reset()
                classifier.board.twin.inject(_hang)

            monkeypatch.setattr(classifier.board, "reset", hangs_again)
        with pytest.raises(DeadlineError):
            classifier.predict(_rows(3))
        with pytest.raises(BoardError, match="load"):
            classifier.predict(_rows(3))
        monkeypatch.undo()
        classifier.load(classifier.network)
        assert (classifier.predict(_rows(9)) == small.answers(classifier.network, _rows(9))).all()


def test_conservative_mode_answers_the_same():
    with _classifier(conservative=True) as classifier:
        assert (classifier.predict(_rows(9)) == small.answers(classifier.network, _rows(9))).all()


# -- threads ---------------------------------------------------------------------------------


def test_threads_take_turns(classifier):
    """Answers stay those of one of the two networks while another thread swaps them."""
    nets = [small.network(seed=k) for k in (1, 2)]
    rows = _rows(30)
    wanted = [small.answers(net, rows) for net in nets]
    failures = []

    def ask():
        for k in range(40):
            whole = classifier.predict(rows)
            if not any((whole == w).all() for w in wanted):
                failures.append(whole)
            one = classifier.predict(rows[k % 30])
            if not any(one == w[k % 30] for w in wanted):
                failures.append(one)

    def swap():
        for k in range(20):
            classifier.load(nets[k % 2])

    workers = [threading.Thread(target=work) for work in (ask, ask, ask, swap)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert not failures and not any(worker.is_alive() for worker in workers)


@pytest.mark.parametrize("shape", [(28, 28, 1), (28, 28, 3), (2, 784, 1)])
def test_one_picture_in_layers_is_not_taken_for_many(shape):
    with Classifier("lfc-w1a1-mnist", board="cpu") as classifier, pytest.raises(InputError, match="one picture"):
        classifier.predict(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("board", ["nix", 3, "", "CPU", True, []])
def test_an_unknown_board_is_refused_with_the_choices(board):
    with pytest.raises(InputError, match="'cpu'"):
        Classifier("lfc-w1a1-mnist", board=board)


@pytest.mark.parametrize("name", [None, 3, b"x", []])
def test_what_is_no_name_is_not_found(name):
    with pytest.raises(NotFoundError, match="expected a name"):
        Classifier(name, board="cpu")


@pytest.mark.parametrize("clock", [0, -1, 9.9, 251, True, "fast", float("nan")])
def test_a_clock_out_of_range_is_refused(clock):
    with pytest.raises(InputError, match="clock_mhz must be 10 to 250 MHz"):
        Classifier(small.network(), board="emulated", clock_mhz=clock)


def test_software_has_no_clock():
    with pytest.raises(InputError, match="leave overlay and clock_mhz out"):
        Classifier(small.network(), board="cpu", clock_mhz=50)


def test_the_overlay_runs_at_the_clock_that_was_asked_for():
    with Classifier("lfc-w1a1-mnist", board="emulated", clock_mhz=50) as classifier:
        assert classifier.overlay.clock_mhz == 50.0 != find_overlay(classifier.overlay.name).clock_mhz
        classifier.load("lfc-w1a1-mnist")
        assert classifier.overlay.clock_mhz == classifier.board.loaded.clock_mhz == 50.0


@pytest.mark.parametrize("options", [{"timeout": "a"}, {"timeout": []}, {"threads": "a"}, {"threads": 1.5}])
def test_options_of_another_type_are_refused(options):
    with pytest.raises(InputError):
        Classifier("lfc-w1a1-mnist", board="cpu", **options)
