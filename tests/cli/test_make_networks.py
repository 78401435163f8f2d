"""`import` and `train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from qnn_pynq.convert.bnn_pynq import export_bnn_pynq
from qnn_pynq.networks import load_network


@pytest.fixture
def parameters(random_network: Path, tmp_path: Path) -> Path:
    """A BNN-PYNQ parameter folder."""
    return Path(export_bnn_pynq(load_network(random_network), tmp_path / "lfcW1A1"))


def weights(network: Path) -> list[bytes]:
    return [layer.weights.tobytes() for layer in load_network(network).layers]


def test_bnn_pynq_parameters_become_a_network(
    run: Any, parameters: Path, random_network: Path, tmp_path: Path, picture: Path
) -> None:
    target = tmp_path / "imported"
    ran = run("import", "bnn-pynq", parameters, "-o", target)
    assert ran.code == 0 and str(target) in ran.out
    assert weights(target) == weights(random_network)
    assert load_network(target).name == "imported"
    arguments = [picture, "--board", "cpu", "--json"]
    answers = [run("classify", "-n", n, *arguments).json["pictures"][0]["scores"] for n in (target, random_network)]
    assert answers[0] == answers[1]


def test_names_and_class_names_can_be_given(run: Any, parameters: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("ant\nbee\n\n")
    target = tmp_path / "imported"
    ran = run("import", "bnn-pynq", parameters, "-o", target, "--classes", names, "--name", "insects", "--json").json
    assert ran["classes"] == ["ant", "bee"] and ran["network"] == "insects" and ran["path"] == str(target)


def test_nothing_is_overwritten_unasked(run: Any, parameters: Path, tmp_path: Path) -> None:
    target = tmp_path / "imported"
    assert run("import", "bnn-pynq", parameters, "-o", target).code == 0
    ran = run("import", "bnn-pynq", parameters, "-o", target)
    assert ran.code == 3 and str(target) in ran.err
    assert run("import", "bnn-pynq", parameters, "-o", target, "--overwrite").code == 0


def test_wrong_sources_leave_nothing_behind(run: Any, parameters: Path, tmp_path: Path) -> None:
    target = tmp_path / "imported"
    binary = tmp_path / "binary.txt"
    binary.write_bytes(b"\xff\xfe\x00")
    (tmp_path / "text.npz").write_text("no archive")
    for arguments in (
        ["bnn-pynq", tmp_path / "nowhere"],
        ["bnn-pynq", parameters, "--precision", "w1a2"],
        ["bnn-pynq", parameters, "--classes", tmp_path / "nowhere.txt"],
        ["bnn-pynq", parameters, "--classes", binary],
        ["finnthesizer", tmp_path / "nowhere.npz", "--precision", "w1a1"],
        ["finnthesizer", tmp_path / "text.npz", "--precision", "w1a1"],
        ["finnthesizer", tmp_path / "text.npz"],
    ):
        ran = run("import", *arguments, "-o", target)
        assert ran.code == 3 and ran.err.count("\n") == 1, ran
        assert not target.exists()
    assert run("import", "bnn-pynq", parameters, "-o", target, "--rule", "upstream").code == 2


def test_finnthesizer_archives_with_either_rule(run: Any, tmp_path: Path) -> None:
    random = np.random.RandomState(3)
    arrays = []
    for fan_in, outputs in ((784, 64), (64, 64), (64, 64), (64, 10)):
        arrays.append(random.uniform(-1, 1, (fan_in, outputs)).astype(np.float32))
        arrays += [random.normal(0, 1, outputs).astype(np.float32) for _ in range(2)]
        arrays.append((random.uniform(0.2, 2, outputs) * random.choice([-1, 1], outputs)).astype(np.float32))
        arrays.append(random.normal(0, np.sqrt(fan_in) / 2, outputs).astype(np.float32))
        arrays.append((1 / random.uniform(0.5, 2, outputs)).astype(np.float32))
    source = tmp_path / "trained.npz"
    np.savez(str(source), *arrays)
    for rule in ("exact", "upstream"):
        target = tmp_path / rule
        ran = run("import", "finnthesizer", source, "-o", target, "--precision", "w1a2", "--rule", rule, "--json")
        assert ran.code == 0, ran.err
        assert ran.json["overlays"] == ["bnn-pynq-lfc-w1a2"] and len(ran.json["classes"]) == 10
    first, second = (load_network(tmp_path / rule).layers[1].thresholds for rule in ("exact", "upstream"))
    assert first is not None and second is not None and not np.array_equal(first, second)


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of lying and of standing bars, in class-named folders."""
    folder = tmp_path_factory.mktemp("pictures") / "bars"
    random = np.random.RandomState(2)
    for name in ("lying", "standing"):
        (folder / name).mkdir(parents=True)
        for index in range(40):
            pixels = np.zeros((28, 28), np.uint8)
            place = random.randint(6, 20)
            pixels[place : place + 3, 4:24] = random.randint(180, 256)
            Image.fromarray(pixels if name == "lying" else pixels.T).save(str(folder / name / "{}.png".format(index)))
    return folder


