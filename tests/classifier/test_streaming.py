"""Streams: order, bounded memory, errors, ends and interrupts; on every engine."""

from __future__ import annotations

import dataclasses
import gc
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import small
from PIL import Image
from small_conv import linear, small_network

from qnn_pynq import Classifier
from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.classifier.producer import Bell, Producer
from qnn_pynq.errors import BoardError, ClosedError, InputError


@pytest.fixture(params=["dense", "convolutions"])
def classifier(request):
    network = small.network() if request.param == "dense" else small_network()
    with Classifier(network, board="cpu") as found:
        yield found


def pictures(classifier, count, seed=0):
    return pictures_of(classifier.network, count, seed)


def pictures_of(network, count, seed=0):
    spec = network.input
    shape = spec.size if spec.channels == 1 else (*spec.size, spec.channels)
    return np.random.default_rng(seed).integers(0, 256, (count, *shape)).astype(np.uint8)


def stream_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("qnn-pynq stream")]


def wait_until(holds):
    for _ in range(200):
        if holds():
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("batch,ahead", [(1, 1), (3, 2), (64, 1), (100, 5)])
def test_answers_come_in_the_order_of_the_pictures(classifier, batch, ahead):
    X = pictures(classifier, 23)
    wanted = classifier.predict(X).tolist()
    stream = classifier.stream(iter(X), batch_size=batch, ahead=ahead)
    assert [p.index for p in stream] == wanted
    assert stream.frames == 23 and stream.latency > 0
    assert (stream.rate > 0) == (batch < 12)  # one batch has no distance to another


def test_a_folder_gives_its_pictures_by_name(tmp_path):
    network = small_network()
    X = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)
    for name, one in zip(("b.PNG", "a.png", "c.bmp"), X):
        Image.fromarray(one).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    with Classifier(network, board="cpu") as classifier:
        for folder in (tmp_path, str(tmp_path)):
            found = [answer.index for answer in classifier.stream(folder)]
            assert found == [classifier.classify(tmp_path / name).index for name in ("a.png", "b.PNG", "c.bmp")]
        (tmp_path / "empty").mkdir()
        with pytest.raises(InputError, match="no picture in it"):
            classifier.stream(tmp_path / "empty")


def test_a_source_may_use_its_buffer_again(classifier):
    X = pictures(classifier, 9)

    def camera():
        frame = np.empty_like(X[0])
        for one in X:
            frame[...] = one
            yield frame

    wanted = classifier.predict(X).tolist()
    for batch in (1, 4):
        assert [answer.index for answer in classifier.stream(camera(), batch_size=batch)] == wanted


def test_a_source_that_takes_from_its_own_stream_is_told(classifier):
    streams = []

    def source():
        yield pictures(classifier, 1)[0]
        next(streams[0])

    streams.append(classifier.stream(source(), batch_size=1))
    with pytest.raises(InputError, match="outside of it"):
        list(streams[0])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_stream_does_not_go_on_in_a_forked_process():
    with Classifier(small_network(), board="cpu") as classifier:
        stream = classifier.stream(iter(pictures(classifier, 9)), batch_size=1)
        next(stream)
        child = os.fork()
        if not child:
            try:
                next(stream)
            except ClosedError as error:
                os._exit(7 if "forked" in str(error) else 1)
            except BaseException:
                os._exit(2)
            os._exit(3)
        assert os.waitpid(child, 0)[1] >> 8 == 7
        assert len(list(stream)) == 8


def test_an_empty_source_gives_an_empty_stream(classifier):
    assert list(classifier.stream(iter([]))) == []


def test_an_endless_source_is_held_back(classifier):
    taken = []

    def endless():
        X = pictures(classifier, 1)
        while True:
            taken.append(1)
            yield X[0]

    with classifier.stream(endless(), batch_size=2, ahead=3) as stream:
        next(stream)
        time.sleep(0.2)
        assert len(taken) <= 2 * (1 + 3 + 1)
    assert wait_until(lambda: not stream_threads())


def test_pictures_before_a_bad_one_are_answered_then_its_error_is_raised(classifier):
    X = pictures(classifier, 8)
    source = [*X[:5], "no-such-file.png", *X[5:]]
    stream = classifier.stream(source, batch_size=4)
    found = []
    with pytest.raises(InputError, match="no-such-file.png"):
        for answer in stream:
            found.append(answer.index)
    assert found == classifier.predict(X[:5]).tolist()
    assert list(stream) == []
    assert classifier.predict(X[:1]).shape == (1,)


def test_an_error_of_the_source_comes_after_the_answers_before_it(classifier):
    X = pictures(classifier, 5)

    def broken():
        yield from X
        raise OSError("the camera is gone")

    found = []
    with pytest.raises(OSError, match="camera"):
        for answer in classifier.stream(broken(), batch_size=2):
            found.append(answer.index)
    assert found == classifier.predict(X).tolist()
    assert wait_until(lambda: not stream_threads())


