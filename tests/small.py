"""Whole networks for the tests of engines and classifier: random, tiny or of full size, or the published ones."""
from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import lfc
import numpy as np
import oracle

from qnn_pynq.convert.bnn_pynq import import_bnn_pynq
from qnn_pynq.networks import Decode, Encoding, Framing, InputSpec, Network

SPEC = InputSpec((28, 28), 1, "light-on-dark", Framing((20, 20), "mass"), Encoding("threshold", threshold=128))
WHOLE = dataclasses.replace(SPEC, framing=None)
CLOTHES = dataclasses.replace(SPEC, framing=Framing((28, 28), "box"))


def network(circuit: Any = None, seed: int = 0, classes: int = 10, levels: int = 1, table: bool = False,
            size: tuple[int, int] | None = None, **options: Any) -> Network:
    """A random network for a circuit (tiny by default, with pictures of 8 x 8)."""
    circuit = circuit or lfc.tiny()
    inputs = circuit.geometry["input_bits"]
    size = size or ((8, 8) if inputs == 64 else (28, 28))
    coding = Encoding("threshold", threshold=128)
    if table:
        rng = np.random.RandomState(seed)
        coding = Encoding("table", pixels=rng.randint(0, size[0] * size[1], inputs - 3).astype(np.uint16),
                          thresholds=rng.randint(0, 256, inputs - 3).astype(np.uint8))
    made = lfc.network(circuit, seed, classes=classes, **options)
    return Network(
        name=made.name, title="", description="", overlays=("bnn-pynq-lfc-w1a2",),
        input=InputSpec(size, 1, "light-on-dark", None, coding), layers=made.layers,
        decode=Decode(levels=levels), classes=made.classes,
    )


def pictures(count: int, net: Network, seed: int = 0) -> np.ndarray:
    """Random pictures, uint8 (count, pixels)."""
    return np.random.RandomState(seed).randint(0, 256, (count, net.input.pixels)).astype(np.uint8)


def bits(net: Network, rows: np.ndarray) -> np.ndarray:
    """The first layer's inputs, by the oracle."""
    coding = net.input.encoding
    return oracle.encode(rows, net.layers[0].inputs, coding.threshold, coding.pixels, coding.thresholds)


def words(net: Network, rows: np.ndarray) -> np.ndarray:
    """The oracle's output words."""
    return oracle.lfc_words(net.layers, bits(net, rows))


def answers(net: Network, rows: np.ndarray) -> np.ndarray:
    """The oracle's classes."""
    return oracle.decode(words(net, rows), len(net.classes), net.decode.levels)[0]


def published(golden: Path, kind: str) -> Network:
    """Upstream's MNIST network, "lfcW1A1" or "lfcW1A2", with the framing of MNIST."""
    net = import_bnn_pynq(golden / "bnn-pynq" / "params" / "mnist" / kind)
    return dataclasses.replace(net, input=SPEC)


def test_set(shared_data: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(pictures (10000, 784), labels) of an idx data set."""
    rows = lfc.idx(shared_data / name / "t10k-images-idx3-ubyte.gz")
    import gzip

    raw = gzip.open(str(shared_data / name / "t10k-labels-idx1-ubyte.gz")).read()
    return rows, np.frombuffer(raw, np.uint8, offset=8).astype(np.intp)


test_set.__test__ = False  # type: ignore[attr-defined]
