"""`profile`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def test_layers_are_listed_with_their_times(run: Any) -> None:
    ran = run("profile", "dorefa-w1a2-imagenette", "--board", "emulated", "--repeats", "1")
    assert ran.code == 0 and "conv0" in ran.out and "modelled" in ran.out and "emulated board" in ran.out
    found = run("profile", "dorefa-w1a2-imagenette", "--board", "emulated", "--repeats", "1", "--json").json
    assert [layer["where"] for layer in found["layers"]] == ["software", *["overlay"] * 6, "software tail"]
    assert found["macs"] == sum(layer["macs"] for layer in found["layers"]) and found["modelled"]


def test_a_picture_and_a_plot(run: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from PIL import Image

    Image.new("RGB", (90, 70), (10, 200, 30)).save(tmp_path / "green.png")
    plot = tmp_path / "layers.png"
    ran = run("profile", "dorefa-w1a2-imagenette", tmp_path / "green.png", "--board", "cpu", "--images", "3",
              "--repeats", "1", "--plot", plot)
    assert ran.code == 0 and "mean of 3" in ran.out
    assert Image.open(plot).size[0] > 100


def test_a_dense_network_is_one_row(run: Any, random_network: Path) -> None:
    ran = run("profile", random_network, "--board", "cpu", "--repeats", "1", "--json")
    assert len(ran.json["layers"]) == 1


def test_a_missing_picture_is_named(run: Any) -> None:
    ran = run("profile", "dorefa-w1a2-imagenette", "nothing.png", "--board", "cpu")
    assert ran.code == 3 and "nothing.png" in ran.err
