"""Trained LFC -> network of our format, and the proof that both answer the same bits."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple, Sequence

import numpy as np

from ...contracts.network import Decode, Encoding, Framing, InputSpec, Network
from ...convert.folding import STEPS, fold_dense
from ...errors import ConversionError
from ...networks.dense import Dense
from .._torch import torch
from ..batchnorm import statistics
from ..decode import OUTPUTS
from .encoding import Table, encode
from .integer import integer_layers, table_of

__all__ = ["Check", "check_equal", "input_spec", "to_network"]

_TIE = 1e-6  # a float value this near its border may fall either way by rounding


class Check(NamedTuple):
    """Comparison of every neuron's output of every layer: unequal ones, and those of them at a float tie."""

    pictures: int
    neurons: int
    unequal: int
    ties: int

    def __str__(self) -> str:
        return "{} pictures, {} neuron outputs: {} unequal, {} of them float ties".format(*self)


def input_spec(table: Table, size: tuple[int, int], polarity: str, framing: Framing | None) -> InputSpec:
    """Descriptor of the input; a table of one threshold is written in the plain form."""
    if table.plain >= 0:
        encoding = Encoding("threshold", threshold=table.plain)
    else:
        encoding = Encoding("table", pixels=table.pixels, thresholds=table.thresholds)
    return InputSpec(size, 1, polarity, framing, encoding)


def to_network(
    model: Any,
    borders: np.ndarray,
    spec: InputSpec,
    classes: Sequence[str],
    name: str,
    title: str,
    description: str,
    scale: float,
    provenance: dict[str, Any],
) -> Network:
    """Fold the trained model; neuron level * C + c of the last layer is class c above border `level`."""
    ternary = model.ternary
    layers: list[Dense] = []
    for index, (dense, norm) in enumerate(zip(model.dense, model.norms)):
        gamma, beta, mean, inv_std = statistics(norm)
        layers.append(
            fold_dense(
                _signed(dense),
                gamma,
                beta,
                mean,
                inv_std,
                input="ternary" if ternary and index else "binary",
                accumulator="sum" if ternary else "popcount",
                output="ternary" if ternary else "binary",
            )
        )
    levels = len(borders)
    bias = model.bias.detach().cpu().double().numpy()
    layers.append(
        fold_dense(
            np.tile(_signed(model.last), (levels, 1)),
            1.0,
            0.0,
            np.repeat(np.asarray(borders, np.float64), len(bias)),
            1.0,
            np.tile(bias, levels),
            input="ternary" if ternary else "binary",
            accumulator="sum" if ternary else "popcount",
            output="binary",
            outputs=OUTPUTS,
        )
    )
    overlay = "bnn-pynq-lfc-w1a2" if ternary else "bnn-pynq-lfc-w1a1"
    decode = Decode("highest-bit", levels, scale)
    return Network(name, title, description, (overlay,), spec, tuple(layers), decode, tuple(classes), provenance)


def _signed(dense: Any) -> np.ndarray:
    weight = dense.weight.detach().cpu()
    return torch.copysign(torch.ones(()), weight).numpy()


def check_equal(model: Any, network: Network, borders: np.ndarray, pictures: np.ndarray, batch: int = 2000) -> Check:
    """Compare the integer network with the trained one, evaluated in float64, in every neuron of every layer.

    Raises
    ------
    ConversionError
        An output differs that is no float tie.
    """
    table = table_of(network)
    exact = _double(model)
    borders = np.asarray(borders, np.float64)
    steps = STEPS["ternary" if model.ternary else "binary"]
    neurons = unequal = ties = 0
    for start in range(0, len(pictures), batch):
        bits = encode(pictures[start : start + batch], table)
        ours = integer_layers(network, bits)
        x = torch.from_numpy(bits).double() * 2 - 1
        with torch.no_grad():
            for dense, norm, (_, out) in zip(exact.dense, exact.norms, ours):
                y = norm(_product(dense, x))
                fired = torch.stack([y >= step for step in steps]).sum(0)
                expected = (fired - 1 if model.ternary else fired * 2 - 1).numpy()
                near = torch.stack([(y - step).abs() < _TIE for step in steps]).any(0).numpy()
                neurons, unequal, ties = _count(neurons, unequal, ties, expected != out, near)
                # The next layer is compared on equal inputs.
                x = torch.from_numpy(out.astype(np.float64))
            sums = (_product(exact.last, x) + exact.bias).numpy()
        _, out = next(ours)
        y = (sums[:, None, :] - borders[None, :, None]).reshape(len(sums), -1)
        wrong = (y >= 0) != (out[:, : y.shape[1]] > 0)
        neurons, unequal, ties = _count(neurons, unequal, ties, wrong, np.abs(y) < _TIE)
    result = Check(len(pictures), neurons, unequal, ties)
    if unequal > ties:
        raise ConversionError(f"the integer network is not the trained one: {result}")
    return result


def _product(dense: Any, x: Any) -> Any:
    """Exact product with the signs of the weights, in float64."""
    return x @ torch.copysign(torch.ones((), dtype=torch.float64), dense.weight).t()


def _double(model: Any) -> Any:
    return copy.deepcopy(model).cpu().double().eval()


def _count(neurons: int, unequal: int, ties: int, wrong: np.ndarray, near: np.ndarray) -> tuple[int, int, int]:
    return neurons + wrong.size, unequal + int(wrong.sum()), ties + int((wrong & near).sum())
