"""Trained DoReFa network -> layers of our format, and the proof that both give the same codes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...contracts.layer import Layer
from ...convert.folding import fold
from ...errors import ConversionError
from ...networks.linear import Linear
from ...networks.maps import Conv, Pool
from .._torch import torch
from ..batchnorm import statistics
from .integer import classes_of, integer_codes
from .model import LEVELS, MEAN, SPREAD, TOP_FIRST, TOP_TAIL, DoReFa

__all__ = ["STEPS", "Check", "check_equal", "to_layers"]

STEPS = (1 / 6, 3 / 6, 5 / 6)  # a value from here on has code 1, 2, 3
_TIE = 1e-6  # a float value this near a step may fall either way by rounding


class Check(NamedTuple):
    """Integer network against trained one: codes that differ, layer by layer on the same input, and classes.

    `unequal` and `ties` are by block; a tie is a float64 value within 1e-6 of a step, where
    float32 weights of the first block and float64 statistics are too coarse to decide.

    `logits` and `trained` are the outputs of both, float64 (N, classes).
    """

    pictures: int
    codes: tuple[int, ...]
    unequal: tuple[int, ...]
    ties: tuple[int, ...]
    classes: int
    logits: np.ndarray
    trained: np.ndarray

    def __str__(self) -> str:
        parts = [
            f"block {index}: {bad} of {all_} codes differ ({ties} at float ties)"
            for index, (all_, bad, ties) in enumerate(zip(self.codes, self.unequal, self.ties))
        ]
        return "{} pictures: {}; {} classes differ".format(self.pictures, ", ".join(parts), self.classes)


def _numbers(tensor: Any) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()


def _first(model: DoReFa) -> Conv:
    """The software convolution: 16-bit weights, centring and batch norm in its thresholds."""
    block = model.topology.blocks[0]
    weights = _numbers(model.weights[0]).transpose(0, 2, 3, 1)
    gamma, beta, mean, inverse = statistics(model.norms[0])
    slope = gamma * inverse
    if np.any(slope == 0):
        raise ConversionError("batch norm 0 has a factor of 0: expected other numbers")
    weights = weights * np.where(slope < 0, -1.0, 1.0)[:, None, None, None]
    scale = TOP_FIRST / np.maximum(np.abs(weights).reshape(len(weights), -1).max(axis=1), 1e-12)
    whole = np.rint(weights * scale[:, None, None, None])
    largest = int(255 * np.abs(whole).reshape(len(whole), -1).sum(axis=1).max())
    if largest >= 2**31:
        raise ConversionError(f"sums of the first layer reach {largest}: expected below 2**31")
    # value = slope * ((sum - offset) / (SPREAD * scale) - mean) + beta, of weights that slope's sign is in.
    offset = (whole.sum(axis=(1, 2)) * np.array(MEAN)).sum(axis=1)
    sign = np.where(slope < 0, -1.0, 1.0)
    border = sign[:, None] * mean[:, None] + (np.array(STEPS) - beta[:, None]) / np.abs(slope)[:, None]
    thresholds = np.ceil(border * (SPREAD * scale)[:, None] + offset[:, None])
    limit = 2**31 - 1
    return Conv(
        3,
        block.outputs,
        block.kernel,
        block.stride,
        (block.kernel // 2, block.kernel // 2),
        whole.astype(np.int16),
        np.clip(thresholds, -limit, limit).astype(np.int32),
        weight_bits=16,
        input_bits=8,
    )


def _signed(model: DoReFa, index: int) -> Conv:
    """An offloaded convolution: sign weights, batch norm in its thresholds."""
    block = model.topology.blocks[index]
    with torch.no_grad():
        signs = _numbers(model.kernel(index)).transpose(0, 2, 3, 1)
    inputs = signs.shape[3]
    gamma, beta, mean, inverse = statistics(model.norms[index])
    flip, thresholds = fold(
        gamma, beta, mean, inverse, fan_in=LEVELS * inputs * block.kernel**2, steps=STEPS, accumulator="sum"
    )
    if block.pool and flip.any():
        raise ConversionError(
            f"batch norm {index}: factor {gamma.min()} below 0 behind a maximum: expected positive ones"
        )
    signs = np.where(flip[:, None, None, None], -signs, signs)
    return Conv(
        inputs,
        block.outputs,
        block.kernel,
        block.stride,
        (block.kernel // 2, block.kernel // 2),
        np.packbits(signs > 0, axis=-1, bitorder="little"),
        # A strict border below a whole sum is that border plus 1, inclusive.
        np.clip(thresholds.astype(np.int64) + 1, -(2**15), 2**15 - 1).astype(np.int16),
    )


def _tail(model: DoReFa) -> Linear:
    """The mean over the map is in the weights, which repeat at each place."""
    side = model.topology.sizes()[-1]
    weights = _numbers(model.tail.weight)
    unit = float(np.abs(weights).max()) / TOP_TAIL or 1.0
    small = np.rint(weights / unit).astype(np.int8)
    return Linear(
        small.shape[1] * side * side,
        len(small),
        np.ascontiguousarray(np.tile(small, (1, side * side))),
        bias=_numbers(model.tail.bias).astype(np.float32),
        scale=unit / (LEVELS * side * side),
    )


def to_layers(model: DoReFa) -> tuple[Layer, ...]:
    """Layers of the integer network that decides as the trained one."""
    if model.floating:
        raise ConversionError("a float twin cannot be exported: expected a network with sign weights")
    layers: list[Layer] = []
    for index, block in enumerate(model.topology.blocks):
        layers.append(_signed(model, index) if index else _first(model))
        if block.pool:
            layers.append(Pool(3, 2, (0, 1)))
    layers.append(_tail(model))
    return tuple(layers)


def _block_ends(model: DoReFa) -> list[int]:
    """Index of each block's last layer."""
    ends, place = [], -1
    for block in model.topology.blocks:
        place += 2 if block.pool else 1
        ends.append(place)
    return ends


