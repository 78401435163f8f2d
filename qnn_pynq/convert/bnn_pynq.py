"""BNN-PYNQ parameter folders: `<layer>-<pe>-weights.bin`, `<layer>-<pe>-thres.bin`, `classes.txt`."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any, NamedTuple, Sequence, Union

import numpy as np

from ..contracts.codes import THRESHOLDS
from ..contracts.network import Decode, Encoding, Framing, InputSpec, Network
from ..errors import ConversionError, QnnWarning
from ..families.bnn_pynq.packing import fold_thresholds, fold_weights, unfold_thresholds, unfold_weights
from ..files.bounded import MOST_TEXT, TooMuch, read_bytes
from ..files.paths import path_text, shortened
from ..networks.chain import WORD_BITS
from ..networks.dense import Dense, dense_layers
from .recognise import foreign

__all__ = ["LFC_CLASSES", "LFC_CODES", "LFC_FOLDS", "export_bnn_pynq", "import_bnn_pynq", "lfc_network"]

PathLike = Union[str, "os.PathLike[str]"]
LFC_CLASSES = WORD_BITS


class Folds(NamedTuple):
    """One layer of the published LFC overlays and its folding."""

    inputs: int
    outputs: int
    simd: int
    pe: int

    @property
    def words(self) -> int:
        """Weight words of a PE."""
        return (self.inputs // self.simd) * (self.outputs // self.pe)

    @property
    def neurons(self) -> int:
        """Neurons of a PE."""
        return self.outputs // self.pe


LFC_FOLDS = (
    Folds(832, 1024, 64, 32),
    Folds(1024, 1024, 32, 64),
    Folds(1024, 1024, 64, 32),
    Folds(1024, 64, 8, 16),
)

# By overlay: input, accumulator and output of each layer.
LFC_CODES = {
    "lfcW1A1": (("binary", "popcount", "binary"),) * 4,
    "lfcW1A2": (
        ("binary", "sum", "ternary"),
        ("ternary", "sum", "ternary"),
        ("ternary", "sum", "ternary"),
        ("ternary", "sum", "binary"),
    ),
}
_OVERLAYS = {"lfcW1A1": "bnn-pynq-lfc-w1a1", "lfcW1A2": "bnn-pynq-lfc-w1a2"}
_PUBLISHED_SIZE = (28, 28)
_DIGITS = Framing((20, 20), "mass")  # as MNIST was made
_CHARACTERS = Framing((28, 28), "mass")  # the published set of 47 sees characters that fill the picture


def lfc_network(
    kind: str,
    name: str,
    layers: Sequence[Dense],
    classes: Sequence[str],
    size: tuple[int, int] = _PUBLISHED_SIZE,
    framing: Framing | str | None = "auto",
    **extra: Any,
) -> Network:
    """A network for the overlay `kind` ("lfcW1A1", "lfcW1A2"), with upstream's input and decode rule.

    `framing` "auto" is told by the classes (see `import_bnn_pynq`).
    """
    extra.setdefault("title", f"BNN-PYNQ {kind}: {name}")
    extra.setdefault("description", "")
    if isinstance(framing, str):
        if framing != "auto":
            raise ConversionError(f'framing "{framing}": expected "auto", a Framing, or None')
        framing = _usual_framing(name, classes, size)
    if framing is not None:
        _check_framing(framing, size)
    return Network(
        name=name,
        overlays=(_OVERLAYS[kind],),
        input=InputSpec(size, 1, "light-on-dark", framing, Encoding("threshold", threshold=128)),
        layers=tuple(layers),
        decode=Decode("highest-bit", 1),
        classes=tuple(classes),
        **extra,
    )


def _usual_framing(name: str, classes: Sequence[str], size: tuple[int, int]) -> Framing | None:
    if size == _PUBLISHED_SIZE and all(len(label) == 1 and label.isalnum() for label in classes):
        return _DIGITS if all(label in "0123456789" for label in classes) else _CHARACTERS
    text = (
        f"network {name}: nothing says how its pictures were framed, so pictures of another size than {size[0]} x "
        f"{size[1]} are taken whole; where the object filled a part of the picture give framing (--framing), else they "
        "may be answered badly"
    )
    warnings.warn(text, QnnWarning, stacklevel=4)
    return None


def _check_framing(framing: Framing, size: tuple[int, int]) -> None:
    sides = tuple(framing.object)
    if framing.centre not in ("mass", "box"):
        raise ConversionError(f'framing: centre "{framing.centre}": expected "mass" or "box"')
    if len(sides) != 2 or any(not 1 <= side <= most for side, most in zip(sides, size)):
        found = " x ".join(map(str, sides))
        problem = f"framing: an object of {found}: expected (height, width), each from 1 up to the picture's"
        raise ConversionError(f"{problem} {size[0]} x {size[1]}")


def plain(text: str) -> str:
    """`text` as a name of a network."""
    return re.sub("[^a-z0-9._-]+", "-", text.lower()).strip("-._") or "network"


def import_bnn_pynq(
    folder: PathLike,
    name: str | None = None,
    classes: Sequence[str] | PathLike | None = None,
    precision: str | None = None,
    framing: Framing | str | None = "auto",
) -> Network:
    """Read the parameters of an LFC overlay, as upstream's loader does.

    Parameters
    ----------
    folder
        Holds the .bin files of all four layers; the size of the threshold files tells W1A1 from W1A2.
    name
        Name of the network; by default made of the folder's names.
    classes
        Class names, or a text file with one a line; by default `classes.txt` in the folder.
    precision
        "w1a1" or "w1a2" where only that will do; by default either.
    framing
        How the object lies in the pictures that the network was trained with; None: the whole picture is the
        object. "auto" tells it by the classes: digits as in MNIST (20 x 20, by mass), other single characters
        filling the picture (28 x 28, by mass), None for everything else.

    Returns
    -------
    Network
        Not yet saved: see `save_network`.

    Warns
    -----
    QnnWarning
        A file is shorter than the overlay's memory: the rest is zeros, as upstream silently has it. Framing
        "auto", and the classes say nothing.

    Raises
    ------
    ConversionError
        Missing, truncated (not whole 64-bit words) or too long files, bad classes, a framing that does not fit;
        parameters of another overlay, or a folder of parameter folders, which are named.
    """
    place = Path(path_text(folder, "folder {}: expected the path of one with 0-0-weights.bin", ConversionError))
    if not os.path.isdir(place):
        raise ConversionError(f"{shortened(str(place))} is no folder: expected one with 0-0-weights.bin")
    other = foreign(place)
    if other:
        raise ConversionError(f"{shortened(str(place))} {other}")
    kind = _kind(place)
    if precision is not None and kind[3:].lower() != precision:
        problem = "{} has the thresholds of {}, not of {}"
        raise ConversionError(problem.format(place, kind[3:].lower(), precision))
    layers = []
    for index, (folds, codes) in enumerate(zip(LFC_FOLDS, LFC_CODES[kind])):
        count = THRESHOLDS[codes[2]]
        words = _read_layer(place, index, "weights", folds.pe, folds.words)
        weights = unfold_weights(words.view(np.uint64), folds.inputs, folds.pe, folds.simd)
        values = _read_layer(place, index, "thres", folds.pe, folds.neurons * count)
        thresholds = unfold_thresholds(values, count)
        layers.append(Dense(folds.inputs, folds.outputs, weights, thresholds, 1, *codes))
    return lfc_network(
        kind,
        name or plain(f"{kind}-{place.resolve().parent.name}"),
        layers,
        _classes(place, classes),
        framing=framing,
        description=f"Imported from a BNN-PYNQ parameter folder for {kind}",
        provenance={"notes": "imported from BNN-PYNQ parameters " + "/".join(place.resolve().parts[-2:])},
    )


def _kind(place: Path) -> str:
    """Which overlay the folder is for: the thresholds of layers 0 to 2 are one or two a neuron."""
    for index in range(3):
        for pe in range(LFC_FOLDS[index].pe):
            path = place / f"{index}-{pe}-thres.bin"
            if path.is_file() and path.stat().st_size > 8 * LFC_FOLDS[index].neurons:
                return "lfcW1A2"
    return "lfcW1A1"


def _read_layer(place: Path, index: int, what: str, pes: int, count: int) -> np.ndarray:
    """Every PE's file of a layer as int64 (pes, count)."""
    values = np.zeros((pes, count), dtype="<i8")
    short = []
    for pe in range(pes):
        path = place / f"{index}-{pe}-{what}.bin"
        try:
            size = path.stat().st_size
            if size > 8 * count:
                problem = "{} has {} bytes: expected at most {}, the memory of the LFC overlays"
                raise ConversionError(problem.format(path, size, 8 * count))
            if size % 8 or not size:
                problem = (
                    "{} has {} bytes: expected {}, or at least whole 64-bit words; the file is truncated"
                )
                raise ConversionError(problem.format(path, size, 8 * count))
            found = np.fromfile(str(path), dtype="<i8")
        except FileNotFoundError:
            raise ConversionError(
                f"{path} is not there: layer {index} needs {pes} such files"
            ) from None
        except OSError as error:
            raise ConversionError(f"{path} cannot be read: {error.strerror or error}") from error
        values[pe, : len(found)] = found
        if len(found) < count:
            short.append((path.name, len(found)))
    if (place / f"{index}-{pes}-{what}.bin").is_file():
        problem = "{}-{}-{}.bin is one too many: layer {} of the LFC overlays has {} PEs"
        raise ConversionError(problem.format(index, pes, what, index, pes))
    if short:
        name, length = short[0]
        text = "{}{} has {} of {} words: the rest is taken as 0, as upstream does"
        more = f" (and {len(short) - 1} more)" if len(short) > 1 else ""
        warnings.warn(text.format(name, more, length, count), QnnWarning, stacklevel=3)
    return values