@pytest.mark.slow
def test_a_network_is_trained_on_a_folder_and_used(run: Any, bars: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    target = tmp_path / "bars-net"
    ran = run("train", "lfc", bars, "-o", target, "--epochs", 8, "--seed", 5, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["classes"] == ["lying", "standing"] and ran.json["overlays"] == ["bnn-pynq-lfc-w1a1"]
    assert ran.json["accuracy"]["test"] >= 0.8
    answer = run("classify", bars / "lying" / "0.png", "-n", target, "--board", "emulated", "--json").json
    assert answer["pictures"][0]["label"] == "lying"
    again = run("train", "lfc", bars, "-o", target, "--epochs", 1)
    assert again.code == 3 and str(target) in again.err


@pytest.mark.slow
def test_a_convolutional_network_is_trained_on_a_folder_and_used(run: Any, bars: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    target = tmp_path / "bars-net"
    arguments = ["train", "dorefa", bars, "-o", target, "--seed", 5, "--size", 28, 28, "--json"]
    ran = run(*arguments, "--epochs", 3)
    assert ran.code == 0, ran.err
    assert ran.json["classes"] == ["lying", "standing"] and ran.json["overlays"] == ["qnn-mo-w1a2"]
    assert ran.json["accuracy"]["test"] >= 0.8
    for board in ("cpu", "emulated"):
        answer = run("classify", bars / "lying" / "0.png", "-n", target, "--board", board, "--json").json
        assert answer["pictures"][0]["label"] == "lying" and answer["pictures"][0]["probability"] > 0.5
    ran = run(*arguments[:3], "-o", tmp_path / "other", "--precision", "w1a1")
    assert ran.code == 3 and "w1a2" in ran.err


def test_what_cannot_be_trained_on_is_refused(run: Any, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    for source in (tmp_path / "nowhere", tmp_path):
        ran = run("train", "lfc", source, "-o", tmp_path / "net")
        assert ran.code == 3 and ran.err.count("\n") == 1 and not (tmp_path / "net").exists()


@pytest.mark.parametrize("name, accuracy", [("lfcW1A1", 0.9840), ("lfcW1A2", 0.9849)])
def test_the_published_parameters_give_the_published_accuracy(
    run: Any, name: str, accuracy: float, golden: Path, shared_data: Path, tmp_path: Path
) -> None:
    ran = run("import", "bnn-pynq", golden / "bnn-pynq" / "params" / "mnist" / name, "-o", tmp_path / "published")
    assert ran.code == 0, ran.err
    arguments = ["--data", shared_data / "mnist", "--board", "emulated", "--json"]
    assert run("evaluate", tmp_path / "published", *arguments).json["accuracy"] == accuracy
