"""`networks`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

OVERLAY = "bnn-pynq-lfc-w1a1"


@pytest.fixture(autouse=True)
def _path(random_network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QNN_PYNQ_PATH", str(random_network.parent))


def test_networks_are_listed(run: Any, random_network: Path) -> None:
    for arguments in (["networks"], ["networks", "list"]):
        assert "random-lfc" in run(*arguments).out
    found = {row["name"]: row for row in run("networks", "--json").json["networks"]}
    assert found["random-lfc"]["path"] == str(random_network)
    assert found["random-lfc"]["overlays"] == [OVERLAY] and found["random-lfc"]["test_accuracy"] is None


def test_a_broken_network_is_listed_as_broken(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "network.json").write_text("{")
    monkeypatch.setenv("QNN_PYNQ_PATH", str(tmp_path))
    assert "BROKEN" in run("networks").out
    rows = {row["name"]: row for row in run("networks", "--json").json["networks"]}
    assert "error" in rows["broken"]


def test_a_network_is_shown(run: Any, random_network: Path) -> None:
    ran = run("networks", "show", "random-lfc")
    assert ran.code == 0 and "highest-bit" in ran.out and str(random_network) in ran.out
    shown = run("networks", "show", random_network, "--json").json
    assert shown["classes"] == list("abcdefghij") and shown["input"]["encoding"]["bits"] == 784
    assert [layer["outputs"] for layer in shown["layers"]] == [1024, 1024, 1024, 64]


def test_the_path_of_a_network(run: Any, random_network: Path) -> None:
    assert run("networks", "path", "random-lfc").out == f"{random_network}\n"
    assert run("networks", "path", "random-lfc", "--json").json == {"path": str(random_network)}


@pytest.mark.parametrize("action", ["show", "path"])
def test_an_unknown_name_is_3_and_near_ones_are_named(run: Any, action: str) -> None:
    ran = run("networks", action, "random-lcf")
    assert ran.code == 3 and not ran.out and "random-lfc" in ran.err


def test_a_convolutional_network_is_listed_and_shown_with_its_layers(run: Any) -> None:
    name = "dorefa-w1a2-imagenette"
    rows = {row["name"]: row for row in run("networks", "--json").json["networks"]}
    row = rows[name]
    assert row["layers"] == 8 and row["overlays"] == ["engine-z7020-32x2", "qnn-mo-w1a2"] and row["test_accuracy"] > 0.8
    line = next(line for line in run("networks").out.splitlines() if line.startswith(name))
    assert "165.4 M" in line and "85.38 %" in line
    shown = run("networks", "show", name, "--json").json
    assert [layer["type"] for layer in shown["layers"]].count("conv") == 7
    assert shown["layers"][1]["runs_on"] == "overlay" and shown["layers"][0]["runs_on"] == "processor"
    assert shown["input"]["crop"] == {"short_side": 72, "filter": "lanczos"}
    assert shown["totals"]["macs"] == sum(layer["macs"] for layer in shown["layers"])
    out = run("networks", "show", name).out
    assert "largest-sum" in out and "16 x 16 x 128" in out and "Imagenette" in out


def test_a_plan_says_what_each_layer_costs(run: Any) -> None:
    name = "dorefa-w1a2-imagenette"
    plan = run("networks", "show", name, "--plan", "engine-z7020", "--json").json["plan"]
    assert plan["overlay"] == "engine-z7020"
    assert [row["layer"] for row in plan["layers"]] == [1, 3, 4, 6, 7, 9, 10]
    # 32 x 32 places, 2 row groups, 9 taps, 2 planes; then a pool of 9 taps, 2 planes and 16 x 16 places; of 4 pictures.
    assert plan["layers"][0]["cycles"] == pytest.approx((1024 * 2 * 9 * 2 + 256 * 9 * 2) / 4, rel=0.01)
    assert plan["layers"][0]["weight_words"] == 18 and plan["layers"][0]["bound"] == "array"
    assert plan["layers"][0]["load_bytes"] == 32 * 32 * 2 * 8 and plan["layers"][-1]["store_bytes"] == 20 * 8
    assert 0.85 < plan["layers"][1]["share"] <= 1
    out = run("networks", "show", name, "--plan", "engine-z7020").out
    assert "on engine-z7020" in out and "fc10" in out
    ran = run("networks", "show", "random-lfc", "--plan")
    assert ran.code != 0 and "no plans" in ran.err
    assert "plan" not in run("networks", "show", name, "--json").json
