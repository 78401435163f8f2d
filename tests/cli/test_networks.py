"""`networks` and `overlays`."""

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
    assert run("networks", "path", "random-lfc").out == "{}\n".format(random_network)
    assert run("networks", "path", "random-lfc", "--json").json == {"path": str(random_network)}


@pytest.mark.parametrize(
    "arguments",
    [
        ["networks", "show", "random-lcf"],
        ["networks", "path", "random-lcf"],
        ["overlays", "show", "bnn-pynq-lfc"],
        ["overlays", "fetch", "bnn-pynq-lfc"],
    ],
)
def test_an_unknown_name_is_3_and_near_ones_are_named(run: Any, arguments: list[str]) -> None:
    ran = run(*arguments)
    assert ran.code == 3 and not ran.out
    assert ("random-lfc" if arguments[0] == "networks" else OVERLAY) in ran.err


def test_overlays_are_listed_and_shown(run: Any) -> None:
    assert OVERLAY in run("overlays").out
    rows = {row["name"]: row for row in run("overlays", "list", "--json").json["overlays"]}
    assert rows[OVERLAY]["files"] == "not fetched" and "Pynq-Z1" in rows[OVERLAY]["boards"]
    assert "BlackBoxJam_0" in run("overlays", "show", OVERLAY).out
    shown = run("overlays", "show", OVERLAY, "--json").json
    assert shown["ip"]["address"] == "0x43c00000" and len(shown["files"]["bitstream"]["sha256"]) == 64
    assert shown["files"]["bitstream"]["here"] == "not fetched"


@pytest.mark.parametrize("overlay, folder", [(OVERLAY, "bnn-pynq"), ("qnn-mo-w1a2", "qnn-mo")])
def test_overlays_are_fetched_from_a_folder(
    run: Any, overlay: str, folder: str, golden: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("QNN_PYNQ_CACHE", str(tmp_path / "cache"))
    source = golden / folder / "bitstreams"
    ran = run("overlays", "fetch", overlay, "--from", source, "--json")
    assert ran.code == 0, ran.err
    files = {key: Path(path) for key, path in ran.json["files"].items()}
    assert sorted(files) == ["bitstream", "hwh"] and all(path.is_file() for path in files.values())
    assert str(files["hwh"]) in run("overlays", "fetch", overlay, "--from", source).out
    rows = {row["name"]: row for row in run("overlays", "--json").json["overlays"]}
    assert rows[overlay]["files"] == "fetched"
    assert run("overlays", "show", overlay, "--json").json["files"]["hwh"]["here"] == str(files["hwh"])

    checks = {check["name"]: check for check in run("doctor", "--json").json["checks"]}
    assert overlay in checks["overlay files"]["value"].split(";")[0]
    assert checks[".hwh files"] == {"name": ".hwh files", "status": "ok", "value": overlay, "advice": ""}

    files["bitstream"].write_bytes(b"spoilt")
    rows = {row["name"]: row for row in run("overlays", "--json").json["overlays"]}
    assert rows[overlay]["files"].startswith("damaged")
    checks = {check["name"]: check for check in run("doctor", "--json").json["checks"]}
    assert checks["overlay files"]["status"] == "warn" and "fetch" in checks["overlay files"]["advice"]


def test_a_folder_without_the_files_is_the_users_error(run: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("QNN_PYNQ_CACHE", str(tmp_path / "cache"))
    (tmp_path / "empty").mkdir()
    ran = run("overlays", "fetch", OVERLAY, "--from", tmp_path / "empty")
    assert ran.code == 3 and ran.err.startswith("qnn-pynq: error: ")
    assert ".bit" in ran.err and str(tmp_path / "empty") in ran.err


def test_off_line_it_says_line_by_line_which_file_to_put_where(run: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("QNN_PYNQ_CACHE", str(tmp_path / "cache"))
    ran = run("overlays", "fetch", OVERLAY, "--from", "http://127.0.0.1:9/")
    assert ran.code == 3 and ran.err.startswith("qnn-pynq: error: ")
    by_hand = [line for line in ran.err.splitlines() if line.startswith("  by hand: put ")]
    assert len(by_hand) == 2 and ".bit" in by_hand[0] and str(tmp_path / "cache") in by_hand[0]


def test_a_convolutional_network_is_listed_and_shown_with_its_layers(run: Any) -> None:
    name = "dorefa-w1a2-imagenette"
    rows = {row["name"]: row for row in run("networks", "--json").json["networks"]}
    row = rows[name]
    assert row["layers"] == 8 and row["overlays"] == ["qnn-mo-w1a2"] and row["test_accuracy"] > 0.8
    line = next(line for line in run("networks").out.splitlines() if line.startswith(name))
    assert "165.4 M" in line and "85.38 %" in line
    shown = run("networks", "show", name, "--json").json
    assert [layer["type"] for layer in shown["layers"]].count("conv") == 7
    assert shown["layers"][1]["runs_on"] == "overlay" and shown["layers"][0]["runs_on"] == "processor"
    assert shown["input"]["crop"] == {"short_side": 72, "filter": "lanczos"}
    assert shown["totals"]["macs"] == sum(layer["macs"] for layer in shown["layers"])
    out = run("networks", "show", name).out
    assert "largest-sum" in out and "16 x 16 x 128" in out and "Imagenette" in out


def test_the_multi_layer_overlays_are_listed_and_shown(run: Any) -> None:
    rows = {row["name"]: row for row in run("overlays", "--json").json["overlays"]}
    assert rows["qnn-mo-w1a2"]["kind"] == rows["qnn-mo-w1a3"]["kind"] == "qnn-mo"
    assert "QNN-MO-PYNQ W1A3" in run("overlays").out
    shown = run("overlays", "show", "qnn-mo-w1a3", "--json").json
    assert shown["geometry"]["activation_bits"] == 3
    assert "channel slices by address: " in run("overlays", "show", "qnn-mo-w1a3").out
