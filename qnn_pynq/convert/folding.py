"""Batch norm folded into integer thresholds.

A trained layer computes y = gamma * inv_std * (x + bias - mean) + beta of the dot product x of its +-1
weights, and fires threshold t iff y >= steps[t]. The circuit has weights, an integer accumulator and
integer thresholds, and fires iff threshold < accumulator. Where gamma is negative, the weights are negated
(`flip`), so that a larger accumulator always means a larger y.
"""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from ..errors import ConversionError
from ..networks.dense import Dense

__all__ = ["NEVER", "RULES", "STEPS", "fold", "fold_dense"]

RULES = ("exact", "upstream")
STEPS = {"binary": (0.0,), "ternary": (-0.5, 0.5)}
NEVER = 0x7FFF  # no 16-bit accumulator is above


def fold(
    gamma: Any,
    beta: Any,
    mean: Any,
    inv_std: Any,
    bias: Any = 0.0,
    *,
    fan_in: int,
    steps: Sequence[float],
    accumulator: str,
    pads: int = 0,
    rule: str = "exact",
) -> tuple[np.ndarray, np.ndarray]:
    """Fold the batch norm of one layer into thresholds.

    Parameters
    ----------
    gamma, beta, mean, inv_std, bias
        Per neuron, (outputs,), or one number for all.
    fan_in
        Inputs of a neuron, pads not counted.
    steps
        Borders of the activation, ascending: (0,) for 1 bit, (-0.5, 0.5) for -1, 0, +1.
    accumulator
        "popcount": (fan_in + x) / 2 agreeing bits, so x has the parity of fan_in. "sum": x itself.
    pads
        Pad synapses on top of `fan_in`, of weight +1 and input bit 0 (code -1), whatever the sign of gamma.
        They never agree, and lower a signed sum by one each.
    rule
        "exact": equal to the float rule, computed in float64 from left to right, on every x that can occur.
        "upstream": BNN-PYNQ's finnthesizer, byte for byte: off by one for negative gamma with "sum", and
        never firing on a tie (y equal to the step).

    Returns
    -------
    flip : bool (outputs,)
        Neurons whose weights must be negated.
    thresholds : int64 (outputs, len(steps))
        Within int16. A neuron that is constant (gamma 0) fires always or never.

    Raises
    ------
    ConversionError
        NaN, infinities that cancel, a fan-in over 16 bits; gamma 0 under "upstream".
    """
    borders = np.asarray(steps, dtype=np.float64)
    if (
        borders.ndim != 1
        or not borders.size
        or not np.all(np.isfinite(borders))
        or np.any(np.diff(borders) < 0)
    ):
        raise ConversionError(f"steps {steps} are not allowed: expected finite, ascending numbers")
    if fan_in < 1 or pads < 0 or fan_in + pads > 0x7FFF:
        raise ConversionError(f"fan-in {fan_in} + {pads} pads: expected 1 to 32767")
    if accumulator not in ("popcount", "sum"):
        raise ConversionError(f'accumulator "{accumulator}": expected "popcount" or "sum"')
    columns = _columns(gamma=gamma, beta=beta, mean=mean, inv_std=inv_std, bias=bias)
    if rule == "exact":
        return _fold_exact(columns, borders, fan_in, accumulator, pads)
    if rule == "upstream":
        return _fold_upstream(columns, borders, fan_in, accumulator, pads)
    raise ConversionError('rule "{}": expected {}'.format(rule, " or ".join(RULES)))


def _columns(**parameters: Any) -> dict[str, np.ndarray]:
    """The parameters as float64 (outputs, 1)."""
    arrays = {key: np.atleast_1d(np.asarray(value, dtype=np.float64)) for key, value in parameters.items()}
    count = max(len(array) for array in arrays.values())
    for key, array in arrays.items():
        if array.ndim != 1 or len(array) not in (1, count):
            raise ConversionError(f"{key} has shape {array.shape}: expected ({count},)")
        if np.any(np.isnan(array)):
            raise ConversionError(f"{key}[{int(np.flatnonzero(np.isnan(array))[0])}] is nan")
        arrays[key] = np.ascontiguousarray(np.broadcast_to(array, (count,))).reshape(-1, 1)
    return arrays


