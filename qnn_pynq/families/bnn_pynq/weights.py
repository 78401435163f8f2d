"""What the LFC overlays accept, and the register program that writes a network into them."""
from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple, NoReturn, Sequence

import numpy as np

from ...contracts.network import Network
from ...contracts.overlay import Overlay
from ...contracts.program import PROGRAM_DTYPE, WAIT, WRITE
from ...errors import UnsupportedNetworkError
from ...networks.dense import Dense
from ..blocks.hls_control import CTRL, DONE, IDLE, START
from .packing import fold_thresholds, fold_weights

__all__ = ["FittedLayer", "check_network", "fit_layers", "least_cycles", "weight_program"]

class Target(IntEnum):
    """Registers of a memory write, byte offsets: the same file as `driver.Reg`."""

    DO_INIT = 0x28
    LAYER = 0x30
    MEM = 0x38
    IND = 0x40
    THRESH = 0x48
    VAL_LOW = 0x50
    VAL_HIGH = 0x54


class FittedLayer(NamedTuple):
    """A layer padded up to the geometry: uint8 (outputs, inputs/8), int16 (outputs, T)."""

    weights: np.ndarray
    thresholds: np.ndarray


def check_network(network: Network, overlay: Overlay) -> tuple[Dense, ...]:
    """The layers; refuse a network that the overlay cannot compute.

    Raises
    ------
    UnsupportedNetworkError
        Names layer, field and value, and what the overlay has.
    """
    def refuse(what: str) -> NoReturn:
        raise UnsupportedNetworkError(f"network {network.name} on overlay {overlay.name}: {what}")

    have = overlay.geometry["layers"]
    if len(network.layers) != len(have):
        refuse(f"{len(network.layers)} layers, the overlay has {len(have)}")
    layers: list[Dense] = []
    for number, (layer, limits) in enumerate(zip(network.layers, have)):
        if not isinstance(layer, Dense):
            refuse(f'layer {number}: type "{layer.type}", the overlay computes "dense"')
        for field in ("input", "accumulator", "output", "weight_bits"):
            value = getattr(layer, field, None)
            expected = limits.get(field, 1)  # the family's weights have one bit
            if value != expected:
                refuse(f"layer {number}: {field} {value!r}, the overlay computes "
                       f"{expected!r}; take an overlay for these activations and weights")
        for field in ("inputs", "outputs"):
            if not 1 <= getattr(layer, field) <= limits[field]:
                refuse(f"layer {number}: {field} {getattr(layer, field)}, the overlay has {limits[field]}")
        if layers and layer.inputs != layers[-1].outputs:
            refuse(f"layer {number}: inputs {layer.inputs}, layer {number - 1} gives {layers[-1].outputs}")
        layers.append(layer)
        shape = None if layer.thresholds is None else np.shape(layer.thresholds)
        if shape != (layer.outputs, limits["thresholds"]):
            refuse("layer {}: thresholds of shape {}, the overlay takes ({}, {})".format(
                number, shape, layer.outputs, limits["thresholds"]))
        if np.shape(layer.weights) != (layer.outputs, -(-layer.inputs // 8)):
            refuse(f"layer {number}: weights of shape {np.shape(layer.weights)}, "
                   f"{layer.outputs} outputs of {layer.inputs} inputs take "
                   f"({layer.outputs}, {-(-layer.inputs // 8)})")
    classes = len(network.classes)
    if classes > overlay.geometry["classes"]:
        refuse(f"classes: {classes}, the overlay has {overlay.geometry['classes']}")
    if network.output_neurons > layers[-1].outputs:
        refuse(f"{classes} classes of {network.decode.levels} levels need {network.output_neurons} output "
               f"neurons, the last layer has {layers[-1].outputs}")
    return tuple(layers)


def fit_layers(layers: Sequence[Dense], geometry: Sequence[Any]) -> list[FittedLayer]:
    """Pad layers up to the overlay's geometry so that every real neuron fires as before.

    Pad synapses have weight +1 and pad neurons the threshold 32767, which never fires: then a pad
    input is 0 and agrees with no popcount, and counts as -1 in a signed sum, for which the
    thresholds are lowered.
    """
    fitted = []
    for layer, limits in zip(layers, geometry):
        weights = np.full((limits["outputs"], limits["inputs"] // 8), 0xFF, np.uint8)
        whole, rest = divmod(layer.inputs, 8)
        weights[:layer.outputs, :whole] = layer.weights[:, :whole]
        if rest:
            weights[:layer.outputs, whole] = layer.weights[:, whole] | (0xFF << rest & 0xFF)
        # The circuit keeps 16 bits; in int32 the subtraction cannot wrap.
        real = np.asarray(layer.thresholds).astype(np.int64).astype(np.int16).astype(np.int32)
        if layer.accumulator == "sum":
            real = np.maximum(real - (limits["inputs"] - layer.inputs), -32768)
        thresholds = np.full((limits["outputs"], real.shape[1]), 32767, np.int16)
        thresholds[:layer.outputs] = real
        fitted.append(FittedLayer(weights, thresholds))
    return fitted


def least_cycles(geometry: Sequence[Any]) -> tuple[int, int]:
    """Cycles of the first picture, and of each further one, that the folding of the layers takes at least.

    A layer of `outputs / pe` folds of `inputs / simd` cycles ends its first fold with the last output of the layer
    before it, and has its other folds to do then; pictures follow each other at the pace of the slowest layer.
    """
    folds = [(limits["outputs"] // limits["pe"], limits["inputs"] // limits["simd"]) for limits in geometry]
    first = sum((count - 1) * cycles for count, cycles in folds) + folds[0][1]
    return first, max(count * cycles for count, cycles in folds)


def weight_program(fitted: Sequence[FittedLayer], geometry: Sequence[Any],
                   conservative: bool = False) -> np.ndarray:
    """Every memory write of a network, one program.

    The fast form sets doInit, layer and PE once and rewrites only what changes. The conservative
    form is the published sequence: nine writes and a wait (for done alone) per value.

    Returns
    -------
    ndarray of PROGRAM_DTYPE, shape (accesses,)
    """
    parts = [] if conservative else [_writes((Target.DO_INIT, 1))]
    for number, (layer, limits) in enumerate(zip(fitted, geometry)):
        words = fold_weights(layer.weights, limits["inputs"], limits["pe"], limits["simd"])
        values = fold_thresholds(layer.thresholds, limits["pe"]).view(np.uint16).astype(np.uint64)
        indices = np.arange(words.shape[1], dtype=np.uint32)
        count = np.uint32(limits["thresholds"])
        folds, threshs = np.divmod(np.arange(values.shape[1], dtype=np.uint32), count)
        for target, ind, thresh, value, wide in (
                (2 * number, indices, np.zeros_like(indices), words, limits["simd"] > 32),
                (2 * number + 1, folds, threshs, values, False)):
            if conservative:
                parts.append(_published(target, ind, thresh, value))
            else:
                parts += _fast(target, ind, thresh, value, wide)
    parts.append(_writes((Target.DO_INIT, 0)))
    return np.concatenate(parts)


def _writes(*pairs: tuple[int, int]) -> np.ndarray:
    return np.array([(WRITE, offset, value) for offset, value in pairs], PROGRAM_DTYPE)


def _fast(target: int, ind: np.ndarray, thresh: np.ndarray, value: np.ndarray,
          wide: bool) -> list[np.ndarray]:
    """One memory of one layer: value is uint64 (pe, n), ind and thresh are uint32 (n,)."""
    head = [(Target.LAYER, target), (Target.THRESH, 0)]
    columns: list[tuple[int, Any]] = [(Target.IND, ind)]
    if thresh.any():
        columns.append((Target.THRESH, thresh))
    columns.append((Target.VAL_LOW, value & np.uint64(0xFFFFFFFF)))
    if wide:
        columns.append((Target.VAL_HIGH, value >> np.uint64(32)))
    columns.append((CTRL, START))
    pes, n = value.shape
    block = np.empty((pes, 1 + n * (len(columns) + 1)), PROGRAM_DTYPE)
    block["op"][:, 0], block["offset"][:, 0], block["value"][:, 0] = WRITE, Target.MEM, np.arange(pes)
    _fill(block[:, 1:].reshape(pes, n, len(columns) + 1), columns, DONE | IDLE)
    return [_writes(*head), block.reshape(-1)]


def _published(target: int, ind: np.ndarray, thresh: np.ndarray, value: np.ndarray) -> np.ndarray:
    pes, n = value.shape
    block = np.empty((pes, n, 10), PROGRAM_DTYPE)
    _fill(block[:, :, :9], [
        (Target.DO_INIT, 1), (Target.LAYER, target), (Target.MEM, np.arange(pes)[:, None]), (Target.IND, ind),
        (Target.THRESH, thresh), (Target.VAL_LOW, value & np.uint64(0xFFFFFFFF)),
        (Target.VAL_HIGH, value >> np.uint64(32)), (CTRL, START)], DONE)
    block[:, :, 9] = np.array((WRITE, Target.DO_INIT, 0), PROGRAM_DTYPE)
    return block.reshape(-1)


def _fill(steps: np.ndarray, columns: Sequence[tuple[int, Any]], mask: int) -> None:
    """Write columns, then a wait for `mask`, into a view (pe, n, len(columns) + 1)."""
    for place, (offset, value) in enumerate(columns):
        steps["op"][:, :, place], steps["offset"][:, :, place] = WRITE, offset
        steps["value"][:, :, place] = value
    steps["op"][:, :, -1], steps["offset"][:, :, -1], steps["value"][:, :, -1] = WAIT, CTRL, mask
