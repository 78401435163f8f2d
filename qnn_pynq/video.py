"""Frames of a video file or a camera, one after the other (needs the `video` extra)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

from .errors import InputError, MissingDependencyError

__all__ = ["frames"]


def frames(source: str | Path, every: int = 1, format: str | None = None) -> Iterator[Any]:
    """Decode a video lazily: one frame is held at a time.

    Parameters
    ----------
    source : str or Path
        A video file, or a device that FFmpeg opens ("/dev/video0" with ``format="v4l2"``).
    every : int
        Give every n-th frame.
    format : str, optional
        FFmpeg's name of the input format; by default it is recognised.

    Yields
    ------
    PIL.Image.Image
        RGB, ready for `Classifier.stream`.

    Raises
    ------
    MissingDependencyError
        PyAV is not installed.
    InputError
        No such file, no video in it, or a frame that cannot be decoded.
    """
    if every < 1:
        raise InputError("every must be at least 1, not {}".format(every))
    try:
        import av
    except ImportError as error:
        raise MissingDependencyError('video needs PyAV: pip install "qnn-pynq[video]"') from error
    return _decode(av, str(source), every, format)


def _decode(av: Any, source: str, every: int, format: str | None) -> Iterator[Any]:
    try:
        with av.open(source, format=format) as container:
            if not container.streams.video:
                raise InputError("{}: no video stream in it".format(source))
            for number, frame in enumerate(container.decode(video=0)):
                if number % every == 0:
                    yield frame.to_image()
    except av.error.FFmpegError as error:
        raise InputError("{}: cannot be read as a video ({}): check the file".format(source, error)) from error