def check_equal(model: DoReFa, layers: tuple[Layer, ...], pictures: np.ndarray, batch: int = 100) -> Check:
    """Compare on uint8 pictures (N, size, size, 3); every block gets the integer network's codes.

    Classes are compared from picture to class, each network by itself. A network that was not settled
    (`DoReFa.settle`) differs by the rounding of its first and last weights.
    """
    ends = _block_ends(model)
    counts = np.zeros((3, len(ends)), np.int64)
    answers: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    model = model.exact()
    for start in range(0, len(pictures), batch):
        part = pictures[start : start + batch]
        found = integer_codes(layers, part)
        with torch.no_grad():
            pixels = torch.from_numpy(part).permute(0, 3, 1, 2).double()
            answers[0].append(found[-1])
            answers[1].append(model(pixels).numpy())
            for index, end in enumerate(ends):
                if index:
                    x = torch.from_numpy(found[ends[index - 1]]).permute(0, 3, 1, 2).float()
                else:
                    x = model.centred(pixels)
                values = model.values(index, x.contiguous(memory_format=torch.channels_last))
                codes = model.codes(values).permute(0, 2, 3, 1).numpy()
                scaled = (values * LEVELS + 0.5).permute(0, 2, 3, 1).numpy()
                wrong = codes != found[end]
                near = np.abs(scaled - np.rint(scaled)) < LEVELS * _TIE
                counts[:, index] += codes.size, wrong.sum(), (wrong & near).sum()
    total, unequal, ties = (tuple(int(n) for n in row) for row in counts)
    logits, trained = (np.concatenate(part) for part in answers)
    classes = int((classes_of(logits) != classes_of(trained)).sum())
    return Check(len(pictures), total, unequal, ties, classes, logits, trained)
