"""Measures the layers of a network, on the processor alone and on the engine that a classifier has."""

from __future__ import annotations

import numpy as np

from .engines import BoardEngine, ConvolutionEngine, Engine, SegmentedEngine, SoftwareEngine, is_convolutional
from .engines.tail import Tail
from .network import Conv, Linear, Network, Pool
from .profile import LayerTime, Profile

__all__ = ["measure_layers"]

def measure_layers(engine: Engine, rows: np.ndarray, repeats: int, deadline: float | None = None) -> Profile:
    """Profile of the network that `engine` is configured for.

    Parameters
    ----------
    engine : Engine
    rows : array (N, pixels)
        Prepared pictures, one batch.
    repeats : int
        Runs in software; the median of each layer counts.
    deadline : float, optional
        Seconds of each wait on hardware.

    Notes
    -----
    Layers of a dense network are computed in one go, on the logic as in software: they are one row.
    """
    network = engine.ready(rows)
    logic: dict[int, tuple[float, bool]] = {}
    transfer = 0.0
    reconfigure: float | None = 0.0
    if isinstance(engine, (BoardEngine, SegmentedEngine)):
        engine.run(rows, deadline=deadline)  # the first batch of a size pays for buffers
        stages = engine.run(rows, deadline=deadline).stages
        transfer = (stages["pack"] + stages["transfer"]) / len(rows)
        modelled = engine.accelerator_is_modelled
        if isinstance(engine, SegmentedEngine):
            reconfigure = None if modelled else stages["reconfigure"] / len(rows)
        if is_convolutional(network):
            logic = {layer.layer: (layer.seconds / layer.images, modelled) for layer in engine.layers()}
        else:
            logic = {0: (stages["accelerator"] / len(rows), modelled)}
    # Index, name, multiplications, and seconds of a picture on the processor.
    found = _convolutions(network, rows, repeats) if is_convolutional(network) else _dense(network, rows, repeats)
    times = []
    for index, name, macs, cpu in found:
        tail = isinstance(network.layers[index], Linear)
        seconds, modelled = logic.get(index, (None, False))
        where = "software tail" if tail else "software" if seconds is None else "overlay"
        times.append(LayerTime(name, where, macs, cpu, seconds, modelled))
    return Profile(network.name, engine.name, tuple(times), len(rows), transfer, reconfigure)


def _dense(network: Network, rows: np.ndarray, repeats: int) -> list[tuple[int, str, int, float]]:
    with SoftwareEngine() as software:
        software.configure(network)
        seconds = float(np.median([software.run(rows).stages["kernel"] for _ in range(repeats)]))
    macs = sum(layer.inputs * layer.outputs for layer in network.dense)
    name = "dense 0-{}".format(len(network.dense) - 1)
    return [(0, name, macs, seconds / len(rows))]


def _convolutions(network: Network, rows: np.ndarray, repeats: int) -> list[tuple[int, str, int, float]]:
    tail = Tail([layer for layer in network.layers if isinstance(layer, Linear)])
    maps, ends = [], []
    software = ConvolutionEngine()
    with software:
        software.configure(network)
        for _ in range(repeats):
            result = software.run(rows)
            assert software.layer_seconds is not None
            maps.append(software.layer_seconds)
            ends.append(np.zeros(len(tail.layers)))
            tail.run(result.codes, ends[-1])
    seconds = iter(np.median(maps, axis=0).tolist() + (np.median(ends, axis=0) / len(rows)).tolist())
    height, width = network.input.size
    found, convolutions, linears = [], 0, 0
    for index, layer in enumerate(network.layers):
        if isinstance(layer, Conv):
            found.append((index, "conv{}".format(convolutions), layer.macs(height, width), next(seconds)))
            convolutions += 1
        elif isinstance(layer, Linear):
            macs = layer.inputs * layer.outputs * (height * width if layer.pointwise else 1)
            found.append((index, "fc{}".format(linears), macs, next(seconds)))
            linears += 1
        if isinstance(layer, (Conv, Pool)):
            height, width = layer.output_size(height), layer.output_size(width)
    return found
