"""The shipped networks answer as their provenance says, by the integers alone (plain numpy)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qnn_pynq.network import load_network
from qnn_pynq.train.data import load_dataset
from qnn_pynq.train.integer import evaluate

PARAMS = Path(__file__).resolve().parents[2] / "params"
MINIMUM = {
    "lfc-w1a1-mnist": 0.984,
    "lfc-w1a2-mnist": 0.985,
    "lfc-w1a1-fashion-mnist": 0.885,
    "lfc-w1a2-fashion-mnist": 0.890,
}


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
