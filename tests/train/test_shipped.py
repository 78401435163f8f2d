"""The shipped networks answer as their provenance says, and as the trained ones did, picture by picture."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qnn_pynq import Classifier
from qnn_pynq.catalogue import networks
from qnn_pynq.datasets.testsets import Labelled, find_test_set
from qnn_pynq.networks import load_network
from qnn_pynq.train.data import load_dataset
from qnn_pynq.train.lfc.integer import evaluate

PARAMS = networks()["lfc-w1a1-mnist"].parent  # in the package or in the checkout
MINIMUM = {
    "lfc-w1a1-mnist": 0.984,
    "lfc-w1a2-mnist": 0.985,
    "lfc-w1a1-fashion-mnist": 0.885,
    "lfc-w1a2-fashion-mnist": 0.890,
    "lfc-w1a1-sums-mnist": 0.9909,
    "lfc-w1a2-sums-mnist": 0.9914,
    "lfc-w1a1-sums-fashion-mnist": 0.9043,
    "lfc-w1a2-sums-fashion-mnist": 0.9085,
}
DOREFA = {
    "dorefa-w1a2-cifar10": 0.87,
    "dorefa-w1a2-imagenette": 0.80,
    "dorefa-w1a2-ends4-cifar10": 0.879,
    "dorefa-w1a2-ends4-imagenette": 0.85,
}
# sha256 of the test pictures as libjpeg-turbo decodes them; IJG's libjpeg gives other pixels (and 84.03 %).
DECODED = dict.fromkeys(
    ("dorefa-w1a2-imagenette", "dorefa-w1a2-ends4-imagenette"),
    "357cf6b8b41ffc77fca03674e0b2a8f9af3850d6b0068f737cb70c1d70a5b8d1",
)
# Test pictures whose class hangs on a code of the first layer at a float tie. 2033: the trained network's value is
# 1e-7 above the step from code 0 to code 1; with code 1 there the integer network gives the trained one's class.
TIES: dict[str, list[int]] = {"dorefa-w1a2-cifar10": [2033]}
# The middle layers of each run on the published overlay.
PUBLISHED = {"cpu": None, "emulated": "qnn-mo-w1a2"}
LOGS = Path(__file__).resolve().parents[2] / "training" / "logs"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MINIMUM))
def test_accuracy_on_the_test_set_is_the_quoted_one(
    name: str, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QNN_PYNQ_DATA", str(shared_data))
    network = load_network(PARAMS / name)
    test = load_dataset("fashion-mnist" if "fashion" in name else "mnist", "test")
    accuracy = float(np.mean(evaluate(network, test.pictures) == test.labels))
    assert accuracy == pytest.approx(network.provenance["accuracy"]["test"], abs=1e-6)
    assert accuracy >= MINIMUM[name]


@pytest.mark.parametrize("name", [name for name in sorted(MINIMUM) if "sums" in name])
def test_a_network_with_sums_is_the_one_with_levels_but_for_its_last_layer(name: str) -> None:
    sums, levels = load_network(PARAMS / name), load_network(PARAMS / name.replace("sums-", ""))
    for one, other in zip(sums.layers[:-1], levels.layers[:-1]):
        np.testing.assert_array_equal(one.weights, other.weights)
        np.testing.assert_array_equal(one.thresholds, other.thresholds)
    assert sums.layers[-1].output == "none" and sums.layers[-1].thresholds is None
    np.testing.assert_array_equal(sums.layers[-1].weights, levels.layers[-1].weights[:10])


@pytest.mark.parametrize("name", [name for name in sorted(DOREFA) if "ends4" in name])
def test_a_network_with_ends_of_four_bits_has_the_middle_of_the_trained_one(name: str) -> None:
    found, trained = load_network(PARAMS / name), load_network(PARAMS / name.replace("ends4-", ""))
    for one, other in zip(found.layers[1:-1], trained.layers[1:-1]):
        assert type(one) is type(other)
        for mine, theirs in zip(one.arrays(), other.arrays()):
            np.testing.assert_array_equal(mine, theirs)
    for layer in (found.layers[0], found.layers[-1]):
        assert layer.weights.min() >= -8 and layer.weights.max() <= 7
    assert np.abs(found.layers[0].thresholds).max() < 1 << 20
    assert set(found.overlays) == {"engine-z7020-32x2", "engine-z7020", "qnn-mo-w1a2"}


@pytest.mark.parametrize("name", [name for name in sorted(MINIMUM) if "sums" in name])
def test_probabilities_of_networks_with_sums_are_those_of_the_sums(name: str) -> None:
    network = load_network(PARAMS / name)
    with np.load(str(network.path / network.selftest)) as known:
        pictures, sums = known["pictures"], known["sums"].astype(np.float64)
    powers = np.exp(network.decode.scale * (sums - sums.max(axis=1, keepdims=True)))
    with Classifier(network, board="cpu") as classifier:
        np.testing.assert_array_equal(classifier.decision_function(pictures), sums)
        np.testing.assert_allclose(
            classifier.predict_proba(pictures), powers / powers.sum(axis=1, keepdims=True), rtol=1e-9
        )
        np.testing.assert_array_equal(classifier.predict(pictures), sums.argmax(axis=1))


@pytest.fixture(params=sorted(DOREFA))
def dorefa(request: Any, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Labelled]:
    """A network and its test set."""
    monkeypatch.setenv("QNN_PYNQ_DATA", str(shared_data))
    network = load_network(PARAMS / request.param)
    test = find_test_set(network)
    expected = DECODED.get(network.name)
    if expected and hashlib.sha256(test.pictures.tobytes()).hexdigest() != expected:
        pytest.skip("this machine's JPEG decoder gives other pixels than that of the training")
    return network, test


def trained_classes(name: str) -> np.ndarray:
    """What the trained network, or the one that was made of it, said of the test pictures when it was exported."""
    return np.array([int(digit) for digit in (LOGS / (name + ".classes.txt")).read_text() if digit.isdigit()])


@pytest.mark.slow
@pytest.mark.parametrize("board", ["cpu", "emulated"])
def test_dorefa_networks_answer_every_test_picture_as_the_trained_ones(
    dorefa: tuple[Any, Labelled], board: str
) -> None:
    network, test = dorefa
    with Classifier(network, board=board, overlay=PUBLISHED[board]) as classifier:
        answers = classifier.predict(test.pictures)
    differing = np.flatnonzero(answers != trained_classes(network.name))
    assert differing.tolist() == TIES.get(network.name, [])
    accuracy = float(np.mean(answers == test.labels))
    assert accuracy == pytest.approx(network.provenance["accuracy"]["test"], abs=1e-6)
    assert accuracy >= DOREFA[network.name]


@pytest.mark.slow
@pytest.mark.parametrize("board, count", [("cpu", 300), ("emulated", 60)])
def test_every_code_is_that_of_the_training_frameworks_integers(
    dorefa: tuple[Any, Labelled], board: str, count: int
) -> None:
    pytest.importorskip("torch", reason="training needs PyTorch")
    from qnn_pynq.train.dorefa.integer import integer_codes

    network, test = dorefa
    chosen = np.random.RandomState(5).permutation(len(test.labels))[:count]
    pictures = test.pictures[chosen]
    top, left = ((side - size) // 2 for side, size in zip(pictures.shape[1:3], network.input.size))
    middle = np.ascontiguousarray(
        pictures[:, top : top + network.input.size[0], left : left + network.input.size[1]]
    )
    found = integer_codes(network.layers, middle)
    with Classifier(network, board=board, overlay=PUBLISHED[board]) as classifier:
        np.testing.assert_array_equal(classifier.features(pictures), found[-2])
        np.testing.assert_array_equal(classifier.predict(pictures), found[-1].argmax(axis=1))
        np.testing.assert_allclose(classifier.decision_function(pictures), found[-1], rtol=1e-12)
    decided = ~np.isin(chosen, TIES.get(network.name, []))
    trained = trained_classes(network.name)[chosen]
    np.testing.assert_array_equal(found[-1].argmax(axis=1)[decided], trained[decided])
