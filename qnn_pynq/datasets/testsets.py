"""Test pictures with labels, in the forms that data sets come in; and where to look for them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, NamedTuple, Sequence

import numpy as np

from ..errors import InputError, NotFoundError
from ..files.bounded import Room, TooMuch
from ..files.npyfile import NPZ_ERRORS, open_npz
from .colour import COLOUR_SETS, ColourPictures, colour_folder, find_colour, read_colour, read_pack
from .layouts import PAIRS, TEST_PAIRS, class_folders, picture_files
from .public import DATASETS, FILES, data_places, files_in, find_files, idx_shape, read_idx

__all__ = ["Labelled", "dataset_of", "find_test_set"]

_log = logging.getLogger(__name__)

_LABEL = np.dtype(np.int64).itemsize
_NAMES = (*DATASETS, *COLOUR_SETS)


class Labelled(NamedTuple):
    """Pictures (array (N, ...) uint8, or list of paths), class indices int64 (N,), and their source."""

    pictures: Any
    labels: np.ndarray
    source: str

    def first(self, count: int | None) -> Labelled:
        """The first `count` pictures; all for None."""
        return self if count is None else Labelled(self.pictures[:count], self.labels[:count], self.source)


def dataset_of(network: Any) -> str | None:
    """Name of the public data set that a network was trained on ("mnist", "cifar10", ...), or None.

    From its provenance; where that is silent, from its name and its class names.
    """
    said = str(network.provenance.get("dataset", ""))
    if said:
        return next((name for name in _NAMES if _bare(name) == _bare(said)), None)
    classes = [name.lower() for name in network.classes]
    for name in sorted(_NAMES, key=len, reverse=True):
        known = DATASETS[name].classes if name in DATASETS else ()
        if network.name.endswith(name) or [label.lower() for label in known] == classes:
            return name
    return None


def _bare(name: str) -> str:
    return "".join(sign for sign in name.lower() if sign.isalnum())


def find_test_set(network: Any, where: str | Path | None = None, download: bool = False) -> Labelled:
    """Test set for a network.

    Parameters
    ----------
    network : Network
        Its class names give the labels of class-named folders; its provenance names the public data set.
    where : path, optional
        Folder with MNIST-style idx files (plain or .gz; in it, in `<data set>/` or in `data/<data set>/`),
        with a colour data set (Imagenette, CIFAR-10) or with class-named folders (Imagenette's may have its
        WordNet names), or .npz file (x_test and y_test, images and labels, or a JPEG pack). By default
        the network's public data set in $QNN_PYNQ_DATA and in the cache.
    download : bool
        Fetch the public data set from its home where it is nowhere here; not for the colour ones.

    Raises
    ------
    NotFoundError
        No test set, and where it was looked for.
    InputError
        Files that are no test set of this network.
    """
    if not (hasattr(network, "provenance") and hasattr(network, "classes")):
        raise InputError(f"network is of type {type(network).__name__}: expected what load_network gives")
    name = dataset_of(network)
    if where is not None:
        found = _read(Path(where), name, network)
    else:
        found = _search(name, network, download)
    _log.info("test set: %s", found.source)
    pictures, labels, source = found
    if len(pictures) != len(labels) or not len(labels):
        raise InputError(f"{source}: {len(pictures)} pictures but {len(labels)} labels")
    if labels.min() < 0 or labels.max() >= len(network.classes):
        raise InputError(
            f"{source}: labels {labels.min()} to {labels.max()} do not fit the {len(network.classes)} classes of "
            f"{network.name}"
        )
    return found


def _search(name: str | None, network: Any, download: bool) -> Labelled:
    if name is None:
        raise NotFoundError(
            "{} was not trained on a public data set that is known here ({}): give its test pictures "
            "with --data".format(network.name, ", ".join(sorted(_NAMES)))
        )
    if name in COLOUR_SETS:
        folder = colour_folder(name)
        if folder is None:
            raise NotFoundError(
                "no {} in {}, and it is not downloaded: get it from {} and give its folder with --data, or set "
                "QNN_PYNQ_DATA".format(name, ", ".join(map(str, data_places())), COLOUR_SETS[name].home)
            )
        return _colour(read_colour(folder, "test"), network, folder)
    found = find_files(name, "test", download)
    if found is None:
        raise NotFoundError(
            "no {} test set in {}: give its folder with --data, set QNN_PYNQ_DATA, or let it be fetched with "
            "--download".format(name, ", ".join(str(place) for place in data_places()))
        )
    return _read_idx_files(*found)


def _read_idx_files(images: Path, labels: Path) -> Labelled:
    pictures, numbers = idx_shape(images), idx_shape(labels)
    if not pictures or pictures[:1] != numbers:
        raise InputError(f"{images.parent}: pictures of shape {pictures} but labels of shape {numbers}")
    room = Room()
    try:
        room.take(_LABEL * numbers[0], f"labels of {numbers[0]} pictures")
    except TooMuch as error:
        raise InputError(f"{labels}: {error}") from error
    found = read_idx(labels).astype(np.int64)
    return Labelled(read_idx(images, room), found, str(images.parent))


def _colour(found: ColourPictures, network: Any, path: Path) -> Labelled:
    """Class numbers as the network has them: by name, not by place."""
    numbers = {name.lower(): index for index, name in enumerate(network.classes)}
    unknown = [name for name in found.classes if name.lower() not in numbers]
    if unknown:
        raise InputError(
            "{}: class {!r} is none of the network's ({})".format(path, unknown[0], ", ".join(network.classes))
        )
    place = np.array([numbers[name.lower()] for name in found.classes], np.int64)
    return Labelled(found.pictures, place[found.labels], str(path))


def _read(path: Path, name: str | None, network: Any) -> Labelled:
    if path.is_dir():
        files = files_in(path, name if name in DATASETS else None, "test", trusted=True)
        if files is not None:
            return _read_idx_files(*files)
        colour = name if name in COLOUR_SETS else None
        folder = find_colour(path, colour, "test")
        if folder is not None:
            return _colour(read_colour(folder, "test"), network, folder)
        return _read_class_folders(path, network.classes, COLOUR_SETS[colour].synonyms if colour else {})
    if path.is_file():
        return _read_npz(path, network)
    raise NotFoundError(f"no folder or file {path}")


def _read_npz(path: Path, network: Any) -> Labelled:
    try:
        with open_npz(path) as data:
            keys = sorted(data.keys())
            if "blob" in keys and "offsets" in keys:
                return _colour(read_pack(path), network, path)
            for pictures, labels in TEST_PAIRS + PAIRS:
                if pictures in keys and labels in keys:
                    shape, _, dtype = data.header(labels)
                    if len(shape) != 1 or dtype.kind not in "iu":
                        raise InputError(f"{path}: {labels} must be integers (n,), not {dtype} {shape}")
                    found = data.header(pictures).shape
                    if len(found) < 2:
                        raise InputError(
                            f"{path}: {pictures} must be pictures (n, ...), not of shape {found}"
                        )
                    if found[:1] != shape:
                        raise InputError(f"{path}: {found[0]} pictures but {shape[0]} labels")
                    data.room.take(_LABEL * shape[0], labels)
                    values = data[labels].astype(np.int64)
                    return Labelled(data[pictures], values, str(path))
    except NPZ_ERRORS as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: no .npz file of plain arrays: {error}") from error
    raise InputError(
        "{}: has {}; a test set needs x_test and y_test, or images and labels".format(
            path, ", ".join(keys) or "nothing"
        )
    )


def _read_class_folders(path: Path, classes: Sequence[str], synonyms: dict[str, str]) -> Labelled:
    names = {name.replace("/", "-").lower(): index for index, name in enumerate(classes)}
    names.update({other.lower(): names[name.lower()] for other, name in synonyms.items() if name.lower() in names})
    files: list[str] = []
    labels: list[int] = []
    for folder in class_folders(path):
        if folder.name.lower() not in names:
            raise InputError("{}: no class of that name; the network has {}".format(folder, ", ".join(classes)))
        found, _ = picture_files(folder)
        files += [str(file) for file in found]
        labels += [names[folder.name.lower()]] * len(found)
    if not files:
        raise InputError(
            "{}: no test set: expected {}[.gz] and {}[.gz], or folders of pictures named as the classes ({})".format(
                path, FILES["test"][0], FILES["test"][1], ", ".join(classes)
            )
        )
    return Labelled(files, np.array(labels, dtype=np.int64), str(path))
