"""A trained DoReFa network with fewer bits in the weights of its first and its last layer; nothing is trained.

Whole weights are chosen so that the sums change least on training pictures, which is not where each weight changes
least: neighbouring pixels are alike, so that one weight makes up for what another is off.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Iterator, Sequence

import numpy as np

from ...contracts.layer import Layer
from ...errors import ConversionError
from ...networks.linear import Linear
from ...networks.maps import Conv
from .._torch import torch
from .integer import integer_codes

__all__ = ["nearest_sums", "requantised"]

_UNITS = np.linspace(0.3, 1.3, 41)  # of the unit with which the largest weight is just held
_SWEEPS = 30
_BATCH = 100
_PLACES = 250_000  # of sums that thresholds are fitted to


def requantised(layers: Sequence[Layer], pictures: np.ndarray, bits: int) -> tuple[Layer, ...]:
    """The layers with weights of `bits` bits, two's complement, in the convolution of pixels and in the tail.

    Parameters
    ----------
    layers
        Of a trained network: a convolution of pixels first, a dense tail that takes the mean over its map last.
    pictures : uint8 (N, H, W, channels)
        Training pictures, as the network sees them.

    Raises
    ------
    ConversionError
        The layers are of another kind.
    """
    first, tail = layers[0], layers[-1]
    if not isinstance(first, Conv) or first.weight_bits != 16 or first.invert is not None or first.groups != 1:
        raise ConversionError("the first layer is no convolution with 16-bit weights, groups 1 and nothing inverted")
    if not isinstance(tail, Linear) or tail.weight_bits != 8 or tail.thresholds is not None:
        raise ConversionError("the last layer is no dense tail with 8-bit weights and without thresholds")
    changed = (_requantised_first(first, pictures, bits), *layers[1:-1])
    return (*changed, _requantised_tail(tail, changed, pictures, bits))


def nearest_sums(
    weights: np.ndarray, covariance: np.ndarray, bits: int, shared: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Whole weights, and the units that they are multiples of, for the least variance of what the sums are off.

    Parameters
    ----------
    weights : float64 (rows, inputs)
    covariance : float64 (inputs, inputs)
        Of the inputs. A constant that sums are off does no harm: a threshold or a bias takes it.
    bits : int
        Of the whole weights, two's complement.
    shared : bool
        All rows have the same unit; else each has its own.

    Returns
    -------
    whole : int64 (rows, inputs)
    units : float64 (rows,)
    """
    least, largest = -(1 << bits - 1), (1 << bits - 1) - 1
    full = np.maximum(np.abs(weights).max(axis=1), 1e-12) / largest
    if shared:
        full = np.full_like(full, full.max())
    whole, units = np.zeros_like(weights), full
    lowest = np.full(len(weights), np.inf)
    for part in _UNITS:
        tried = _descend(weights, covariance, part * full, least, largest)
        off = weights - part * full[:, None] * tried
        variance = ((off @ covariance) * off).sum(axis=1)
        if shared:
            variance = np.full_like(variance, variance.sum())
        better = variance < lowest
        lowest = np.where(better, variance, lowest)
        whole, units = np.where(better[:, None], tried, whole), np.where(better, part * full, units)
    return whole.astype(np.int64), units


def _descend(weights: np.ndarray, covariance: np.ndarray, units: np.ndarray, least: int, largest: int) -> np.ndarray:
    """One weight after the other to where it serves best beside all others, until none moves."""
    whole: np.ndarray = np.clip(np.rint(weights / units[:, None]), least, largest)
    slopes = (weights - units[:, None] * whole) @ covariance
    spread = np.maximum(np.diag(covariance), 1e-12)
    for _ in range(_SWEEPS):
        moved = False
        for place in range(weights.shape[1]):
            wanted = np.clip(np.rint(whole[:, place] + slopes[:, place] / (units * spread[place])), least, largest)
            change = wanted - whole[:, place]
            if change.any():
                slopes -= (units * change)[:, None] * covariance[place]
                whole[:, place] = wanted
                moved = True
        if not moved:
            break
    return whole


def _requantised_first(layer: Conv, pictures: np.ndarray, bits: int) -> Conv:
    patches = np.concatenate(list(_patches(layer, pictures)))
    exact = layer.weights.reshape(layer.outputs, -1).astype(np.float64)
    whole, _ = nearest_sums(exact, np.cov(patches, rowvar=False), bits)
    patches = patches[:: len(patches) // _PLACES + 1]
    old, new = patches @ exact.T, patches @ whole.T.astype(np.float64)  # whole numbers: exact
    thresholds = map(_nearest_thresholds, old.T, new.T, layer.thresholds)
    return replace(
        layer, weights=whole.reshape(layer.weights.shape).astype(np.int16), thresholds=np.array(list(thresholds))
    )


def _patches(layer: Conv, pictures: np.ndarray) -> Iterator[np.ndarray]:
    """What the kernel sees at every place, float64 (places, inputs) in the order of the weights."""
    around = layer.padding
    for start in range(0, len(pictures), _BATCH):
        part = np.pad(pictures[start : start + _BATCH], ((0, 0), around, around, (0, 0)), "constant")
        x = torch.from_numpy(part).unfold(1, layer.kernel, layer.stride).unfold(2, layer.kernel, layer.stride)
        # (n, rows, columns, channels, ky, kx)
        yield x.permute(0, 1, 2, 4, 5, 3).reshape(-1, layer.kernel**2 * layer.inputs).double().numpy()


def _nearest_thresholds(old: np.ndarray, new: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Thresholds of the new sums that pass what the old ones passed, but for as few sums as can be."""
    order = np.argsort(new, kind="stable")
    old, new = old[order], new[order]
    # Cuts: sums from this place on pass. Equal ones pass together.
    cuts = np.concatenate([[0], np.flatnonzero(np.diff(new)) + 1, [len(new)]])
    levels = np.append(new, new[-1] + 1)[cuts]
    found = []
    for threshold in thresholds:
        passed = np.concatenate([[0], np.cumsum(old >= threshold)])
        lost = passed[cuts]
        gained = (len(new) - cuts) - (passed[-1] - lost)
        found.append(levels[(lost + gained).argmin()])
    return np.array(found, np.int32)


def _requantised_tail(tail: Linear, before: Sequence[Layer], pictures: np.ndarray, bits: int) -> Linear:
    maps = [integer_codes(before, pictures[start : start + _BATCH])[-1] for start in range(0, len(pictures), _BATCH)]
    channels = maps[0].shape[-1]
    exact = tail.weights.reshape(tail.outputs, -1, channels).astype(np.float64)
    if (exact != exact[:, :1]).any():
        raise ConversionError("the tail's weights differ from place to place: expected the mean over the map")
    sums = np.concatenate([part.sum(axis=(1, 2), dtype=np.float64) for part in maps])  # of each channel
    whole, units = nearest_sums(exact[:, 0], np.cov(sums, rowvar=False), bits, shared=True)
    bias = np.zeros(tail.outputs) if tail.bias is None else tail.bias.astype(np.float64)
    bias += tail.scale * (exact[:, 0] - units[:, None] * whole) @ sums.mean(axis=0)
    return replace(
        tail,
        weights=np.tile(whole, (1, exact.shape[1])).astype(np.int8),
        bias=bias.astype(np.float32),
        scale=float(tail.scale * units[0]),
    )
