"""Bitstreams and .hwh files into the user's cache: from their public home, a mirror, or a folder."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import urllib.parse
from pathlib import Path
from typing import Union

from .catalogue import (
    by_hand_lines,
    cached_path,
    check_has_files,
    check_right,
    find_overlay,
    remedy,
    right_paths,
    wrong_file,
)
from .errors import DigestError, FetchError
from .files.download import TIMEOUT, download, is_web_address
from .overlay import Overlay, OverlayFile

__all__ = ["fetch_overlay"]

_log = logging.getLogger(__name__)

PathLike = Union[str, "os.PathLike[str]"]


def fetch_overlay(
    overlay: Overlay | PathLike,
    source: PathLike | None = None,
    progress: bool = True,
    timeout: float = TIMEOUT,
) -> dict[str, Path]:
    """Get every file of an overlay that is not here yet, and verify all of them; they lie side by side then.

    Parameters
    ----------
    overlay
        Descriptor, name, or path of a descriptor.
    source
        A folder (the files in it, or a checkout of the overlay's home) or the http(s) address of one,
        instead of the addresses in the descriptor. The digests stay those of the descriptor.
    progress
        Show progress on a terminal.
    timeout
        Seconds without a byte until an address is given up.

    Returns
    -------
    dict
        Path of each file by key ("bitstream", "hwh").

    Raises
    ------
    DigestError
        A file has other contents than the descriptor says; it is not kept.
    FetchError
        Nothing answered (the message says which file to put where by hand), or the cache cannot be written.
    DescriptorError
        The files are those that the descriptor names, and no board can load them.
    """
    if not isinstance(overlay, Overlay):
        overlay = find_overlay(overlay)
    check_has_files(overlay)
    try:
        found = right_paths(overlay)
    except OSError:
        found = {}
    if found:
        check_right(overlay, found)
        return found
    for key, file in overlay.files.items():
        found[key] = cached_path(overlay, file)
        if not _right(found[key], file):
            _fetch(overlay, key, found[key], source, progress, timeout)
            _log.info("%s: stored in %s", file.name, found[key])
    check_right(overlay, found)
    return found


def _right(path: Path, file: OverlayFile) -> bool:
    try:
        return path.is_file() and not wrong_file(path, file)
    except OSError:
        return False


def _fetch(
    overlay: Overlay, key: str, target: Path, source: PathLike | None, progress: bool, timeout: float
) -> Path:
    file = overlay.files[key]
    text = "" if source is None else os.fspath(source)
    if source is not None and not is_web_address(text):
        if "://" in text:
            raise FetchError(f'"{text}" is neither a folder nor an http(s) address')
        return _copy_in(overlay, file, Path(os.path.expanduser(text)), target)
    urls = file.urls
    if source is None and not urls:
        raise FetchError(f"{file.name} of overlay {overlay.name} comes with its descriptor and has no address: "
                         + remedy(overlay))
    if source is not None:
        urls = ("{}/{}".format(text.rstrip("/"), urllib.parse.quote(file.name)),)
    try:
        return download(urls, target, file.sha256, file.size, progress, timeout)
    except DigestError:
        raise
    except FetchError as error:
        if isinstance(error.__cause__, OSError):  # the cache, not the net
            raise
        missing = [
            name for name, other in overlay.files.items() if not _right(cached_path(overlay, other), other)
        ]
        lines = ["by hand: " + line for line in by_hand_lines(overlay, missing)]
        lines.append(f"or from elsewhere: qnn-pynq overlays fetch {overlay.name} --from DIR|URL")
        raise FetchError("\n  ".join([str(error)] + lines)) from error


def _copy_in(overlay: Overlay, file: OverlayFile, folder: Path, target: Path) -> Path:
    places = [folder / file.name]
    if overlay.home.get("folder"):
        places.append(folder / overlay.home["folder"] / file.name)
    origin = next((place for place in places if place.is_file()), None)
    if origin is None:
        raise FetchError("no file {}".format(" or ".join(str(place) for place in places)))
    handle, temporary = -1, ""
    try:
        problem = wrong_file(origin, file)
        if problem:
            raise DigestError(f"{origin} has {problem}")
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix="." + target.name, dir=str(target.parent))
        with os.fdopen(handle, "wb") as out, origin.open("rb") as stream:
            shutil.copyfileobj(stream, out)
            out.flush()
            os.fsync(out.fileno())
        os.chmod(temporary, 0o644)
        if wrong_file(Path(temporary), file):
            raise DigestError(f"{origin} has changed while it was copied: try again")
        os.replace(temporary, str(target))
    except DigestError:
        _remove(temporary)
        raise
    except OSError as error:
        _remove(temporary)
        raise FetchError(
            f"cannot copy {origin} to {target}: {error.strerror or error}; set QNN_PYNQ_CACHE to a folder that you "
            "may write to"
        ) from error
    except BaseException:
        _remove(temporary)
        raise
    return target


def _remove(path: str) -> None:
    if path:
        try:
            os.unlink(path)
        except OSError:
            pass
