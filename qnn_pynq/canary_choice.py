"""Chooses known inputs that notice flipped weights, off line: greedily, by sampled single-bit flips.

    python -m qnn_pynq.canary_choice lfc-w1a1-mnist --inputs 256

Candidates are the network's self-test pictures and random ones of several kinds. Each sampled flip is put into a copy
of the network, and the software engine says which candidates answer otherwise. Then the candidate that notices most
flips which no chosen one notices is taken, again and again. The rates are measured on other flips than those that
the choice saw.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Sequence

import numpy as np

from .answers import known_answers
from .canary import CANARY_FILE, answered, weights_digest
from .catalogue import find_network
from .engines.layers import split_layers
from .errors import InputError
from .kernels import ConvStack
from .network import Conv, Dense, Network

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
    found: list[tuple[int, bool, int, int]] = []
    for index, layer in enumerate(network.layers):
        if not isinstance(layer, (Conv, Dense)) or layer.weight_bits != 1 or layer.thresholds is None:
            continue
        inputs = layer.inputs if isinstance(layer, Dense) else layer.kernel**2 * (layer.inputs // layer.groups)
        found.append((index, False, layer.outputs, inputs))
        found.append((index, True, layer.outputs, 16 * layer.thresholds.shape[1]))
    return found


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
    """The network with one bit turned round, 16-bit thresholds as the circuits keep them."""
    layer: Any = network.layers[flip.layer]
    if flip.thresholds:
        thresholds = layer.thresholds.copy()
        level, bit = divmod(flip.bit, 16)
        value = (int(thresholds[flip.output, level]) ^ 1 << bit) & 0xFFFF
        thresholds[flip.output, level] = (value ^ 0x8000) - 0x8000
        changed = replace(layer, thresholds=thresholds)
    else:
        weights = layer.weights.copy()
        row = weights[flip.output].reshape(-1)
        if isinstance(layer, Conv):  # each place of the kernel has bytes of its own
            place, bit = divmod(flip.bit, layer.inputs // layer.groups)
            row[place * layer.weights.shape[-1] + bit // 8] ^= np.uint8(1 << bit % 8)
        else:
            row[flip.bit // 8] ^= np.uint8(1 << flip.bit % 8)
        changed = replace(layer, weights=weights)
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
    if right.words is not None:
        for number, flip in enumerate(flips):
            found[number] = answered(flip_bit(network, flip), pictures).words != right.words
        return found
    # Maps in front of the flipped layer stay as they are.
    parts = split_layers(network)
    layers = parts.first + parts.middle
    before: dict[int, np.ndarray] = {}
    for number, flip in enumerate(flips):
        at = flip.layer
        if at not in before:
            before[at] = answered(replace(network, layers=layers[:at], selftest=None), pictures).codes  # type: ignore
        codes = before[at]
        rest = flip_bit(network, flip).layers[at : len(layers)]
        changed = ConvStack(rest, codes.shape[1], codes.shape[2]).run(codes)
        found[number] = (changed != right.codes).reshape(len(pictures), -1).any(axis=1)
    return found


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
    arrays = {"words": found.words} if found.words is not None else {"codes": found.codes}
    digest = np.frombuffer(weights_digest(network).encode("ascii"), np.uint8)
    with open(str(path), "wb") as file:
        np.savez_compressed(file, digest=digest, pictures=inputs, **arrays)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network")
    parser.add_argument("--inputs", type=int, default=256, help="how many to choose")
    parser.add_argument("--candidates", type=int, default=1024)
    parser.add_argument("--flips", type=int, default=1000, help="sampled for the choice, and as many for the rates")
    parser.add_argument("--out", type=Path, help="file to write; default: canary.npz in the network's folder")
    options = parser.parse_args(arguments)
    network = find_network(options.network)
    path = options.out or (network.path / CANARY_FILE if network.path is not None else None)
    if path is None:
        raise InputError("the network has no folder: give --out")
    pool = candidates(network, options.candidates)
    chosen = choose(detections(network, pool, sample_flips(network, options.flips)), options.inputs)
    inputs = np.ascontiguousarray(pool[chosen])
    write(network, inputs, path)
    # Ordinary pictures: the self-test's, and others like the candidates.
    rates = measure(network, inputs, sample_flips(network, options.flips, 1), candidates(network, 256, 1))
    print("{}: {} inputs of {} candidates in {}".format(network.name, len(inputs), len(pool), path))
    print("of {} other flips {:.1%} noticed; {:.1%} change an answer, {:.1%} do so and escape".format(*rates))


if __name__ == "__main__":
    main()