def _fold_exact(
    columns: dict[str, np.ndarray], steps: np.ndarray, fan_in: int, accumulator: str, pads: int
) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(over="ignore", under="ignore"):
        scale = columns["gamma"] * columns["inv_std"]
    flip = scale[:, 0] < 0
    sign = np.where(flip, -1.0, 1.0)[:, None]
    stride = 2 if accumulator == "popcount" else 1  # x comes in steps of 2 where every input is +-1
    values = 2 * fan_in // stride + 1

    def fires(index: np.ndarray) -> np.ndarray:
        """The float rule on the index-th smallest sign * x: monotone, since rounding is."""
        x = sign * (stride * index - fan_in)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            offset = x + columns["bias"] - columns["mean"]
            product = np.where((scale == 0) | (offset == 0), 0.0, scale * offset)
            y = product + columns["beta"]
        if np.any(np.isnan(y)):
            neuron = int(np.flatnonzero(np.isnan(y).any(axis=1))[0])
            raise ConversionError(f"neuron {neuron}: infinities cancel in its batch norm")
        return y >= steps

    # The smallest index that fires, by bisection; `values` where none does.
    low = np.zeros((len(scale), len(steps)), dtype=np.int64)
    high = np.full_like(low, values)
    while np.any(low < high):
        middle = (low + high) // 2
        fired = fires(np.minimum(middle, values - 1)) & (middle < values)
        open_ = low < high
        high = np.where(open_ & fired, middle, high)
        low = np.where(open_ & ~fired, middle + 1, low)
    # The accumulator counts these indices, from 0 or from the smallest sum.
    first = 0 if accumulator == "popcount" else -fan_in - pads
    return flip, low + (first - 1)


def _fold_upstream(
    columns: dict[str, np.ndarray], steps: np.ndarray, fan_in: int, accumulator: str, pads: int
) -> tuple[np.ndarray, np.ndarray]:
    scale = columns["gamma"] * columns["inv_std"]
    if np.any(scale == 0):
        neuron = int(np.flatnonzero(scale == 0)[0])
        raise ConversionError(
            f'neuron {neuron} has gamma 0, which upstream divides by: use rule="exact"'
        )
    sign = np.sign(columns["gamma"])
    theta = sign * ((columns["mean"] - columns["bias"]) + (steps - columns["beta"]) / scale)
    if np.any(np.isnan(theta)):
        raise ConversionError('infinities cancel in a batch norm: use rule="exact"')
    if accumulator == "popcount":
        rounded = np.trunc((fan_in + theta) / 2)
    else:
        rounded = np.where(sign > 0, np.floor(theta), np.ceil(theta)) - pads
    return sign[:, 0] < 0, np.clip(rounded, -0x8000, 0x7FFF).astype(np.int64)


def fold_dense(
    weights: Any,
    gamma: Any,
    beta: Any,
    mean: Any,
    inv_std: Any,
    bias: Any = 0.0,
    *,
    input: str,
    accumulator: str,
    output: str,
    inputs: int | None = None,
    outputs: int | None = None,
    rule: str = "exact",
) -> Dense:
    """A trained layer as a layer of our format, padded to the overlay's size.

    Parameters
    ----------
    weights
        Float (neurons, fan-in); w >= 0 counts as +1, the rest as -1.
    gamma, beta, mean, inv_std, bias, accumulator, rule
        As in `fold`.
    input, output
        Codes, as in `Dense`; `output` "binary" has its step at 0, "ternary" at -0.5 and +0.5.
    inputs, outputs
        Size after padding (default: none). Pad inputs arrive as bit 0 or code -1; pad neurons never fire.

    Raises
    ------
    ConversionError
        Wrong shapes, NaN, or padding to less than there is.
    """
    matrix = np.asarray(weights)
    if matrix.ndim != 2 or not matrix.size or matrix.dtype.kind not in "fiu":
        raise ConversionError(
            f"weights are {matrix.dtype} {matrix.shape}: expected numbers (neurons, fan-in)"
        )
    if np.any(np.isnan(matrix)):
        raise ConversionError("weights have nan")
    if output not in STEPS:
        raise ConversionError('output "{}": expected {}'.format(output, " or ".join(STEPS)))
    neurons, fan_in = matrix.shape
    width = fan_in if inputs is None else inputs
    height = neurons if outputs is None else outputs
    if width < fan_in or height < neurons:
        raise ConversionError(
            f"{neurons} neurons of {fan_in} inputs do not fit into {height} of {width}"
        )
    steps = STEPS[output]
    flip, found = fold(
        gamma,
        beta,
        mean,
        inv_std,
        bias,
        fan_in=fan_in,
        steps=steps,
        accumulator=accumulator,
        pads=width - fan_in,
        rule=rule,
    )
    if len(flip) not in (1, neurons):
        raise ConversionError(f"batch norm of {len(flip)} neurons for {neurons} neurons")
    bits = np.ones((height, width), dtype=np.uint8)
    if rule == "upstream":  # negates first, so that a weight of 0 stays +1
        bits[:neurons, :fan_in] = np.where(flip[:, None], -matrix, matrix) >= 0
    else:
        bits[:neurons, :fan_in] = (matrix >= 0) ^ flip[:, None]
    thresholds = np.full((height, len(steps)), NEVER, dtype=np.int32)
    thresholds[:neurons] = found
    packed = np.packbits(bits, axis=1, bitorder="little")
    return Dense(width, height, packed, thresholds, 1, input, accumulator, output)
