"""The `.npz` of BNN-PYNQ's LFC training scripts: W, bias, beta, gamma, mean, inv_std of each layer."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Sequence, Union

import numpy as np

from ..contracts.network import Framing, Network
from ..errors import ConversionError
from ..files.npyfile import NPZ_ERRORS, BadArray, open_npz
from ..files.paths import path_text, shortened
from ..networks.dense import Dense
from .bnn_pynq import LFC_CLASSES, LFC_CODES, LFC_FOLDS, lfc_network, plain
from .folding import RULES, fold_dense

__all__ = ["import_finnthesizer"]

_NAMES = ("W", "bias", "beta", "gamma", "mean", "inv_std")
_OVERLAYS = {"w1a1": "lfcW1A1", "w1a2": "lfcW1A2"}
_DTYPES = ("float32", "float64", "float16", "int64", "int32", "int8")

_MOST = 32 << 20  # bytes of all arrays: the largest layers that fit, in float64, are 24 MB

PathLike = Union[str, "os.PathLike[str]"]


def import_finnthesizer(
    file: PathLike,
    name: str | None = None,
    classes: Sequence[str] | None = None,
    precision: str | None = None,
    rule: str = "exact",
    framing: Framing | str | None = "auto",
) -> Network:
    """Read a trained LFC network and fold its batch norm into thresholds.

    Parameters
    ----------
    file
        `.npz` with arr_0 .. arr_23: for each of four layers W (inputs, outputs), bias, beta, gamma, mean,
        inv_std. Smaller layers are padded to 832-1024-1024-1024-64.
    name
        Name of the network; by default made of the file's name.
    classes
        Class names; by default "0", "1", ...
    precision
        "w1a1" or "w1a2": the activations that it was trained for, which the file does not say.
    rule
        "exact", or "upstream" for upstream's bytes (see `folding.fold`; computed in float64).
    framing
        As in `import_bnn_pynq`.

    Raises
    ------
    ConversionError
        Not such a file; more than 64 classes; no precision given.
    """
    if precision not in _OVERLAYS:
        problem = (
            'precision {}: the file does not say, so give "w1a1" (1-bit activations) or "w1a2" (-1, 0, +1)'
        )
        raise ConversionError(problem.format(precision))
    if rule not in RULES:
        raise ConversionError('rule "{}": expected {}'.format(rule, " or ".join(RULES)))
    path = Path(path_text(file, "file {}: expected the path of an .npz file", ConversionError))
    kind = _OVERLAYS[precision]
    layers: list[Dense] = []
    side = 0
    with _Archive(path) as archive:
        width: int | None = None
        for index, (folds, codes) in enumerate(zip(LFC_FOLDS, LFC_CODES[kind])):
            weights, bias, beta, gamma, mean, inv_std = archive.layer(index, width)
            fan_in, width = weights.shape
            if fan_in > folds.inputs or width > folds.outputs:
                problem = "{}: layer {} is {} x {}: the LFC overlays hold at most {} x {}"
                raise ConversionError(problem.format(path, index, fan_in, width, folds.inputs, folds.outputs))
            if index == 0:
                side = math.isqrt(fan_in)
                if side * side != fan_in:
                    problem = "{}: layer 0 has {} inputs: expected the pixels of a square picture"
                    raise ConversionError(problem.format(path, fan_in))
            try:
                layer = fold_dense(
                    weights.T,
                    gamma,
                    beta,
                    mean,
                    inv_std,
                    bias,
                    input=codes[0],
                    accumulator=codes[1],
                    output=codes[2],
                    inputs=folds.inputs,
                    outputs=folds.outputs,
                    rule=rule,
                )
            except ConversionError as error:
                raise ConversionError(f"{path}: layer {index}: {error}") from None
            layers.append(layer)
    labels = tuple(str(index) for index in range(width or 0)) if classes is None else tuple(classes)
    if len(labels) != width or len(labels) > LFC_CLASSES:
        problem = "{} class names for the {} outputs of the last layer (at most {})"
        raise ConversionError(problem.format(len(labels), width, LFC_CLASSES))
    return lfc_network(
        kind,
        name or plain(path.stem),
        layers,
        labels,
        description=f"Imported from {path.name} for {kind}",
        provenance={"notes": f'imported from {path.name}, batch norm folded by the rule "{rule}"'},
        size=(side, side),
        framing=framing,
    )


class _Archive:
    """An `.npz` whose members are checked before they are unpacked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if not os.path.isfile(path):  # a pipe would be waited for
            problem = "is no .npz file: expected a regular one" if os.path.exists(path) else "is not there"
            raise ConversionError(f"{shortened(str(path))} {problem}")
        try:
            self._arrays = open_npz(path, _MOST)
        except NPZ_ERRORS as error:
            raise ConversionError(f"{path} is no .npz file: {error}") from None

    def __enter__(self) -> _Archive:
        count = sum(1 for name in self._arrays.files if name.startswith("arr_"))
        expected = len(LFC_FOLDS) * len(_NAMES)
        if count != expected:
            self._arrays.close()
            what = "; 53 would be a CNV network, which is not imported yet" if count == 53 else ""
            problem = "{} has {} arrays arr_0 ..: expected {} (four layers of {}){}"
            raise ConversionError(problem.format(self._path, count, expected, ", ".join(_NAMES), what))
        return self

    def __exit__(self, *_: object) -> None:
        self._arrays.close()

    def layer(self, index: int, inputs: int | None) -> list[np.ndarray]:
        """The six arrays of a layer, W as (inputs, outputs)."""
        weights = self._array(index, 0, (inputs, None))
        rest = [self._array(index, place, (weights.shape[1],)) for place in range(1, len(_NAMES))]
        return [weights] + rest

    def _array(self, layer: int, place: int, shape: Sequence[int | None]) -> np.ndarray:
        number = layer * len(_NAMES) + place
        where = f"{self._path}: arr_{number} ({_NAMES[place]} of layer {layer})"
        try:
            return self._arrays.array(f"arr_{number}", _DTYPES, shape)
        except KeyError:
            raise ConversionError(f"{where} is not there") from None
        except BadArray as error:
            raise ConversionError(f"{where} {error}") from None
        except NPZ_ERRORS as error:
            raise ConversionError(f"{where} cannot be read: {error}") from None
