"""Which networks and overlays there are: shipped, the user's, and files in the cache."""

from __future__ import annotations

import difflib
import hashlib
import logging
import os
from pathlib import Path
from typing import Callable, Iterator, Mapping, Sequence, TypeVar, Union

from .contracts.families import twin_class
from .contracts.loadable import check_loadable
from .contracts.network import Network
from .errors import DigestError, NotFoundError, OverlayMissingError
from .files.bitfile import Bitstream
from .files.foreign import FIRST, foreign_kind
from .files.paths import path_text, shortened
from .networks.store import load_network
from .overlay import Overlay, OverlayFile, load_overlay

__all__ = [
    "by_hand_lines",
    "cache_folder",
    "cached_path",
    "check_has_files",
    "check_right",
    "data_folder",
    "default_overlays",
    "digest",
    "find_network",
    "find_overlay",
    "networks",
    "overlay_files",
    "overlays",
    "remedy",
    "right_paths",
]

_log = logging.getLogger(__name__)
_PACKAGE = Path(__file__).resolve().parent
_T = TypeVar("_T")

PathLike = Union[str, "os.PathLike[str]"]


def _xdg(variable: str, fallback: str) -> Path:
    value = os.environ.get(variable, "")
    # The XDG standard has relative paths ignored.
    return (Path(value) if os.path.isabs(value) else Path(os.path.expanduser(fallback))) / "qnn-pynq"


def cache_folder() -> Path:
    """Where downloads go: $QNN_PYNQ_CACHE, else qnn-pynq in $XDG_CACHE_HOME or ~/.cache."""
    chosen = os.environ.get("QNN_PYNQ_CACHE")
    return Path(os.path.abspath(os.path.expanduser(chosen))) if chosen else _xdg("XDG_CACHE_HOME", "~/.cache")


def data_folder() -> Path:
    """The user's own networks and overlays: qnn-pynq in $XDG_DATA_HOME or ~/.local/share."""
    return _xdg("XDG_DATA_HOME", "~/.local/share")


def _places(kind: str, shipped: str) -> Iterator[Path]:
    """Folders to search, first come first served."""
    for entry in os.environ.get("QNN_PYNQ_PATH", "").split(os.pathsep):
        if entry:
            place = Path(os.path.expanduser(entry))
            if not os.path.isdir(place):  # False also for what is too long to be a path
                _log.warning("QNN_PYNQ_PATH names %s, which is no folder", shortened(entry))
            yield place
    yield data_folder() / kind
    # Inside the package once installed, beside it in a checkout.
    yield _PACKAGE / shipped if (_PACKAGE / shipped).is_dir() else _PACKAGE.parent / shipped


