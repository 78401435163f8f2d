"""The command line in this process, and small networks and pictures to give it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Callable, NamedTuple

import numpy as np
import pytest
import small_conv
from PIL import Image

from qnn_pynq.cli import main
from qnn_pynq.networks import Decode, save_network


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """`run("networks", "--json")` -> exit code, standard output, standard error."""

    def call(*arguments: Any) -> Ran:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return call


def write_random_network(folder: Path, seed: int = 1, classes: tuple[str, ...] = tuple("abcdefghij")) -> Path:
    """A network folder for the LFC W1A1 overlay, as a user would write it by hand."""
    folder.mkdir(parents=True)
    random = np.random.RandomState(seed)
    layers = []
    for k, (inputs, outputs) in enumerate(((832, 1024), (1024, 1024), (1024, 1024), (1024, 64))):
        weights = random.randint(0, 256, (outputs, inputs // 8)).astype(np.uint8)
        np.save(str(folder / f"w{k}.npy"), weights)
        np.save(
            str(folder / f"t{k}.npy"),
            np.full((outputs, 1), inputs // 2 + (16 if k == 3 else 0), np.int32),
        )
        layers.append(
            {
                "type": "dense",
                "inputs": inputs,
                "outputs": outputs,
                "weights": f"w{k}.npy",
                "thresholds": f"t{k}.npy",
                "weight_bits": 1,
                "input": "binary",
                "accumulator": "popcount",
                "output": "binary",
            }
        )
    (folder / "network.json").write_text(
        json.dumps(
            {
                "format": "qnn-pynq-network",
                "version": 1,
                "name": folder.name,
                "overlays": ["bnn-pynq-lfc-w1a1"],
                "input": {"size": [28, 28], "encoding": {"kind": "threshold", "threshold": 128}},
                "layers": layers,
                "decode": {"rule": "highest-bit"},
                "classes": list(classes),
            }
        )
    )
    return folder


@pytest.fixture(scope="session")
def random_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_network(tmp_path_factory.mktemp("networks") / "random-lfc")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture file of a bright bar."""
    pixels = np.zeros((60, 80), np.uint8)
    pixels[10:50, 36:44] = 240
    path = tmp_path / "bar.png"
    Image.fromarray(pixels).save(str(path))
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A small convolutional network."""
    return save_network(small_conv.small_network(0), tmp_path / "small")


@pytest.fixture
def features(tmp_path: Path) -> Path:
    """The same without its last layer: features, no classes."""
    network = small_conv.small_network(0)
    network = dataclasses.replace(network, layers=network.layers[:-1], decode=Decode("features"), classes=())
    return save_network(network, tmp_path / "features")
