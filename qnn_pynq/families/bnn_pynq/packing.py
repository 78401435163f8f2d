"""Words of dataflow overlays: weights and thresholds folded over PEs.

Word nf*SF+sf of PE pe holds the synapses sf*SIMD .. sf*SIMD+SIMD-1 of neuron nf*PE+pe, synapse s in
bit s; threshold t of that neuron is value nf*T+t of the PE.
"""
from __future__ import annotations

import numpy as np

from ...errors import InputError

__all__ = ["fold_thresholds", "fold_weights", "unfold_thresholds", "unfold_weights"]

_WORD = np.dtype("<u8")


def _folds(outputs: int, inputs: int, pe: int, simd: int) -> tuple[int, int]:
    if not 1 <= simd <= 64 or pe < 1 or outputs % pe or inputs % simd:
        raise InputError(f"{outputs} outputs of {inputs} inputs do not fold over {pe} PEs "
                         f"of {simd} SIMD lanes")
    return outputs // pe, inputs // simd


def fold_weights(weights: np.ndarray, inputs: int, pe: int, simd: int) -> np.ndarray:
    """Network form to PE memories.

    Parameters
    ----------
    weights : uint8 (outputs, ceil(inputs/8))
        Little-endian bit strings.
    inputs, pe, simd : int
        `outputs` is a multiple of pe, `inputs` of simd (1..64).

    Returns
    -------
    uint64 (pe, NF*SF)
        NF = outputs/pe, SF = inputs/simd.
    """
    weights = np.asarray(weights, dtype=np.uint8)
    outputs = len(weights)
    nf, sf = _folds(outputs, inputs, pe, simd)
    if weights.shape != (outputs, -(-inputs // 8)):
        raise InputError(f"weights of shape {weights.shape}: expected "
                         f"({outputs}, {-(-inputs // 8)}) for {inputs} inputs")
    words = np.zeros((pe, nf, sf, 8), dtype=np.uint8)
    if simd % 8 == 0:
        words[..., :simd // 8] = weights.reshape(nf, pe, sf, simd // 8).transpose(1, 0, 2, 3)
    else:
        bits = np.unpackbits(weights, axis=1, bitorder="little")[:, :inputs]
        packed = np.packbits(bits.reshape(nf, pe, sf, simd), axis=3, bitorder="little")
        words[..., :packed.shape[3]] = packed.transpose(1, 0, 2, 3)
    return words.view(_WORD).reshape(pe, nf * sf)


def unfold_weights(words: np.ndarray, inputs: int, pe: int, simd: int) -> np.ndarray:
    """PE memories uint64 (pe, NF*SF) to network form uint8 (outputs, ceil(inputs/8)).

    Bits above SIMD are dropped.
    """
    words = np.ascontiguousarray(words, dtype=_WORD)
    sf = inputs // simd
    if words.ndim != 2 or len(words) != pe or sf == 0 or words.shape[1] % sf:
        raise InputError(f"weight words of shape {words.shape}: expected ({pe}, a multiple of {sf})")
    nf = words.shape[1] // sf
    _folds(nf * pe, inputs, pe, simd)
    octets = words.view(np.uint8).reshape(pe, nf, sf, 8).transpose(1, 0, 2, 3)
    if simd % 8 == 0:
        return np.ascontiguousarray(octets[..., :simd // 8]).reshape(nf * pe, inputs // 8)
    bits = np.unpackbits(octets, axis=3, bitorder="little")[..., :simd]
    return np.packbits(bits.reshape(nf * pe, inputs), axis=1, bitorder="little")


def fold_thresholds(thresholds: np.ndarray, pe: int) -> np.ndarray:
    """(outputs, T) to PE memories (pe, NF*T), same dtype."""
    thresholds = np.asarray(thresholds)
    if thresholds.ndim != 2 or len(thresholds) % pe:
        raise InputError(f"thresholds of shape {thresholds.shape} do not fold over {pe} PEs")
    nf, count = len(thresholds) // pe, thresholds.shape[1]
    return np.ascontiguousarray(thresholds.reshape(nf, pe, count).transpose(1, 0, 2)).reshape(pe, nf * count)


def unfold_thresholds(values: np.ndarray, count: int) -> np.ndarray:
    """PE memories (pe, NF*count) to (outputs, count), same dtype."""
    values = np.asarray(values)
    if values.ndim != 2 or count < 1 or values.shape[1] % count:
        raise InputError(f"threshold values of shape {values.shape}: expected (PEs, a multiple of {count})")
    pe, nf = len(values), values.shape[1] // count
    return np.ascontiguousarray(values.reshape(pe, nf, count).transpose(1, 0, 2)).reshape(nf * pe, count)