def test_a_closed_stream_ends_and_closes_its_source(classifier):
    closed = []

    def source():
        try:
            X = pictures(classifier, 1)
            while True:
                yield X[0]
        finally:
            closed.append(True)

    stream = classifier.stream(source(), batch_size=1)
    next(stream)
    stream.close()
    stream.close()
    assert list(stream) == []
    assert wait_until(lambda: closed == [True])


def test_a_close_from_another_thread_ends_a_stream_that_waits_for_its_source(classifier):
    silent = threading.Event()

    def source():
        yield pictures(classifier, 1)[0]
        silent.wait(30)

    stream = classifier.stream(source(), batch_size=1)
    assert next(stream).index >= 0
    timer = threading.Timer(0.2, stream.close)
    timer.start()
    begun = time.monotonic()
    assert list(stream) == [] and time.monotonic() - begun < 10
    silent.set()
    timer.join()
    assert wait_until(lambda: not stream_threads())


def test_pictures_that_fail_as_a_batch_alone_are_all_answered(monkeypatch):
    with Classifier(small.network(), board="cpu") as classifier:
        X = pictures(classifier, 7)
        wanted = classifier.predict(X).tolist()
        make = classifier._pipeline.make_ready

        def little_memory(batch, invert):
            if len(batch) > 1:
                raise MemoryError
            return make(batch, invert)

        monkeypatch.setattr(classifier._pipeline, "make_ready", little_memory)
        assert [answer.index for answer in classifier.stream(iter(X), batch_size=4)] == wanted


@pytest.mark.parametrize("told", [True, False])
def test_a_thread_that_dies_with_pictures_is_an_error_and_no_end(monkeypatch, told):
    with Classifier(small.network(), board="cpu") as classifier:
        X = pictures(classifier, 7)
        wanted = classifier.predict(X).tolist()
        offer, offered = Producer._offer, []

        def no_memory(producer, *arguments):
            if offered:
                raise MemoryError("none left")
            offered.append(offer(producer, *arguments))

        monkeypatch.setattr(Producer, "_offer", no_memory)
        if not told:  # it dies before it can say why
            monkeypatch.setattr(threading, "excepthook", lambda _: None)
            monkeypatch.setattr(Producer, "_run", lambda producer: producer._one_batch() and producer._one_batch())
        stream, found = classifier.stream(iter(X), batch_size=2), []
        with pytest.raises(MemoryError, match="none left" if told else "died"):
            for answer in stream:
                found.append(answer.index)
        assert found == wanted[:2] and stream.frames == 2 and list(stream) == []


def test_an_interrupt_while_an_error_ends_a_stream_does_not_take_the_errors_place(classifier, monkeypatch):
    X, bad = pictures(classifier, 2), "no/such.png"
    with classifier.stream(iter([*X, bad]), batch_size=2) as stream:
        assert len([next(stream), next(stream)]) == 2
        end = stream._producer.end

        def interrupted():
            monkeypatch.setattr(stream._producer, "end", end)
            raise KeyboardInterrupt

        monkeypatch.setattr(stream._producer, "end", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(stream)
        with pytest.raises(InputError, match="no/such"):
            next(stream)
        assert list(stream) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_source_that_raises_what_is_no_error_is_told_once(classifier, error):
    def source():
        yield from X
        raise error

    X = pictures(classifier, 3)
    stream, found = classifier.stream(source(), batch_size=2), []
    with pytest.raises(error):
        for answer in stream:
            found.append(answer.index)
    assert len(found) == 3 and list(stream) == []


def test_an_abandoned_stream_ends_its_thread(classifier):
    X = pictures(classifier, 1)
    stream = classifier.stream((X[0] for _ in iter(int, 1)), batch_size=1)
    next(stream)
    del stream
    gc.collect()
    assert wait_until(lambda: not stream_threads())


def test_a_network_loaded_meanwhile_answers_the_rest():
    first, second = small_network(0), small_network(1)
    X = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3)).astype(np.uint8)
    with Classifier(first, board="cpu") as classifier:
        stream = classifier.stream(iter(X), batch_size=2, ahead=1)
        found = [next(stream).index for _ in range(2)]
        classifier.load(second)
        found += [answer.index for answer in stream]
        rest = classifier.predict(X)[2:].tolist()
        classifier.load(first)
        assert found == classifier.predict(X)[:2].tolist() + rest


