"""Labels of known pictures, as class numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import InputError
from .network import Network

__all__ = ["class_numbers"]


def class_numbers(labels: Any, count: int, network: Network) -> np.ndarray:
    """Class numbers, intp (count,), of class numbers or class names.

    Raises
    ------
    InputError
        No pictures, another number of labels, or a label that is no class of the network.
    """
    values = np.asarray(labels)
    if count == 0:
        raise InputError("no pictures: at least one is needed")
    if values.shape != (count,):
        raise InputError("{} pictures need {} labels, got shape {}".format(count, count, values.shape))
    if values.dtype.kind in "US":
        known = {name: index for index, name in enumerate(network.classes)}
        names = values.astype(str).tolist()
        unknown = sorted(set(names) - set(known))
        if unknown:
            raise InputError(
                "label {!r} is no class of {}: use one of {}".format(
                    unknown[0], network.name, ", ".join(network.classes)
                )
            )
        return np.array([known[name] for name in names], np.intp)
    if values.dtype.kind not in "iu":
        raise InputError("labels must be class numbers or names, not dtype {}".format(values.dtype))
    if values.min() < 0 or values.max() >= len(network.classes):
        raise InputError(
            "labels must be in 0..{}, got {}..{}".format(len(network.classes) - 1, values.min(), values.max())
        )
    return values.astype(np.intp)
