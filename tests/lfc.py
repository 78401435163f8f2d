"""Random and published LFC networks for the tests of packing, driver, twin and boards."""
from __future__ import annotations

import dataclasses
import gzip
from pathlib import Path
from typing import Any

import numpy as np

from qnn_pynq.catalogue import find_overlay
from qnn_pynq.networks import Decode, Dense, Encoding, InputSpec, Network
from qnn_pynq.overlay import Overlay


def overlay(kind: str = "w1a1", **changes: Any) -> Overlay:
    return dataclasses.replace(find_overlay(f"bnn-pynq-lfc-{kind}"), **changes)


def tiny(**changes: Any) -> Overlay:
    """The same circuit, smaller: tests of every address of a memory stay fast."""
    common = {"accumulator": "sum"}
    layers = [
        {"inputs": 64, "outputs": 16, "simd": 16, "pe": 4, "thresholds": 2, "input": "binary",
         "output": "ternary", **common},
        {"inputs": 16, "outputs": 64, "simd": 4, "pe": 8, "thresholds": 1, "input": "ternary",
         "output": "binary", **common},
    ]
    geometry = {"input_bits": 64, "output_bits": 64, "classes": 64, "layers": layers}
    return overlay("w1a2", geometry=geometry, **changes)


def network(circuit: Overlay, seed: int = 0, sizes: Any = None, classes: int = 10,
            hostile: bool = False) -> Network:
    """A random network for a circuit, whose pictures are a row of its inputs; `sizes` are inputs and the outputs of
    each layer.

    Hostile thresholds are any int32, unordered: the circuit keeps 16 bits of them.
    """
    rng = np.random.RandomState(seed)
    layers = []
    geometry = circuit.geometry["layers"]
    sizes = sizes or [geometry[0]["inputs"]] + [g["outputs"] for g in geometry]
    for limits, inputs, outputs in zip(geometry, sizes, sizes[1:]):
        packed = np.packbits(rng.randint(0, 2, (outputs, inputs)).astype(np.uint8), axis=1, bitorder="little")
        middle = inputs // 2 if limits["accumulator"] == "popcount" else 0
        spread = int(inputs ** 0.5) + 1
        thresholds = rng.randint(middle - spread, middle + spread, (outputs, limits["thresholds"]))
        if hostile:
            wild = rng.randint(-2**31, 2**31, thresholds.shape, dtype=np.int64)
            thresholds = np.where(rng.rand(*thresholds.shape) < 0.2, wild, thresholds)
        layers.append(Dense(inputs, outputs, packed, thresholds.astype(np.int32), 1,
                            limits["input"], limits["accumulator"], limits["output"]))
    spec = InputSpec((1, sizes[0]), 1, "as-is", None, Encoding("threshold", threshold=128))
    return Network(f"random-{seed}", "", "", (circuit.name,), spec, tuple(layers), Decode(),
                   tuple(str(number) for number in range(classes)))


def bits(images: int, inputs: int, seed: int = 0) -> np.ndarray:
    """(images, inputs) of 0 and 1."""
    return np.random.RandomState(seed).randint(0, 2, (images, inputs)).astype(np.uint8)


def run(driver: Any, values: np.ndarray) -> np.ndarray:
    """Words of (n, inputs) bits through a driver, in chunks of its capacity."""
    packed = np.packbits(values, axis=1, bitorder="little")
    return run_packed(driver, packed)


def run_packed(driver: Any, packed: np.ndarray) -> np.ndarray:
    words = []
    for first in range(0, len(packed), driver.capacity):
        chunk = packed[first:first + driver.capacity]
        view = driver.room(len(chunk))
        view[:] = 0
        view[:, :chunk.shape[1]] = chunk
        driver.start(len(chunk))
        words.append(driver.finish().copy())
    return np.concatenate(words)


def idx(path: Path) -> np.ndarray:
    """Pictures of an idx file, (n, 784) uint8."""
    raw = gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes()
    assert raw[:4] == b"\0\0\x08\x03"
    return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 784)


def mnist_bits(pictures: np.ndarray) -> np.ndarray:
    """The published binarisation: (n, 104) packed bits, pixel >= 128."""
    padded = np.zeros((len(pictures), 832), np.uint8)
    padded[:, :784] = pictures >= 128
    return np.packbits(padded, axis=1, bitorder="little")
