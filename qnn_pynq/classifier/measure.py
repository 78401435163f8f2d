"""Measures the layers of a network, on the processor alone and on the engine that a classifier has."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from ..contracts.network import Network
from ..engines import BoardEngine, Engine, SoftwareEngine
from ..engines.base import EngineResult
from ..networks.rows import compile_layers
from .profile import LayerTime, Profile

__all__ = ["measure_layers"]


class _Row(NamedTuple):
    """Layers whose time is one: the first of them, name, multiplications, seconds of a picture on the processor."""

    layer: int
    end: int
    name: str
    macs: int
    seconds: float


def measure_layers(engine: Engine, rows: np.ndarray, repeats: int, timeout: float | None = None) -> Profile:
    """Profile of the network that `engine` is configured for.

    Parameters
    ----------
    engine : Engine
    rows : array (N, pixels)
        Prepared pictures, one batch.
    repeats : int
        Runs in software; the median of each layer counts.
    timeout : float, optional
        Seconds of each wait on hardware.

    Notes
    -----
    Layers that are computed in one go, on the logic or in software, are one row.
    """
    network = engine.ready()
    found = _software(network, rows, repeats)
    logic: dict[int, tuple[float, bool]] = {}
    transfer = 0.0
    reconfigure: float | None = 0.0
    end = len(network.layers) - len(engine.after)
    if isinstance(engine, BoardEngine):
        engine.run(rows, timeout)  # the first batch of a size pays for buffers
        stages = engine.run(rows, timeout).stages
        transfer = (stages["pack"] + stages["transfer"]) / len(rows)
        modelled = engine.accelerator_is_modelled
        if len(engine.drivers) > 1:
            reconfigure = None if modelled else stages["reconfigure"] / len(rows)
        logic = {layer.layer: (layer.seconds / layer.pictures, modelled) for layer in engine.layers()}
        if not logic:  # all at once
            first = engine.first_on_logic
            found = _joined(found, first, end)
            logic = {first: (stages["accelerator"] / len(rows), modelled)}
    times = []
    for row in found:
        seconds, modelled = logic.get(row.layer, (None, False))
        where = "software tail" if row.layer >= end else "software" if seconds is None else "overlay"
        times.append(LayerTime(row.name, where, row.macs, row.seconds, seconds, modelled))
    return Profile(network.name, engine.name, tuple(times), len(rows), transfer, reconfigure)


def _software(network: Network, rows: np.ndarray, repeats: int) -> list[_Row]:
    """Every layer on the processor."""
    runs: list[list[float]] = []
    software = SoftwareEngine()
    with software:
        software.load(network)
        end = len(network.layers) - len(software.after)
        tail = compile_layers(software.after, network.signals[end:], end)
        for _ in range(repeats):
            result: EngineResult = software.run(rows)
            seconds = software.row_seconds(rows)
            values = result.values
            for kernel in (row.kernel for row in tail):
                seconds.append(np.zeros(len(kernel.rows)))
                values = kernel.run(values, seconds=seconds[-1])
            runs.append(np.concatenate(seconds).tolist())
        starts = [row.first + index for row in [*software.rows, *tail] for index in row.kernel.rows]
    medians = (np.median(runs, axis=0) / len(rows)).tolist()
    counted: Counter[str] = Counter()
    found = []
    for start, stop, spent in zip(starts, starts[1:] + [len(network.layers)], medians):
        working = [index for index in range(start, stop) if network.layers[index].weight_count]
        label = network.layers[start].label or network.layers[start].type
        first, last = counted[label], counted[label] + max(0, len(working) - 1)
        counted[label] += len(working)
        macs = sum(network.layers[index].macs(network.signals[index]) for index in range(start, stop))
        found.append(_Row(start, stop, f"{label}{first}" if first == last else f"{label} {first}-{last}", macs, spent))
    return found


def _joined(rows: list[_Row], first: int, end: int) -> list[_Row]:
    """The rows, with those of the logic made one."""
    inside = [row for row in rows if first <= row.layer < end]
    if len(inside) < 2:
        return rows
    one = _Row(first, end, f"{inside[0].name} to {inside[-1].name}", sum(row.macs for row in inside),
               sum(row.seconds for row in inside))
    return [row for row in rows if row.layer < first] + [one] + [row for row in rows if row.layer >= end]
