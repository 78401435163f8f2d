"""Known answers of a network: stored with it in `selftest.npz`, and compared with what an engine gives.

`pictures` (uint8), and what plain numpy computed for them from the published arithmetic: `words` of a dense
network; `codes` of the last map of a convolutional one, and `classes` where it names some.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np

from ..contracts.network import Network
from ..engines import EngineResult
from ..engines.stages import DTYPES, as_kind
from ..errors import DescriptorError
from ..files.npyfile import NPZ_ERRORS, Header, open_npz
from ..networks.rows import compile_layers

__all__ = ["MOST_ANSWERS", "Answers", "differences", "known_answers", "value_kind"]


MOST_ANSWERS = 64 << 20
"""Bytes that pictures and answers of a self-test, or of known inputs, take."""

Expected = Dict[str, Tuple[str, List[Tuple[int, ...]]]]  # by array: dtype, and shapes of one picture's part


class Answers(NamedTuple):
    """What a network says of n pictures.

    Attributes
    ----------
    pictures : uint8 (n, pixels)
    values : array (n, ...)
    kind : str
        Of the values: "words", "codes", "sums" or "scores", as `EngineResult` has them.
    end : int
        So many layers of the network are in the values.
    classes : int64 (n,) or None
        Class numbers; None where the values say them, and of a network that ends in features.
    """

    pictures: np.ndarray
    values: np.ndarray
    kind: str
    end: int
    classes: np.ndarray | None = None

    def part(self, which: slice | list[int]) -> Answers:
        """The same of some of the pictures."""
        classes = None if self.classes is None else self.classes[which]
        return Answers(self.pictures[which], self.values[which], self.kind, self.end, classes)

    @classmethod
    def of(cls, pictures: np.ndarray, result: EngineResult, classes: np.ndarray | None = None) -> Answers:
        """What an engine gave."""
        return cls(pictures, result.values, result.kind, result.end, classes)


def known_answers(network: Network) -> Answers | None:
    """The answers stored with a network; None if it brings none.

    Raises
    ------
    DescriptorError
        The file is not what it should be.
    """
    if network.selftest is None or network.path is None:
        return None
    path = network.path / network.selftest
    names = _names(network)
    try:
        with open_npz(path, MOST_ANSWERS) as data:
            _check_headers(path, names, {name: data.header(name) for name in names})
            found = {name: np.ascontiguousarray(data[name]) for name in names}
    except DescriptorError:
        raise
    except (KeyError, *NPZ_ERRORS) as error:
        raise DescriptorError(
            "{}: no self-test: {}; expected arrays {}".format(path, error, ", ".join(names))
        ) from error
    pictures = found["pictures"]
    if int(pictures.max()) >= network.input.encoding.levels:
        most = network.input.encoding.levels - 1
        raise DescriptorError(f"{path}: pictures has a {pictures.max()}, expected codes from 0 to {most}")
    classes = found.get("classes")
    if classes is not None and (classes.min() < 0 or classes.max() >= len(network.classes)):
        raise DescriptorError(
            f"{path}: classes {classes.min()} to {classes.max()}, expected 0 to {len(network.classes) - 1}"
        )
    kind, _, _, end = value_kind(network)
    return Answers(pictures.reshape(len(pictures), -1), found[kind], kind, end, classes)


def _check_headers(path: Path, names: Expected, found: dict[str, Header]) -> None:
    shape = found["pictures"].shape
    count = shape[0] if shape else 0
    for name, (dtype, shapes) in names.items():
        header = found[name]
        if not count or header.dtype != dtype or header.shape not in [(count, *shape) for shape in shapes]:
            expected = " or ".join("(n{})".format("".join(f", {side}" for side in shape)) for shape in shapes)
            raise DescriptorError(f"{path}: {name} is {header.dtype} {header.shape}, expected {dtype} {expected} for n "
                                  "pictures, at least one")


def value_kind(network: Network) -> tuple[str, str, tuple[int, ...], int]:
    """Kind, dtype and shape of one picture's values in front of the tail, and the layers in them."""
    end = next((i for i, layer in enumerate(network.layers) if layer.tail), len(network.layers))
    signal = network.signals[end]
    kind = as_kind(signal)
    return kind, DTYPES[kind], () if kind == "words" else signal.shape, end


def _names(network: Network) -> Expected:
    """Arrays that the file must have."""
    spec = network.input
    kind, dtype, shape, _ = value_kind(network)
    names: Expected = {
        "pictures": ("uint8", [(spec.size[0], spec.size[1], spec.channels), (spec.pixels,)]),
        kind: (dtype, [shape]),
    }
    if kind != "words" and network.decode.rule != "features":
        names["classes"] = ("int64", [()])
    return names


def differences(network: Network, expected: Answers, got: Answers) -> list[dict[str, Any]]:
    """Pictures with another answer: dicts of picture, expected, got (texts), in order.

    Where one has more layers in its values than the other, the processor computes those for the other first.
    """
    expected, got = _carried(network, expected, got.end), _carried(network, got, expected.end)
    found: dict[int, dict[str, Any]] = {}
    wrong = expected.values != got.values
    for index in np.flatnonzero(wrong.any(axis=tuple(range(1, wrong.ndim)))).tolist():
        _note(found, index, *_texts(expected, got, index, wrong[index]))
    if expected.classes is not None and got.classes is not None:
        for index in np.flatnonzero(expected.classes != got.classes).tolist():
            _note(found, index, f"class {expected.classes[index]}", f"class {got.classes[index]}")
    return [found[index] for index in sorted(found)]


def _carried(network: Network, answers: Answers, end: int) -> Answers:
    """The answers behind `end` layers, at least."""
    if answers.end >= end:
        return answers
    values = answers.values
    for row in compile_layers(network.layers[answers.end : end], network.signals[answers.end :], answers.end):
        values = row.kernel.run(values)
    return answers._replace(values=values, kind=as_kind(network.signals[end]), end=end)


def _texts(expected: Answers, got: Answers, index: int, wrong: Any) -> tuple[str, str]:
    """What was expected of a picture, and what came."""
    one, other = expected.values[index], got.values[index]
    if expected.kind == "words":
        return f"0x{int(one):016x}", f"0x{int(other):016x}"
    place = tuple(np.argwhere(wrong)[0].tolist())
    names = ("y", "x", "channel") if len(place) == 3 else ("output",)
    where = ", ".join(f"{name} {at}" for name, at in zip(names, place))
    return (f"{expected.kind[:-1]} {one[place]} at {where}",
            f"{other[place]} ({int(wrong.sum())} of {wrong.size} {expected.kind} differ)")


def _note(found: dict[int, dict[str, Any]], index: int, expected: str, got: str) -> None:
    """What is wrong with a picture; its first difference counts."""
    found.setdefault(index, {"picture": index, "expected": expected, "got": got})
