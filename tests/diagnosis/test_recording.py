"""A recorded run: the driver does the same again without the board, and every difference is named."""

from __future__ import annotations

import dataclasses
import getpass
import json
import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qnn_pynq import Classifier
from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.catalogue import find_network, find_overlay
from qnn_pynq.contracts.network import Network
from qnn_pynq.diagnosis import recording
from qnn_pynq.diagnosis.recorder import RecordingBoard
from qnn_pynq.diagnosis.recording import record, replay
from qnn_pynq.diagnosis.recording_file import CALLS, BoardCall, Recording, load_recording, save_recording
from qnn_pynq.diagnosis.replay import ReplayBoard
from qnn_pynq.engines import BoardEngine
from qnn_pynq.errors import DeadlineError, InputError, QnnError, RecordingError
from qnn_pynq.families.bnn_pynq import driver as bnn_pynq
from qnn_pynq.faults import Fault, FaultPlan
from qnn_pynq.reliability.answers import known_answers

LFC, OFFLOAD = "lfc-w1a2-mnist", "dorefa-w1a2-cifar10"
ENGINE = "lfc-w1a1-sums-mnist"


def published(name: str) -> Network:
    """For its published overlay, whose driver's accesses these tests know; not for our engine, which is the default."""
    network = find_network(name)
    return network if name == ENGINE else dataclasses.replace(network, overlays=network.overlays[1:])


