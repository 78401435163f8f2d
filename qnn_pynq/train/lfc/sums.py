"""LFC networks that end in sums: the class with the largest one is the answer, no levels stand between.

A network with levels has each class's weights once a level. They are kept once, without thresholds; nothing is trained.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, Callable

import numpy as np

from ...contracts.network import Decode, Network
from ...errors import ConversionError
from ...networks.dense import Dense
from ..data import DataSet
from ..decode import temperature
from .encoding import encode
from .integer import evaluate, integer_layers, table_of

__all__ = ["OVERLAY", "with_sums"]

_log = logging.getLogger(__name__)
OVERLAY = "engine-z7020"  # the circuit that gives sums


def with_sums(
    network: Network,
    name: str,
    held_out: DataSet,
    test: DataSet | None,
    provenance: dict[str, Any],
    report: Callable[[str], None] = _log.info,
) -> Network:
    """The network called `name` that answers with the largest of the sums that are behind the levels of `network`.

    The scale of its probabilities is fitted on the held-out pictures; the test set, if any, is looked at once.

    Raises
    ------
    ConversionError
        The last layer has no levels that share weights.
    """
    last, classes, levels = network.layers[-1], len(network.classes), network.decode.levels
    if not isinstance(last, Dense) or last.output != "binary" or network.decode.rule != "highest-bit":
        raise ConversionError(f'{network.name} does not end in levels: expected the decode rule "highest-bit"')
    rows = last.weights[: classes * levels].reshape(levels, classes, -1)
    if (rows != rows[0]).any():
        raise ConversionError(f"{network.name}: the levels of a class have other weights: expected the same")
    sums = replace(
        last, outputs=classes, weights=np.ascontiguousarray(rows[0]), thresholds=None, output="none"
    )
    found = replace(
        network,
        name=name,
        title=network.title.replace("on the LFC overlay", "as sums"),
        description=_described(network, classes),
        overlays=(OVERLAY,),
        layers=(*network.layers[:-1], sums),
        decode=Decode("largest-sum"),
        path=None,
        selftest=None,
    )
    *_, (values, _) = integer_layers(found, encode(held_out.pictures, table_of(found)))
    scale = round(temperature(values.astype(np.float64), held_out.labels), 6)
    accuracy: dict[str, Any] = {}
    for key, data in (("validation", held_out), ("test", test)):
        if data is None:
            continue
        accuracy[key] = data.accuracy(evaluate(found, data.pictures))
        before = data.accuracy(evaluate(network, data.pictures))
        report(f"{key} {100 * accuracy[key]:.2f} % of {len(data.labels)} ({network.name}: {100 * before:.2f} %)")
        accuracy["images"] = len(data.labels)
    return replace(
        found, decode=Decode("largest-sum", 1, scale), provenance={**provenance, "accuracy": accuracy}
    )


def _described(network: Network, classes: int) -> str:
    """832-1024-1024-1024-64 becomes 832-1024-1024-1024-10, and levels become sums."""
    widths = [network.layers[0].inputs] + [layer.outputs for layer in network.layers[:-1]]  # type: ignore[attr-defined]
    inner = network.layers[1].input if len(network.layers) > 1 else "binary"  # type: ignore[attr-defined]
    bits = "W1A2 (binary weights, activations -1, 0, +1)" if inner == "ternary" else "W1A1 (binary)"
    known = network.provenance.get("dataset", "Pictures")
    shape = "-".join(map(str, [*widths, classes]))
    return f"{known} for our engine: {shape}, {bits}; {classes} classes, the sum of each as it is."
