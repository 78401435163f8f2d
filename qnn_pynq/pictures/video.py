"""Frames of a video file or a camera, one after the other (needs the `video` extra)."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, Iterator

import numpy as np

from ..errors import InputError, MissingDependencyError
from ..files.paths import path_text

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
        No such file, no video in it, a frame that cannot be decoded, or an unknown format.
    """
    if not isinstance(every, (int, np.integer)) or every < 1:
        raise InputError(f"every must be a whole number of at least 1, not {every!r}")
    path = path_text(source, "video {}: expected the path of a file or device", InputError)
    try:
        import av
    except ImportError as error:
        raise MissingDependencyError('video needs PyAV: pip install "qnn-pynq[video]"') from error
    if format is not None:
        try:
            av.ContainerFormat(format, "r")
        except (TypeError, ValueError) as error:
            problem = "format {!r} is none that FFmpeg reads: leave it out, or see what 'ffmpeg -demuxers' lists"
            raise InputError(problem.format(format)) from error
    return _decode(av, path, every, format)


def _decode(av: Any, source: str, every: int, format: str | None) -> Iterator[Any]:
    if _would_block(source):
        raise InputError(f"{source}: a pipe or socket is no video: give a file or a device")
    try:
        with av.open(source, format=format) as container:
            if not container.streams.video:
                raise InputError(f"{source}: no video stream in it")
            for number, frame in enumerate(container.decode(video=0)):
                if number % every == 0:
                    yield frame.to_image()
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise InputError(f"{source}: cannot be read as a video ({error}): check the file") from error


def _would_block(source: str) -> bool:
    try:
        mode = os.stat(source).st_mode
    except (OSError, ValueError):  # FFmpeg says what is wrong; it takes addresses, too
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
