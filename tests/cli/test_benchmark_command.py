"""`benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize("board", ["emulated", "cpu"])
def test_the_benchmark_splits_the_stages(run: Any, random_network: Path, board: str) -> None:
    arguments = ["benchmark", random_network, "--images", 100, "--repeat", 1, "--board", board]
    found = run(*arguments, "--json").json
    assert [entry["batch"] for entry in found["runs"]] == [1, 64, 100]
    for entry in found["runs"]:
        assert entry["images_per_second"] > 0
        assert ("accelerator" in entry["stages_seconds_per_image"]) == (board == "emulated")
        assert entry["accelerator_is_modelled"] == (board == "emulated")
    text = run(*arguments).out
    assert ("cycle model, not measured" in text) == (board == "emulated")


def test_the_modelled_time_does_not_depend_on_this_machine(run: Any, random_network: Path) -> None:
    arguments = [
        "benchmark",
        random_network,
        "--images",
        1000,
        "--repeat",
        1,
        "--board",
        "emulated",
        "--json",
    ]
    times = [entry["stages_seconds_per_image"]["accelerator"] for entry in run(*arguments).json["runs"]]
    assert times[-1] == pytest.approx(8.41e-6, rel=0.01)
    assert times[0] == pytest.approx(18e-6, rel=0.1)


@pytest.mark.parametrize("board", ["emulated", "cpu"])
def test_convolutional_networks_are_timed(run: Any, small: Path, board: str) -> None:
    ran = run("benchmark", small, "--repeat", 1, "--board", board, "--json")
    assert [entry["batch"] for entry in ran.json["runs"]] == [1, 64, 256]
    stages = ran.json["runs"][0]["stages_seconds_per_image"]
    assert "tail" in stages and ("first layer" in stages) == (board == "emulated")


def test_a_network_of_features_gives_no_labels_to_time(run: Any, features: Path) -> None:
    ran = run("benchmark", features, "--repeat", 1, "--board", "cpu")
    assert ran.code == 3 and "features" in ran.err, ran
