"""Videos as an iterator of pictures."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qnn_pynq import Classifier
from qnn_pynq.errors import InputError, MissingDependencyError
from qnn_pynq.pictures.video import frames


def write(path: Path, count: int) -> None:
    av = pytest.importorskip("av", reason="needs PyAV (the video extra)")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(count):
            grey = np.full((48, 64, 3), 20 * number, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(grey, "rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def test_every_frame_comes_in_order(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", 6)
    pictures = list(frames(tmp_path / "a.mp4"))
    assert [picture.size for picture in pictures] == [(64, 48)] * 6
    levels = [np.asarray(picture).mean() for picture in pictures]
    assert np.abs(np.array(levels) - 20 * np.arange(6)).max() < 4
    assert len(list(frames(tmp_path / "a.mp4", every=4))) == 2


def test_a_classifier_streams_a_video(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", 5)
    with Classifier("lfc-w1a1-mnist", board="cpu") as classifier:
        assert len(list(classifier.stream(frames(tmp_path / "a.mp4"), batch_size=2))) == 5


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="needs PyAV (the video extra)")
    (tmp_path / "a.mp4").write_bytes(b"no video at all")
    for path in (tmp_path / "a.mp4", tmp_path / "missing.mp4"):
        with pytest.raises(InputError, match=path.name):
            list(frames(path))
    every: Any
    for every in (0, -1, 1.5, "a", None):
        with pytest.raises(InputError, match="every must be a whole number"):
            frames(tmp_path / "a.mp4", every=every)
    format: Any
    for format in ("zzz", "null", 5):
        with pytest.raises(InputError, match="format .* is none that FFmpeg reads"):
            frames(tmp_path / "a.mp4", format=format)
    source: Any
    for source in (None, 5, b"a.mp4"):
        with pytest.raises(InputError, match="expected the path"):
            frames(source)
    for source in ("a\0b.mp4", "\ud800", "x" * 5000):
        with pytest.raises(InputError, match="cannot be read"):
            list(frames(source))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="needs PyAV (the video extra)")
    os.mkfifo(str(tmp_path / "a.mp4"))
    with pytest.raises(InputError, match="a pipe or socket"):
        list(frames(tmp_path / "a.mp4"))


def test_without_pyav_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingDependencyError, match=r"qnn-pynq\[video\]"):
        frames("a.mp4")
