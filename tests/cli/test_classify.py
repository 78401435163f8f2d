"""`classify`."""

from __future__ import annotations

import dataclasses
import io
import sys
from pathlib import Path
from typing import Any

import pytest
import small_conv
from PIL import Image

from qnn_pynq import Classifier, catalogue, demo
from qnn_pynq.classifier.results import Prediction
from qnn_pynq.networks import Decode, save_network


@pytest.mark.parametrize("board", ["emulated", "cpu"])
def test_the_answer_is_the_classifiers(run: Any, random_network: Path, picture: Path, board: str) -> None:
    with Classifier(str(random_network), board=board) as classifier:
        expected = classifier.classify(str(picture))
    ran = run("classify", picture, "-n", random_network, "--board", board, "--json").json
    assert ran["network"] == "random-lfc" and ran["emulated"] == (board == "emulated") and ran["right"] is None
    (answer,) = ran["pictures"]
    assert answer["picture"] == str(picture) and answer["label"] == expected.label
    assert answer["scores"] == expected.scores.tolist() and answer["fired"] == expected.fired
    assert (answer["probability"] is None) == (board == "emulated")
    assert answer["accelerator_is_modelled"] == (board == "emulated")


def test_a_person_reads_label_score_and_board(run: Any, random_network: Path, picture: Path) -> None:
    ran = run("classify", picture, "-n", random_network, "--board", "emulated")
    head, line = ran.out.splitlines()
    assert ran.code == 0 and "emulated board" in head and "bnn-pynq-lfc-w1a1" in head
    assert line.startswith("bar.png") and "score" in line
    assert "software" in run("classify", picture, "-n", random_network, "--board", "cpu").out


def test_top_shows_the_best_classes(run: Any, random_network: Path, picture: Path) -> None:
    arguments = ["classify", picture, "-n", random_network, "--board", "cpu"]
    assert len(run(*arguments, "--top", 3).out.splitlines()) == 4
    (answer,) = run(*arguments, "--top", 99, "--json").json["pictures"]
    values = [value for _, value in answer["top"]]
    assert len(values) == 10 and values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(1)


def test_no_neuron_fired_is_said(
    run: Any, random_network: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(self: Classifier, source: Any) -> Prediction:
        import numpy as np

        return Prediction("a", 0, np.zeros(10, np.int8), False, self.class_names)

    monkeypatch.setattr(Classifier, "classify", nothing)
    assert "no neuron fired" in run("classify", picture, "-n", random_network, "--board", "cpu").out


def test_one_bad_picture_does_not_stop_the_others(
    run: Any, random_network: Path, picture: Path, tmp_path: Path
) -> None:
    empty, text = tmp_path / "empty.png", tmp_path / "text.png"
    empty.write_bytes(b"")
    text.write_text("no picture")
    ran = run(
        "classify",
        empty,
        "gone.png",
        text,
        tmp_path,
        picture,
        "-n",
        random_network,
        "--board",
        "cpu",
        "--json",
    )
    assert ran.code == 3
    answers = ran.json["pictures"]
    assert ["error" in answer for answer in answers] == [True, True, True, True, False]
    lines = ran.err.splitlines()
    assert len(lines) == 4 and all(line.startswith("qnn-pynq: error: ") for line in lines)
    for line, name in zip(lines, ("empty.png", "gone.png", "text.png", tmp_path.name)):
        assert name in line


def test_a_picture_from_standard_input(
    run: Any, random_network: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(picture.read_bytes()))
    monkeypatch.setattr(sys, "stdin", stream)
    arguments = ["-n", random_network, "--board", "cpu", "--json"]
    piped = run("classify", "-", *arguments).json["pictures"][0]
    assert piped["label"] == run("classify", picture, *arguments).json["pictures"][0]["label"]


def test_a_closed_standard_input_is_said(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    ran = run("classify", "-", "--board", "cpu")
    assert ran.code == 3 and "standard input is closed" in ran.err


def test_no_picture_is_wrong_usage_and_an_unknown_network_the_users_error(run: Any, picture: Path) -> None:
    ran = run("classify")
    assert ran.code == 2 and "--demo" in ran.err
    ran = run("classify", picture, "-n", "lfc-w1a1-mnits")
    assert ran.code == 3 and "lfc-w1a1-mnits" in ran.err


@pytest.mark.parametrize("board", ["cpu", "emulated"])
def test_convolutional_networks_answer_with_probabilities(run: Any, tmp_path: Path, board: str) -> None:
    folder = save_network(small_conv.small_network(0), tmp_path / "small")
    Image.new("RGB", (60, 40), (200, 30, 90)).save(str(tmp_path / "wall.jpg"))
    arguments = ["classify", tmp_path / "wall.jpg", "-n", folder, "--board", board, "--top", 3]
    (answer,) = run(*arguments, "--json").json["pictures"]
    values = [value for _, value in answer["top"]]
    assert values == sorted(values, reverse=True) and values[0] == answer["probability"] and sum(values) <= 1
    assert run(*arguments).out.count("probability") == 3


def test_a_network_of_features_has_no_labels(run: Any, tmp_path: Path, picture: Path) -> None:
    network = small_conv.small_network(0)
    network = dataclasses.replace(network, layers=network.layers[:-1], decode=Decode("features"), classes=())
    ran = run("classify", picture, "-n", save_network(network, tmp_path / "features"))
    assert ran.code == 3 and "features" in ran.err


def test_networks_without_demo_pictures_say_so(run: Any, random_network: Path) -> None:
    ran = run("classify", "--demo", "-n", random_network, "--board", "cpu")
    assert ran.code == 3 and "demo" in ran.err


def shipped(dataset: str) -> list[str]:
    return [name for name in sorted(catalogue.networks()) if name.endswith("a1-" + dataset)]


@pytest.mark.parametrize("dataset", demo.DATASETS)
def test_the_demo_pictures_are_classified_and_counted(run: Any, dataset: str) -> None:
    for name in shipped(dataset):
        ran = run("classify", "--demo", "-n", name, "--board", "emulated", "--json")
        answers = ran.json["pictures"]
        right = sum(answer["label"] == answer["expected"] for answer in answers)
        assert ran.code == 0 and len(answers) == 100 and ran.json["right"] == right
        assert right >= 70, name


def test_the_first_command_needs_no_name(run: Any) -> None:
    ran = run("classify", "--demo")
    assert ran.code == 0
    assert ran.out.splitlines()[-1].endswith("of 100 demo pictures right")
