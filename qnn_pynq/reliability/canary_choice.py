"""Chooses known inputs that notice flipped weights, off line: greedily, by sampled single-bit flips.

`tools/choose_canary.py` is the command.

Candidates are the network's self-test pictures and random ones of several kinds. Each sampled flip is put into a copy
of the network, and the software engine says which candidates answer otherwise. Then the candidate that notices most
flips which no chosen one notices is taken, again and again. The rates are measured on other flips than those that
the choice saw.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Sequence

import numpy as np

from ..contracts.network import Network
from ..networks.rows import compile_layers
from ..networks.summary import weights_digest
from .answers import known_answers
from .canary import answered

__all__ = ["Flip", "Rates", "candidates", "choose", "detections", "flip_bit", "measure", "sample_flips", "write"]


class Flip(NamedTuple):
    """One bit of what lies in the circuit: `bit` of neuron or channel `output` of `layer`'s weights or thresholds."""

    layer: int
    thresholds: bool
    output: int
    bit: int


class Rates(NamedTuple):
    """Single-bit flips that a set of inputs notices.

    Attributes
    ----------
    flips : int
        Sampled, not seen by the choice.
    detected : float
        Part of them that the inputs notice.
    harmful : float
        Part that changes the answer of at least one ordinary picture.
    escaped : float
        Part that does so, and is not noticed.
    """

    flips: int
    detected: float
    harmful: float
    escaped: float


def _places(network: Network) -> list[tuple[int, bool, int, int]]:
    """(layer, thresholds, outputs, bits of one output) of all that an overlay holds."""
    return [(index, *place) for index, layer in enumerate(network.layers) for place in layer.held()]


def sample_flips(network: Network, count: int, seed: int = 0) -> list[Flip]:
    """`count` flips, every bit of weights and thresholds equally likely."""
    places = _places(network)
    sizes = np.array([outputs * bits for _, _, outputs, bits in places], float)
    rng = np.random.RandomState(seed)
    flips = []
    for place in rng.choice(len(places), count, p=sizes / sizes.sum()):
        index, thresholds, outputs, bits = places[place]
        flips.append(Flip(index, thresholds, int(rng.randint(outputs)), int(rng.randint(bits))))
    return flips


def flip_bit(network: Network, flip: Flip) -> Network:
    """The network with one bit turned round."""
    changed = network.layers[flip.layer].flip(flip.thresholds, flip.output, flip.bit)
    return replace(network, layers=(*network.layers[: flip.layer], changed, *network.layers[flip.layer + 1 :]))


def candidates(network: Network, count: int, seed: int = 0) -> np.ndarray:
    """uint8 (at least `count`, pixels): the self-test's pictures, then noise, sparse and dense, coarse and fine."""
    rng = np.random.RandomState(seed)
    brought = known_answers(network)
    found = [] if brought is None else list(brought.pictures)
    height, width, channels = (*network.input.size, network.input.channels)
    levels = network.input.encoding.levels
    while len(found) < count:
        grain = rng.choice([1, 1, 2, 4])
        coarse = rng.randint(0, levels, (-(-height // grain), -(-width // grain), channels))
        noise = coarse.repeat(grain, 0).repeat(grain, 1)[:height, :width]
        noise = np.where(noise < levels * rng.uniform(0.2, 1), noise, (levels - 1) * rng.randint(2))
        if found and rng.rand() < 0.5:  # a picture, partly
            base = found[rng.randint(len(found))].reshape(noise.shape)
            noise = np.where(rng.rand(height, width, 1) < rng.uniform(0.1, 0.9), base, noise)
        found.append(noise.reshape(-1).astype(np.uint8))
    rows = np.ascontiguousarray(found, np.uint8)
    # Small files: no more grey levels than the first layer tells apart, or 16.
    coding = network.input.encoding
    if coding.kind == "threshold":
        return np.where(rows >= (coding.threshold or 0), np.uint8(255), np.uint8(0))
    return rows if levels < 256 else rows // 17 * np.uint8(17)


def detections(network: Network, pictures: np.ndarray, flips: Sequence[Flip]) -> np.ndarray:
    """bool (flips, pictures): which pictures are answered otherwise with which flip in the weights."""
    right = answered(network, pictures)
    found = np.zeros((len(flips), len(pictures)), bool)
    if right.kind != "codes":
        for number, flip in enumerate(flips):
            found[number] = _differ(answered(flip_bit(network, flip), pictures).values, right.values)
        return found
    # Maps in front of the flipped layer stay as they are.
    end = next((i for i, layer in enumerate(network.layers) if layer.tail), len(network.layers))
    before: dict[int, np.ndarray] = {}
    for number, flip in enumerate(flips):
        at = flip.layer
        if at not in before:
            features = replace(network, layers=network.layers[:at], selftest=None)
            before[at] = answered(features, pictures).values
        values = before[at]
        for row in compile_layers(flip_bit(network, flip).layers[at:end], network.signals[at:]):
            values = row.kernel.run(values)
        found[number] = _differ(values, right.values)
    return found


def _differ(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """bool (n,): where any value differs."""
    return np.asarray((values != others).reshape(len(values), -1).any(axis=1))


def choose(detected: np.ndarray, count: int) -> list[int]:
    """Candidates (columns) that together notice most flips (rows), greedily; then those that notice most at all."""
    left, chosen = detected.copy(), []
    total = detected.sum(axis=0)
    free = np.ones(detected.shape[1], bool)
    for _ in range(min(count, detected.shape[1])):
        gain = left.sum(axis=0) * (detected.shape[0] + 1.0) + total / (1.0 + total.max())
        best = int(np.where(free, gain, -1.0).argmax())
        chosen.append(best)
        free[best] = False
        left &= ~detected[:, best : best + 1]
    return chosen


def measure(network: Network, inputs: np.ndarray, flips: Sequence[Flip], pictures: np.ndarray) -> Rates:
    """How many flips `inputs` notice, and how many that harm one of the ordinary `pictures` they do not."""
    noticed = detections(network, inputs, flips).any(axis=1)
    harmful = detections(network, pictures, flips).any(axis=1)
    return Rates(len(flips), float(noticed.mean()), float(harmful.mean()), float((harmful & ~noticed).mean()))


def write(network: Network, inputs: np.ndarray, path: Path) -> None:
    """Store chosen inputs with their answers, as `Canary` reads them."""
    found = answered(network, inputs)
    arrays: dict[str, Any] = {found.kind: found.values}
    digest = np.frombuffer(weights_digest(network).encode("ascii"), np.uint8)
    with open(str(path), "wb") as file:
        np.savez_compressed(file, digest=digest, pictures=inputs, **arrays)