def _classes(place: Path, classes: Sequence[str] | PathLike | None) -> tuple[str, ...]:
    source = "classes"
    if classes is None or isinstance(classes, (str, os.PathLike)):
        path = place / "classes.txt" if classes is None else Path(classes)
        source = str(path)
        if not os.path.isfile(path):  # a pipe would be waited for
            problem = "{} cannot be read: no such file, or no regular one; expected one class a line"
            raise ConversionError(problem.format(shortened(source)))
        try:
            lines = [line.strip() for line in read_bytes(path, MOST_TEXT).decode("utf-8-sig").splitlines()]
        except (OSError, TooMuch, UnicodeDecodeError) as error:
            raise ConversionError(f"{path} cannot be read: {error}") from error
        while lines and not lines[-1]:
            lines.pop()
    else:
        lines = [str(name) for name in classes]
    if not lines or not all(lines) or len(set(lines)) != len(lines):
        raise ConversionError(f"{source}: {len(lines)} names: expected different, non-empty ones")
    if len(lines) > LFC_CLASSES:
        raise ConversionError(
            f"{source}: {len(lines)} names: the LFC overlays have {LFC_CLASSES}"
        )
    return tuple(lines)


def export_bnn_pynq(network: Network, folder: PathLike) -> Path:
    """Write an LFC network as a BNN-PYNQ parameter folder, all of it or nothing.

    What `import_bnn_pynq` read from complete files comes back byte for byte (bits above SIMD, which the
    overlay ignores, apart).

    Raises
    ------
    ConversionError
        The network is not one of the LFC overlays', or `folder` has files already.
    """
    kind = next((kind for kind in LFC_CODES if _fits(network, kind)), None)
    if kind is None:
        raise ConversionError(
            f"network {network.name} has not the layers of lfcW1A1 or lfcW1A2 (832-1024-1024-1024-64)"
        )
    if network.decode.levels > 1:
        warnings.warn(
            f"network {network.name} has {network.decode.levels} levels a class: upstream decodes bit j as class j",
            QnnWarning,
            stacklevel=2,
        )
    place = Path(folder)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise ConversionError(f"{place} is there already, and not an empty folder: choose another")
    place.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="." + place.name + "-", dir=str(place.parent)))
    try:
        fresh = work / place.name
        fresh.mkdir()
        _write(network, fresh)
        os.replace(str(fresh), str(place))
    finally:
        shutil.rmtree(str(work), ignore_errors=True)
    return place


def _write(network: Network, folder: Path) -> None:
    for index, (layer, folds) in enumerate(zip(dense_layers(network), LFC_FOLDS)):
        words = fold_weights(layer.weights, folds.inputs, folds.pe, folds.simd)
        values = fold_thresholds(np.asarray(layer.thresholds), folds.pe)
        for pe in range(folds.pe):
            words[pe].astype("<u8").tofile(str(folder / f"{index}-{pe}-weights.bin"))
            values[pe].astype("<i8").tofile(str(folder / f"{index}-{pe}-thres.bin"))
    # CR LF between the names and none at the end, as in upstream's files.
    (folder / "classes.txt").write_bytes("\r\n".join(network.classes).encode("utf-8"))


def _fits(network: Network, kind: str) -> bool:
    codes = LFC_CODES[kind]
    found = [
        (layer.inputs, layer.outputs, layer.input, layer.accumulator, layer.output)
        for layer in dense_layers(network)
    ]
    return found == [(f.inputs, f.outputs) + c for f, c in zip(LFC_FOLDS, codes)]