@pytest.mark.parametrize("later", ["same kind", "larger pictures", "other overlay"])
def test_a_network_of_another_kind_loaded_meanwhile_on_a_board_answers_the_rest(later):
    first, second = small_network(0), small_network(1)
    if later == "larger pictures":
        spec = dataclasses.replace(second.input, size=(20, 20), crop=None)
        tail = linear(np.random.default_rng(2), 5 * 5 * 40, 5)
        second = dataclasses.replace(second, input=spec, layers=(*second.layers[:-1], tail))
    elif later == "other overlay":
        second = small_network(1, 3, "qnn-mo-w1a3", 2)
    rng = np.random.default_rng(0)
    X = [Image.fromarray(rng.integers(0, 256, (18, 18, 3)).astype(np.uint8)) for _ in range(40)]
    with EmulatedBoard() as board, Classifier(first, board=board) as classifier:
        stream = classifier.stream(iter(X), batch_size=2, ahead=2)
        found = [next(stream).index for _ in range(2)]
        classifier.load(second)
        found += [answer.index for answer in stream]
        rest = [answer.index for answer in classifier.classify_many(X)][2:]
        classifier.load(first)
        assert found == [answer.index for answer in classifier.classify_many(X)][:2] + rest


def test_a_classifier_closed_meanwhile_says_so(classifier):
    stream = classifier.stream(iter(pictures(classifier, 9)), batch_size=1)
    next(stream)
    classifier.close()
    with pytest.raises(ClosedError):
        list(stream)


def test_numbers_that_make_no_batch_are_refused(classifier):
    for options in ({"batch_size": 0}, {"batch_size": 1.5}, {"ahead": 0}, {"ahead": "2"}):
        with pytest.raises(InputError, match="at least 1"):
            classifier.stream([], **options)


@pytest.mark.parametrize("policy", ["none", "retry"])
def test_after_an_interrupted_run_on_a_board_the_logic_is_configured_again(policy, monkeypatch):
    network = small_network()
    X = pictures_of(network, 40)
    with EmulatedBoard() as board, Classifier(network, board=board, policy=policy) as classifier:
        wanted = classifier.predict(X).tolist()
        stream = classifier.stream(iter(X), batch_size=4)
        next(stream)
        wait, generation = board.wait, board.generation

        def interrupted(*arguments, **options):
            monkeypatch.setattr(board, "wait", wait)
            raise KeyboardInterrupt

        monkeypatch.setattr(board, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(stream)
        assert wait_until(lambda: not stream_threads())
        # Nothing more is taken, and nothing that was taken is lost.
        assert stream.frames == 4 and 8 <= stream.taken < 40
        if policy == "retry":
            assert [answer.index for answer in stream] == wanted[4 : stream.taken]
        assert (stream.frames == stream.taken) == (policy == "retry")
        stream.close()
        if policy == "none":
            with pytest.raises(BoardError, match="load a network again"):
                classifier.predict(X)
            classifier.load(network)
        assert classifier.predict(X).tolist() == wanted
        assert board.generation == generation + 1


def test_an_interrupt_anywhere_in_a_bell_leaves_one_that_rings():
    injected, at = True, 0
    while injected:
        bell, woken, injected, left = Bell(), threading.Event(), False, at
        waiter = threading.Thread(target=lambda bell=bell, woken=woken: (bell.wait(30.0), woken.set()))
        waiter.start()
        time.sleep(0.01)  # it waits

        def interrupt(frame, event, argument):
            nonlocal injected, left
            left -= 1
            if left < 0 and event in ("call", "c_return"):  # where CPython looks for signals
                injected = True
                sys.setprofile(None)
                raise KeyboardInterrupt

        sys.setprofile(interrupt)
        try:
            bell.ring()
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(None)
        bell.ring()
        assert woken.wait(10.0)
        waiter.join()
        at += 1
    assert at > 2


_ENDLESS = """
import signal, sys, numpy as np
sys.path[:0] = {paths!r}
signal.signal(signal.{name}, signal.default_int_handler)  # background jobs of a shell ignore SIGINT
from itertools import islice
from small_conv import small_network
from qnn_pynq import Classifier
X = np.zeros((16, 16, 3), np.uint8)
with Classifier(small_network(), board={board!r}) as classifier:
    stream = classifier.stream((X for _ in iter(int, 1)), batch_size=4)
    try:
        for answer in stream:
            if stream.frames == 50:
                print("running", flush=True)
    except KeyboardInterrupt:
        left = stream.taken - stream.frames  # the signal may have come outside of the stream: it goes on then
        answered = len(list(islice(stream, left))) == left
        stream.close()
        print("stopped", classifier.predict(X[None])[0] >= 0, answered, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("name, board", [("SIGINT", "cpu"), ("SIGINT", "emulated"), ("SIGTERM", "emulated")])
def test_ctrl_c_stops_a_stream_and_leaves_the_classifier_ready(tmp_path, name, board):
    script = tmp_path / "endless.py"
    script.write_text(_ENDLESS.format(paths=sys.path, name=name, board=board))
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, str(script)], stdout=pipe, stderr=pipe, universal_newlines=True) as process:
        assert process.stdout is not None and process.stdout.readline().strip() == "running"
        process.send_signal(getattr(signal, name))
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (out.strip(), process.returncode) == ("stopped True True", 0), err
