"""Known answers of a network: stored with it in `selftest.npz`, and compared with what an engine gives.

`pictures` (uint8), and what plain numpy computed for them from the published arithmetic: `words` of a dense
network; `codes` of the last map of a convolutional one, and `classes` where it names some.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np

from .engines.layers import is_convolutional, split_layers
from .errors import DescriptorError
from .network import Network
from .npyfile import NPZ_ERRORS, Header, open_npz

__all__ = ["MOST_ANSWERS", "Answers", "differences", "known_answers"]

MOST_ANSWERS = 64 << 20
"""Bytes that pictures and answers of a self-test, or of known inputs, take."""

Expected = Dict[str, Tuple[str, List[Tuple[int, ...]]]]  # by array: dtype, and shapes of one picture's part


class Answers(NamedTuple):
    """What a network says of n pictures.

    Attributes
    ----------
    pictures : uint8 (n, pixels)
    words : uint64 (n,) or None
        Output words of a dense network.
    codes : uint8 (n, H, W, C) or None
        Last map of a convolutional network.
    classes : int64 (n,) or None
        Class numbers; None of a dense network, whose words say them, and of one that ends in features.
    """

    pictures: np.ndarray
    words: np.ndarray | None = None
    codes: np.ndarray | None = None
    classes: np.ndarray | None = None

    def part(self, which: slice) -> Answers:
        """The same of some of the pictures."""

        def cut(array: np.ndarray | None) -> np.ndarray | None:
            return None if array is None else array[which]

        return Answers(self.pictures[which], cut(self.words), cut(self.codes), cut(self.classes))


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
    classes = found.get("classes")
    if classes is not None and (classes.min() < 0 or classes.max() >= len(network.classes)):
        raise DescriptorError(
            "{}: classes {} to {}, expected 0 to {}".format(
                path, classes.min(), classes.max(), len(network.classes) - 1
            )
        )
    return Answers(pictures.reshape(len(pictures), -1), found.get("words"), found.get("codes"), classes)


def _check_headers(path: Path, names: Expected, found: dict[str, Header]) -> None:
    shape = found["pictures"].shape
    count = shape[0] if shape else 0
    for name, (dtype, shapes) in names.items():
        header = found[name]
        if not count or header.dtype != dtype or header.shape not in [(count, *shape) for shape in shapes]:
            expected = " or ".join("(n{})".format("".join(", {}".format(side) for side in shape)) for shape in shapes)
            raise DescriptorError(
                "{}: {} is {} {}, expected {} {} for n pictures, at least one".format(
                    path, name, header.dtype, header.shape, dtype, expected
                )
            )


def _names(network: Network) -> Expected:
    """Arrays that the file must have."""
    spec = network.input
    if not is_convolutional(network):
        return {"pictures": ("uint8", [(spec.pixels,)]), "words": ("uint64", [()])}
    names: Expected = {
        "pictures": ("uint8", [(spec.size[0], spec.size[1], spec.channels), (spec.pixels,)]),
        "codes": ("uint8", [split_layers(network).codes_shape]),
    }
    if network.decode.rule != "features":
        names["classes"] = ("int64", [()])
    return names


def differences(expected: Answers, got: Answers) -> list[dict[str, Any]]:
    """Pictures with another answer: dicts of picture, expected, got (texts), in order."""
    found: dict[int, dict[str, Any]] = {}
    if expected.words is not None and got.words is not None:
        for index in np.flatnonzero(expected.words != got.words).tolist():
            texts = ["0x{:016x}".format(int(words[index])) for words in (expected.words, got.words)]
            _note(found, index, texts[0], texts[1])
    if expected.codes is not None and got.codes is not None:
        wrong = expected.codes != got.codes
        for index in np.flatnonzero(wrong.any(axis=(1, 2, 3))).tolist():
            y, x, channel = np.argwhere(wrong[index])[0].tolist()
            there = "code {} at y {}, x {}, channel {}".format(expected.codes[index, y, x, channel], y, x, channel)
            text = "{} ({} of {} codes differ)".format(
                got.codes[index, y, x, channel], int(wrong[index].sum()), wrong[index].size
            )
            _note(found, index, there, text)
    if expected.classes is not None and got.classes is not None:
        for index in np.flatnonzero(expected.classes != got.classes).tolist():
            _note(found, index, "class {}".format(expected.classes[index]), "class {}".format(got.classes[index]))
    return [found[index] for index in sorted(found)]


def _note(found: dict[int, dict[str, Any]], index: int, expected: str, got: str) -> None:
    """What is wrong with a picture; its first difference counts."""
    found.setdefault(index, {"picture": index, "expected": expected, "got": got})
