"""Labels of known pictures, as class numbers."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from ..contracts.network import Network
from ..errors import InputError, ScoresUnavailableError
from ..pictures.opening import plain_array

__all__ = ["check_classes", "class_numbers"]


def check_classes(network: Network) -> None:
    """Raise ScoresUnavailableError for a network that ends in features."""
    if not network.classes:
        raise ScoresUnavailableError(
            f"network {network.name} ends in features, it names no classes: use features(), or give it a tail"
        )


def class_numbers(labels: Any, count: int, network: Network) -> np.ndarray:
    """Class numbers, intp (count,), of class numbers or class names.

    Raises
    ------
    InputError
        No pictures, another number of labels, or a label that is no class of the network.
    ScoresUnavailableError
        The network names no classes.
    """
    check_classes(network)
    try:
        values = np.asarray(plain_array(labels))
    except ValueError as error:  # rows of several lengths
        raise InputError(f"labels must be class numbers or names: {error}") from error
    if count == 0:
        raise InputError("no pictures: at least one is needed")
    if values.shape != (count,):
        raise InputError(f"{count} pictures need {count} labels, got shape {values.shape}")
    kind = _kind(values)
    if kind is str:
        return _by_name(values, network)
    if kind is not int:
        raise InputError(f"labels must be class numbers or names, all of one kind, not dtype {values.dtype}")
    low, high = values.min(), values.max()
    if low < 0 or high >= len(network.classes):
        raise InputError(f"labels must be in 0..{len(network.classes) - 1}, got {low}..{high}")
    return values.astype(np.intp)


def _kind(values: np.ndarray) -> type | None:
    """Of all labels: int, str or neither. Tables give names, and numbers with gaps, as objects."""
    if values.dtype.kind in "iu":
        return int
    if values.dtype.kind in "US":
        return str
    items = values.tolist()
    if all(isinstance(item, str) for item in items):
        return str
    if all(isinstance(item, Integral) and not isinstance(item, bool) for item in items):
        return int
    return None


def _by_name(values: np.ndarray, network: Network) -> np.ndarray:
    try:
        names = (values.astype(str) if values.dtype.kind == "S" else values).tolist()
    except UnicodeDecodeError as error:
        raise InputError(f"a label is no text ({error}): decode the names first") from error
    known = {name: index for index, name in enumerate(network.classes)}
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise InputError(
            "label {!r} is no class of {}: use one of {}".format(
                unknown[0], network.name, ", ".join(network.classes)
            )
        )
    return np.array([known[name] for name in names], np.intp)