@pytest.fixture(scope="module")
def tapes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A recording of each kind of overlay."""
    folder = tmp_path_factory.mktemp("recordings")
    for name in (LFC, OFFLOAD, ENGINE):
        with EmulatedBoard() as board:
            record(published(name), board, folder / name, count=2)
    return {name: folder / name for name in (LFC, OFFLOAD, ENGINE)}


@pytest.mark.parametrize("conservative", [False, True])
@pytest.mark.parametrize("name", [LFC, OFFLOAD, ENGINE])
def test_what_was_recorded_is_replayed_with_the_same_answers(tmp_path: Path, name: str, conservative: bool) -> None:
    path = tmp_path / "x.recording"
    with EmulatedBoard() as board:
        made = record(published(name), board, path, count=3, conservative=conservative)
        assert not board.closed
    assert made.error is None and made.pictures == 3 and made.size == path.stat().st_size < 1_000_000
    found = replay(path)
    assert found.ok and found.pictures == 3 and found.events == made.events > 14
    assert found.header["conservative"] is conservative and found.header["emulated"] is True
    assert set(found.seconds) == {"configure", "single", "batch"} and min(found.seconds.values()) > 0
    assert found.seconds["batch"] > found.seconds["single"]


def test_a_classifier_runs_on_a_replayed_recording() -> None:
    network = published(LFC)
    known = known_answers(network)
    assert known is not None
    recorder = RecordingBoard(EmulatedBoard())
    with Classifier(network, board=recorder) as classifier:
        expected = classifier.predict(known.pictures[:3])
    tape = Recording({"windows": recorder.windows, "emulated": True}, b"", recorder.events)
    with Classifier(network, board=ReplayBoard(tape)) as classifier:
        assert np.array_equal(classifier.predict(known.pictures[:3]), expected)


@pytest.mark.parametrize("name", [LFC, OFFLOAD])
def test_it_says_nothing_of_who_made_it_where(tapes: dict[str, Path], name: str) -> None:
    header = load_recording(tapes[name]).header
    assert set(header) == {
        "format", "package", "board", "kind", "emulated", "pynq", "image", "python", "machine", "network", "overlays",
        "conservative", "pictures", "windows",
    }
    text = json.dumps(header)
    assert "/" not in text
    for private in (socket.gethostname(), getpass.getuser(), os.path.basename(os.getcwd())):
        assert json.dumps(private) not in text


def altered(tape: Path, kind: str, last: bool = False) -> tuple[Path, int, int]:
    """The recording with one bit flipped in what the board gave; the event, and the byte."""
    found = load_recording(tape)
    events = list(found.events)
    places = [n for n, event in enumerate(events) if event.kind == kind]
    place = places[-1 if last else 0]
    content = bytearray(events[place].answer)
    content[-1] ^= 0x01
    events[place] = events[place]._replace(answer=bytes(content))
    path = tape.with_name("altered")
    save_recording(found._replace(events=events), path)
    return path, place, len(content) - 1


@pytest.mark.parametrize("name", [LFC, OFFLOAD])
def test_a_wrong_byte_of_the_board_is_found_by_the_twin(tapes: dict[str, Path], name: str) -> None:
    path, place, byte = altered(tapes[name], "invalidate", last=True)
    found = replay(path)
    assert not found.ok
    assert len(found.twin) == 1 and found.twin[0].startswith(f"event {place}, buffer")
    assert f"1 of {byte + 1} bytes differ; byte {byte} " in found.twin[0]


def test_a_wrong_answer_of_the_board_is_found_beside_the_software(tapes: dict[str, Path]) -> None:
    found = load_recording(tapes[LFC])
    place = [n for n, event in enumerate(found.events) if event.kind == "invalidate"][-1]
    events = list(found.events)
    words = np.frombuffer(events[place].answer, np.uint64).copy()
    words[-1] ^= np.uint64(4)
    events[place] = events[place]._replace(answer=words.tobytes())
    path = tapes[LFC].with_name("wrong")
    save_recording(found._replace(events=events), path)
    result = replay(path)
    assert [wrong["picture"] for wrong in result.mismatches] == [1] and result.twin and not result.ok


def test_a_driver_that_changed_is_found(tapes: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bnn_pynq, "START", 0x81)
    with pytest.raises(RecordingError, match=r"event \d+ of \d+: recorded play .* asks play .*from step 6 on"):
        replay(tapes[LFC])


def test_a_recording_with_more_than_the_driver_asks_is_found(tapes: dict[str, Path]) -> None:
    found = load_recording(tapes[OFFLOAD])
    path = tapes[OFFLOAD].with_name("longer")
    save_recording(found._replace(events=[*found.events, BoardCall("reset", 0, 0, (), 9)]), path)
    with pytest.raises(RecordingError, match="the driver has ended, the recording goes on: reset"):
        replay(path)


@pytest.mark.parametrize("name, at, words", [(LFC, 0, "showed none of the bits"), (OFFLOAD, 5, "no answer within")])
def test_a_run_that_hangs_is_recorded_up_to_its_error(tmp_path: Path, name: str, at: int, words: str) -> None:
    path = tmp_path / "x.recording"
    with EmulatedBoard(faults=FaultPlan(faults=[Fault("hang", at)])) as board:
        made = record(published(name), board, path, count=2)
    assert isinstance(made.error, DeadlineError)
    assert load_recording(path).header["error"] == "DeadlineError"
    with pytest.raises(DeadlineError, match=words):
        replay(path)


@pytest.mark.parametrize("raised", [KeyboardInterrupt, MemoryError, SystemExit])
def test_a_run_that_is_broken_off_is_recorded_up_to_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, raised: type[BaseException]
) -> None:
    path = tmp_path / "x.recording"
    with EmulatedBoard() as board:
        calls = iter(range(1000))
        real = board.wait

        def wait(*arguments: Any) -> int:
            if next(calls) == 4:  # as of a user who loses patience
                raise raised("/home/someone")
            return real(*arguments)

        monkeypatch.setattr(board, "wait", wait)
        with pytest.raises(raised):
            record(published(OFFLOAD), board, path, count=2)
        assert not board.closed and board.memory.used == 0
    found = load_recording(path)
    failed = [event for event in found.events if isinstance(event.answer, dict)]
    assert [(event.kind, event.answer) for event in failed] == [("wait", {"error": [raised.__name__, ""]})]
    assert found.header["error"] == raised.__name__ and "up to there" in caplog.text and "someone" not in str(found)
    with pytest.raises(QnnError, match=rf"wait failed on the recorded board \({raised.__name__}\)"):
        replay(path)


def test_the_same_name_with_other_weights_is_refused(tapes: dict[str, Path]) -> None:
    network = find_network(LFC)
    weights = network.layers[2].weights.copy()
    weights[3, 3] ^= 8
    layers = list(network.layers)
    layers[2] = dataclasses.replace(layers[2], weights=weights)
    with pytest.raises(RecordingError, match="recorded with another network"):
        replay(tapes[LFC], dataclasses.replace(network, layers=tuple(layers)))


@pytest.mark.parametrize("images", [0, -1, 257, 2.0, "2", None, True and "x"])
def test_counts_that_are_none_are_refused_before_the_board_is_touched(tmp_path: Path, images: Any) -> None:
    board = EmulatedBoard()
    with pytest.raises(InputError, match="expected 1 to 256"):
        record(published(LFC), board, tmp_path / "x", images)
    assert board.loaded is None and not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["/", "", "\0", "/no/such/folder/x", None, 5])
def test_places_without_a_file_are_refused_before_the_board_is_touched(path: Any) -> None:
    board = EmulatedBoard()
    with pytest.raises(RecordingError, match="cannot be written|expected a path"):
        record(published(LFC), board, path)
    assert board.loaded is None
    with pytest.raises(RecordingError):
        save_recording(Recording({}, b"", []), path)


def test_a_network_without_an_overlay_has_nothing_to_record(tmp_path: Path) -> None:
    network = dataclasses.replace(find_network(LFC), overlays=())
    with pytest.raises(InputError, match="names no overlay"):
        record(network, EmulatedBoard(), tmp_path / "x")


def test_a_network_without_known_answers_is_recorded_with_random_pixels(tmp_path: Path) -> None:
    network = dataclasses.replace(find_network(LFC), selftest=None)
    made = record(network, EmulatedBoard(), tmp_path / "x", 2)
    assert made.error is None and len(set(load_recording(tmp_path / "x").pictures)) > 200
    assert replay(tmp_path / "x", network).ok


def test_a_recording_of_the_logic_that_was_reset(tmp_path: Path) -> None:
    """The twin forgets its weights too, or it would agree where the board could not."""
    network = published(LFC)
    recorder = RecordingBoard(EmulatedBoard())
    seconds: dict[str, float] = {}
    pictures = recording._pictures(network, 1)
    with BoardEngine(recorder, [find_overlay(network.overlays[0])]) as engine:
        recording._run(engine, network, pictures, recorder, seconds)
        recorder.reset()
        recording._run(engine, network, pictures, recorder, seconds)
    assert not recording.differences_of_twin(Recording({}, b"", recorder.events))


PARTS = {"n": st.integers(0, 2**64 - 1) | st.integers(0, 200), "s": st.text(max_size=3), "b": st.binary(max_size=40)}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
@pytest.mark.parametrize("name", [LFC, OFFLOAD, ENGINE])
def test_whatever_a_well_formed_file_says_the_outcome_is_a_result_or_our_error(
    tapes: dict[str, Path], name: str, data: Any
) -> None:
    found = load_recording(tapes[name])
    events, header = list(found.events), dict(found.header)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(events) - 1))
        event = events[place]
        types, gives = CALLS[event.kind]
        what = data.draw(st.sampled_from(["argument", "answer", "drop", "double", "error", "header"]))
        if what == "argument" and types:
            at = data.draw(st.integers(0, len(types) - 1))
            arguments = list(event.arguments)
            arguments[at] = data.draw(PARTS[types[at]])
            events[place] = event._replace(arguments=tuple(arguments))
        elif what == "answer" and gives != "-":
            events[place] = event._replace(answer=data.draw(PARTS[gives]))
        elif what == "drop" and len(events) > 1:
            del events[place]
        elif what == "double":
            events.insert(place, event)
        elif what == "error":
            events[place] = event._replace(answer={"error": ["BusError", "x"]})
        elif what == "header":
            key = data.draw(st.sampled_from(sorted(header)))
            header[key] = data.draw(st.none() | st.integers() | st.text(max_size=3) | st.just({}) | st.just([1]))
    pictures = data.draw(st.sampled_from([found.pictures, b"", found.pictures[:-1]]))
    header["format"] = "qnn-pynq-recording"
    path = tapes[name].with_name("hostile")
    save_recording(Recording(header, pictures, events), path)
    try:
        replay(path)
    except QnnError:
        pass


@pytest.mark.parametrize("name", [LFC, OFFLOAD])
def test_a_classifier_takes_the_same_way_as_the_recorded_run(tapes: dict[str, Path], name: str) -> None:
    """What docs/board.md shows: our own tests can be written on top of a file that somebody sent."""
    known = known_answers(find_network(name))
    assert known is not None
    with Classifier(published(name), board=ReplayBoard(tapes[name]), policy="none") as classifier:
        assert classifier.predict(known.pictures[:1]).shape == (1,)
        answers = classifier.predict(known.pictures[:2])
        assert classifier.board is not None and classifier.board.name == "recording of emulated board"
    with Classifier(name, board="cpu") as classifier:
        assert np.array_equal(answers, classifier.predict(known.pictures[:2]))
