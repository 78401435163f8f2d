"""What the layers of a network are and cost: shapes, weights, multiplications, and where they run."""

from __future__ import annotations

import hashlib
from typing import Any, Collection

import numpy as np

from ..contracts.network import Network

__all__ = ["describe_layers", "totals", "weights_digest"]


def describe_layers(network: Network, logic: Collection[int] = ()) -> list[dict[str, Any]]:
    """One dict a layer.

    "type"; "input" and "output", the (height, width, channels) or (neurons,) of its maps; "inputs", "outputs";
    kernel, stride and bits where it has them; "weights" and "macs", their numbers (one picture); "runs_on",
    "overlay" or "processor".

    Parameters
    ----------
    network : Network
    logic : collection of int
        Which layers run on an overlay: what `engines.layers_on_logic` says.
    """
    rows: list[dict[str, Any]] = []
    for index, (layer, arriving, given) in enumerate(zip(network.layers, network.signals, network.signals[1:])):
        shape = (layer.inputs,) if len(given.shape) == 1 and hasattr(layer, "inputs") else arriving.shape
        rows.append({
            "type": layer.type,
            "input": shape,
            **layer.describe(arriving),
            "weights": layer.weight_count,
            "macs": layer.macs(arriving),
            "output": given.shape,
            "runs_on": "overlay" if index in logic else "processor",
        })
    return rows


def totals(rows: list[dict[str, Any]]) -> dict[str, int]:
    """Layers with weights, weights, and multiplications of one picture; "overlay_macs": those on the overlay."""
    return {
        "layers": sum(1 for row in rows if row["weights"]),
        "weights": sum(row["weights"] for row in rows),
        "macs": sum(row["macs"] for row in rows),
        "overlay_macs": sum(row["macs"] for row in rows if row["runs_on"] == "overlay"),
    }


def weights_digest(network: Network) -> str:
    """sha256 of all weights and thresholds: known answers belong to these alone."""
    found = hashlib.sha256()
    for layer in network.layers:
        for array in layer.arrays():
            found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