def _scan(file: str, places: Iterator[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for place in places:
        try:
            folders = [place] if (place / file).is_file() else sorted(place.iterdir())
        except OSError:
            continue  # not there, or not ours to read
        for folder in folders:
            try:
                if not folder.name.startswith(".") and (folder / file).is_file():
                    found.setdefault(folder.resolve().name if folder is place else folder.name, folder)
            except OSError:
                continue
    return found


def networks() -> dict[str, Path]:
    """The folder of every network by name, without looking into it: a broken one is listed as well.

    Searched in $QNN_PYNQ_PATH (network folders, or folders of them), the user's data folder, and the
    package. The first of a name wins; the name is that of the folder.
    """
    return _scan("network.json", _places("networks", "params"))


def overlays() -> dict[str, Path]:
    """The folder of every overlay descriptor by name; searched in the same places as `networks`."""
    return _scan("overlay.json", _places("overlays", "overlays"))


def find_network(name: PathLike) -> Network:
    """Load a network by name, or by the path of its folder or network.json.

    Raises
    ------
    NotFoundError
        No such network; names those that are near.
    DescriptorError
        The network is there, and broken.
    """
    return _find(name, "network", "network.json", networks, load_network)


def find_overlay(name: PathLike) -> Overlay:
    """Load an overlay descriptor by name, or by the path of its folder or file; errors as `find_network`."""
    return _find(name, "overlay", "overlay.json", overlays, load_overlay)


def default_overlays(network: Network, emulated: bool) -> list[Overlay]:
    """The overlays that a network runs on where nobody names one, one a segment; errors as `find_network`.

    The first of those that it names; on an emulated board the first one that is emulated quickly, if there is one.
    """
    first = find_overlay(network.overlays[0])
    if emulated and not twin_class(first.kind).quick:
        others = map(find_overlay, network.overlays[1:])
        first = next((overlay for overlay in others if twin_class(overlay.kind).quick), first)
    return [first, *(find_overlay(segment.overlay) for segment in network.segments)]


def _find(
    name: PathLike,
    kind: str,
    file: str,
    listing: Callable[[], dict[str, Path]],
    load: Callable[[Path], _T],
) -> _T:
    text = path_text(name, kind + " {}: expected a name or the path of a folder", NotFoundError)
    path = Path(os.path.expanduser(text))
    if text and (os.path.isfile(path / file) or (path.suffix == ".json" and os.path.isfile(path))):
        return load(path)
    known = listing()
    if text in known:
        return load(known[text])
    if os.sep in text or text.startswith("."):
        raise NotFoundError(f"no {kind} at {shortened(text)}: expected a folder with {file}")
    near = difflib.get_close_matches(text, known, 3, 0.5)
    hint = "did you mean {}?".format(" or ".join(near)) if near else f"known: {_names(known)}"
    raise NotFoundError(
        f'{kind} "{shortened(text)}" not found; {hint} (a path works too, and QNN_PYNQ_PATH is searched)'
    )


def _names(known: dict[str, Path]) -> str:
    return ", ".join(sorted(known)) or "none"


# ---- files of an overlay


def cached_path(overlay: Overlay, file: OverlayFile) -> Path:
    """Where the cache keeps a file of an overlay, there or not."""
    return cache_folder() / "overlays" / overlay.name / file.name


def digest(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    found = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            found.update(block)
    return found.hexdigest()


def wrong_file(path: Path, file: OverlayFile) -> str:
    """What is wrong with a file of an overlay by its size and sha256, "" where it is right.

    A file of another size is not read to its end: it may be without one.
    """
    size = path.stat().st_size
    if size != file.size:
        return f"{size} bytes, expected {file.size} with sha256 {file.sha256}{_kind(path)}"
    actual = digest(path)
    return "" if actual == file.sha256 else f"sha256 {actual}, expected {file.sha256}{_kind(path)}"


def _kind(path: Path) -> str:
    """What a file is by its first bytes, where that is known."""
    with path.open("rb") as stream:
        kind = foreign_kind(stream.read(FIRST))
    return "" if kind is None or kind.suffix == path.suffix else f"; it is {kind.what}"


def overlay_files(overlay: Overlay | PathLike) -> dict[str, Path]:
    """The files of an overlay on this machine by key ("bitstream", "hwh"), each with the right sha256.

    Looked for beside the descriptor, then in the cache; pynq wants them side by side.

    Raises
    ------
    OverlayMissingError
        A file is not there; says where to put it and where it comes from.
    DigestError
        A file is there with other contents.
    DescriptorError
        The files are what the descriptor names, and cannot be loaded: no bitstream, a partial one, for another part, or
        of another build than the .hwh.
    """
    if not isinstance(overlay, Overlay):
        overlay = find_overlay(overlay)
    check_has_files(overlay)
    found = right_paths(overlay)
    if found:
        check_right(overlay, found)
        return found
    here = {key: [path for path in _paths(overlay, key) if path.is_file()] for key in overlay.files}
    for key, paths in here.items():
        problems = [wrong_file(path, overlay.files[key]) for path in paths]
        if paths and all(problems):
            advice = remedy(overlay)
            raise DigestError(f"{paths[0]} has {problems[0]}: "
                              + (advice if overlay.files[key].shipped else "remove it and " + advice))
    # A file without its neighbour is of no use.
    missing = [key for key, paths in here.items() if not paths] or list(overlay.files)
    names = ", ".join(overlay.files[key].name for key in missing)
    if all(overlay.files[key].shipped for key in missing):
        raise OverlayMissingError(f"{names} of overlay {overlay.name} should lie in {overlay.path}: {remedy(overlay)}")
    start = f"the files of overlay {overlay.name} are not on this machine: {remedy(overlay)}"
    lines = ["or " + line for line in by_hand_lines(overlay, missing)]
    raise OverlayMissingError("\n  ".join([start] + lines))


def _paths(overlay: Overlay, key: str) -> tuple[Path, Path]:
    file = overlay.files[key]
    return overlay.path / file.name, cached_path(overlay, file)


def right_paths(overlay: Overlay) -> dict[str, Path]:
    """Where all files of an overlay are side by side with the right contents, by key; nothing where they are not."""
    for place in (0, 1):
        found = {key: _paths(overlay, key)[place] for key in overlay.files}
        if all(path.is_file() and not wrong_file(path, overlay.files[key]) for key, path in found.items()):
            return found
    return {}


def check_right(overlay: Overlay, paths: Mapping[str, Path]) -> Bitstream:
    """Open the files of an overlay, whose digests are right: what the bitstream says of itself, or DescriptorError."""
    return check_loadable(paths, overlay.boards, overlay.files["hwh"].tool if "hwh" in overlay.files else None)


def remedy(overlay: Overlay) -> str:
    """What to do where files of an overlay are missing or have other contents."""
    fetch = f"run 'qnn-pynq overlays fetch {overlay.name}"
    if any(file.shipped for file in overlay.files.values()):
        return f"put back the file that its descriptor names: install qnn-pynq again, or {fetch} --from DIR'"
    return fetch + "'"


def check_has_files(overlay: Overlay) -> None:
    """Raise OverlayMissingError for a circuit of which there is no bitstream yet."""
    if not overlay.files:
        state = overlay.verified.get("state", "its descriptor names no files")
        raise OverlayMissingError(f"overlay {overlay.name} cannot be loaded into a board ({state}): take "
                                  'board="emulated"')


def by_hand_lines(overlay: Overlay, keys: Sequence[str]) -> list[str]:
    """Which file to put where, by hand: one line a file."""
    lines = []
    for key in keys:
        file = overlay.files[key]
        origin = file.urls[0] if file.urls else file.name
        lines.append(f"put {origin} to {cached_path(overlay, file)}")
    return lines
