"""The file of a recording: what is written is read, and nothing else is."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn_pynq.diagnosis.recording_file import CALLS, BoardCall, Recording, load_recording, save_recording
from qnn_pynq.errors import RecordingError

HEADER = {"format": "qnn-pynq-recording", "board": "Pynq-Z1"}
SMALL = Recording(
    HEADER,
    b"picture",
    (
        BoardCall("allocate", 5, 5, (4,), 0x1000),
        BoardCall("flush", 6, 6, (0, 4, b"abcd"), None),
        BoardCall("play", 7, 7, ("ip", 12 * b"p"), None),
        BoardCall("wait", 8, 8, ("ip", 0, 6), {"error": ["DeadlineError", "no answer"]}),
        BoardCall("invalidate", 9, 9, (0, 4), b"abcd"),
    ),
)
PARTS = {"n": st.integers(0, 2**64 - 1), "s": st.text(), "b": st.binary(max_size=50), "-": st.none()}
FAILURES = st.builds(lambda name, text: {"error": [name, text]}, st.text(), st.text())


@st.composite
def events(draw: Any) -> BoardCall:
    kind = draw(st.sampled_from(sorted(CALLS)))
    types, gives = CALLS[kind]
    arguments = tuple(draw(PARTS[letter]) for letter in types)
    return BoardCall(kind, draw(PARTS["n"]), draw(PARTS["n"]), arguments, draw(st.one_of(PARTS[gives], FAILURES)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recordings")


@pytest.fixture(scope="module")
def small(folder: Path) -> bytes:
    save_recording(SMALL, folder / "small")
    return (folder / "small").read_bytes()


@settings(max_examples=60, deadline=None)
@given(st.lists(events(), max_size=20), st.binary(max_size=30))
def test_what_is_written_is_read(folder: Path, given_events: list[BoardCall], pictures: bytes) -> None:
    size = save_recording(Recording(HEADER, pictures, given_events), folder / "any")
    assert size == (folder / "any").stat().st_size
    assert load_recording(folder / "any") == Recording(HEADER, pictures, tuple(given_events))


def test_equal_contents_are_kept_once(folder: Path) -> None:
    content = os.urandom(10000)
    call = BoardCall("flush", 0, 0, (0, 1, content), None)
    once = save_recording(Recording(HEADER, b"", [call]), folder / "once")
    many = save_recording(Recording(HEADER, b"", 50 * [call]), folder / "many")
    assert many < once + 1000


def test_a_person_can_read_it(folder: Path, small: bytes) -> None:
    first, _, packed = small.partition(b"\n")
    assert first == b"qnn-pynq-recording 1 " + hashlib.sha256(packed).hexdigest().encode()
    lines = [json.loads(line) for line in gzip.decompress(packed).splitlines()]
    assert lines[0] == HEADER and lines[1] == ["bytes", base64.b64encode(b"picture").decode()]
    assert lines[2] == ["allocate", 5, 5, [4], 0x1000]


def written(folder: Path, raw: bytes) -> Path:
    path = folder / "damaged"
    path.write_bytes(raw)
    return path


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_flipped_bit_is_noticed(folder: Path, small: bytes, data: Any) -> None:
    raw = bytearray(small)
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(RecordingError):
        load_recording(written(folder, bytes(raw)))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_cut_or_longer_file_is_noticed(folder: Path, small: bytes, data: Any) -> None:
    cut = data.draw(st.integers(0, len(small) - 1))
    for raw in (small[:cut], small + data.draw(st.binary(min_size=1, max_size=9)), small[:cut] + b"\0" + small[cut:]):
        with pytest.raises(RecordingError):
            load_recording(written(folder, raw))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_no_recording(folder: Path, raw: bytes) -> None:
    with pytest.raises(RecordingError):
        load_recording(written(folder, raw))


def sealed(lines: list[Any]) -> bytes:
    """A file with the right digest, and these lines."""
    text = b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)
    packed = gzip.compress(text)
    return b"qnn-pynq-recording 1 " + hashlib.sha256(packed).hexdigest().encode() + b"\n" + packed


GOOD = [HEADER, ["bytes", "aGk="]]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(sorted(CALLS)),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "lines, words",
    [
        ([], "no header"),
        ([HEADER], "no pictures"),
        ([["bytes", "aGk="], ["bytes", "aGk="]], "no header"),
        ([{"format": "other"}, ["bytes", "aGk="]], "no header"),
        ([*GOOD, ["bytes", "a"]], "line 3"),
        ([*GOOD, ["bytes", 3]], "line 3"),
        ([*GOOD, b"{\n"], "line 3"),
        ([*GOOD, b"\xff\n"], "line 3"),
        ([*GOOD, 100000 * b"[" + b"\n"], "line 3"),
        ([*GOOD, ["jump", 0, 0, [], 0]], "no event of a known kind"),
        ([*GOOD, ["reset", -1, 0, [], 0]], "expected two times"),
        ([*GOOD, ["reset", 0, 0, [1], 0]], "0 arguments"),
        ([*GOOD, ["read", 0, 0, ["ip", "4"], 0]], "other types"),
        ([*GOOD, ["read", 0, 0, ["ip", 4.0], 0]], "other types"),
        ([*GOOD, ["read", 0, 0, ["ip", True], 0]], "other types"),
        ([*GOOD, ["read", 0, 0, ["ip", 1 << 64], 0]], "other types"),
        ([*GOOD, ["flush", 0, 0, [0, 0, 1], None]], "other types"),
        ([*GOOD, ["read", 0, 0, ["ip", 4], None]], "an answer"),
        ([*GOOD, ["read", 0, 0, ["ip", 4], {"error": ["X"]}]], "an answer"),
        ([*GOOD, ["read", 0, 0, ["ip", 4], {"error": ["X", 3]}]], "an answer"),
        ([*GOOD, ["invalidate", 0, 0, [0, 0], 1]], "an answer"),
    ],
)
def test_wrong_lines_under_a_right_digest_are_named(folder: Path, lines: list[Any], words: str) -> None:
    with pytest.raises(RecordingError, match=words):
        load_recording(written(folder, sealed(lines)))


@settings(max_examples=300, deadline=None)
@given(st.lists(JSON, max_size=4))
def test_any_lines_under_a_right_digest_are_a_recording_or_an_error(folder: Path, lines: list[Any]) -> None:
    try:
        found = load_recording(written(folder, sealed([*GOOD, *lines])))
    except RecordingError:
        return
    blobs = sum(isinstance(line, list) and line[:1] == ["bytes"] for line in lines)
    assert len(found.events) + blobs == len(lines)


def test_a_newer_version_is_told_from_damage(folder: Path, small: bytes) -> None:
    with pytest.raises(RecordingError, match="version 2, this library reads 1"):
        load_recording(written(folder, small.replace(b"recording 1 ", b"recording 2 ")))


def test_a_bomb_is_not_unpacked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qnn_pynq.diagnosis.recording_file._MOST_TEXT", 1000)
    with pytest.raises(RecordingError, match="unpacks to too much"):
        load_recording(written(folder, sealed([*GOOD, ["bytes", 1000 * "AAAA"]])))


@pytest.mark.parametrize("path", ["nowhere/at/all", ".", "a\0b", 3 * 1000 * "x"])
def test_paths_that_are_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(RecordingError):
        load_recording(path)
    with pytest.raises(RecordingError):
        load_recording(3)  # type: ignore[arg-type]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "x.recording"
    target.write_text("what was there")

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_recording(SMALL, target)
    assert target.read_text() == "what was there" and list(tmp_path.iterdir()) == [target]
    monkeypatch.undo()
    save_recording(SMALL, target)
    assert load_recording(target) == SMALL and list(tmp_path.iterdir()) == [target]
    assert target.stat().st_mode & 0o044, "root records, and another user sends the file"
