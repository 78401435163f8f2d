"""`evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from qnn_pynq import Classifier

DOREFA = ["dorefa-w1a2-cifar10", "dorefa-w1a2-imagenette"]
NETWORKS = ["lfc-w1a1-mnist", "lfc-w1a2-mnist", "lfc-w1a1-fashion-mnist", "lfc-w1a2-fashion-mnist"]


@pytest.fixture
def test_set(tmp_path: Path) -> Path:
    random = np.random.RandomState(5)
    path = tmp_path / "set.npz"
    np.savez(str(path), images=random.randint(0, 256, (40, 28, 28)).astype(np.uint8), labels=np.arange(40) % 10)
    return path


def test_the_accuracy_is_the_classifiers(run: Any, random_network: Path, test_set: Path) -> None:
    with np.load(str(test_set)) as data, Classifier(str(random_network), board="cpu") as classifier:
        expected = classifier.evaluate(data["images"], data["labels"])
    arguments = ["evaluate", random_network, "--data", test_set, "--board", "emulated"]
    found = run(*arguments, "--compare", "--json").json
    assert found["accuracy"] == expected.accuracy and found["images"] == 40 and found["differing"] == 0
    assert found["confusion"] == expected.confusion.tolist() and found["test_set"] == str(test_set)
    assert found["accelerator_is_modelled"] and found["software"]["accuracy"] == expected.accuracy
    ran = run(*arguments, "--compare", "--confusion")
    assert ran.code == 0 and "modelled" in ran.out and "true class" in ran.out and str(test_set) in ran.out
    assert "differ on 0 of 40" in ran.out


def test_limit_takes_the_first_pictures(run: Any, random_network: Path, test_set: Path) -> None:
    found = run("evaluate", random_network, "--data", test_set, "--limit", 7, "--board", "cpu", "--json").json
    assert found["images"] == 7


def test_folders_of_pictures(run: Any, random_network: Path, tmp_path: Path) -> None:
    for name in ("a", "c"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for index in range(3):
            pixels = np.random.RandomState(index).randint(0, 256, (40, 50)).astype(np.uint8)
            Image.fromarray(pixels).save(str(tmp_path / "set" / name / f"{index}.png"))
    found = run("evaluate", random_network, "--data", tmp_path / "set", "--board", "cpu", "--json").json
    assert [sum(row) for row in found["confusion"]] == [3, 0, 3, 0, 0, 0, 0, 0, 0, 0]


def test_without_a_test_set_the_message_names_the_option(run: Any, random_network: Path, tmp_path: Path) -> None:
    ran = run("evaluate", random_network)
    assert ran.code == 3 and "--data" in ran.err
    ran = run("evaluate", random_network, "--data", tmp_path / "nowhere")
    assert ran.code == 3 and "nowhere" in ran.err and not ran.out


@pytest.mark.parametrize("name", NETWORKS)
def test_the_quoted_accuracy_is_reproduced_on_the_emulated_board(
    run: Any, name: str, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QNN_PYNQ_DATA", str(shared_data))
    ran = run("evaluate", name, "--board", "emulated", "--json")
    assert ran.code == 0, ran.err
    quoted = run("networks", "show", name, "--json").json["provenance"]["accuracy"]
    assert ran.json["images"] == 10000
    assert ran.json["accuracy"] == pytest.approx(quoted["test"], abs=5e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", DOREFA)
@pytest.mark.parametrize("board", ["cpu", "emulated"])
def test_the_quoted_accuracy_of_a_convolutional_network_is_reproduced(
    run: Any, name: str, board: str, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QNN_PYNQ_DATA", str(shared_data))
    ran = run("evaluate", name, "--board", board, "--json")
    assert ran.code == 0, ran.err
    quoted = run("networks", "show", name, "--json").json["provenance"]["accuracy"]
    assert ran.json["images"] == quoted["images"]
    # JPEG decoders differ in their pixels; tests/train/test_shipped.py compares where they do not.
    assert ran.json["accuracy"] == pytest.approx(quoted["test"], abs=0.005)


@pytest.mark.parametrize("board", ["emulated", "cpu"])
def test_convolutional_networks_are_evaluated(run: Any, small: Path, tmp_path: Path, board: str) -> None:
    random = np.random.RandomState(0)
    pictures = random.randint(0, 256, (12, 30, 20, 3)).astype(np.uint8)
    np.savez(str(tmp_path / "set.npz"), x_test=pictures, y_test=random.randint(0, 5, 12))
    arguments = ["evaluate", small, "--data", tmp_path / "set.npz", "--board", board, "--compare"]
    ran = run(*arguments, "--json")
    assert ran.code == 0 and ran.json["images"] == 12, ran.err
    assert "differ on 0 of 12" in run(*arguments).out


def test_a_network_of_features_has_no_accuracy(run: Any, features: Path, tmp_path: Path) -> None:
    np.savez(str(tmp_path / "set.npz"), x_test=np.zeros((2, 16, 16, 3), np.uint8), y_test=np.zeros(2, np.int64))
    ran = run("evaluate", features, "--data", tmp_path / "set.npz", "--board", "cpu")
    assert ran.code == 3 and "features" in ran.err, ran
