"""`overlays`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from bitfiles import bit_file, hwh_file

from qnn_pynq.catalogue import overlays

OVERLAY = "bnn-pynq-lfc-w1a1"


def test_overlays_are_listed_and_shown(run: Any) -> None:
    assert OVERLAY in run("overlays").out
    rows = {row["name"]: row for row in run("overlays", "list", "--json").json["overlays"]}
    assert rows[OVERLAY]["files"] == "not fetched" and "Pynq-Z1" in rows[OVERLAY]["boards"]
    assert "BlackBoxJam_0" in run("overlays", "show", OVERLAY).out
    shown = run("overlays", "show", OVERLAY, "--json").json
    assert shown["ip"]["address"] == "0x43c00000" and len(shown["files"]["bitstream"]["sha256"]) == 64
    assert shown["files"]["bitstream"]["here"] == "not fetched"


@pytest.mark.parametrize("action", ["show", "fetch"])
def test_an_unknown_name_is_3_and_near_ones_are_named(run: Any, action: str) -> None:
    ran = run("overlays", action, "bnn-pynq-lfc")
    assert ran.code == 3 and not ran.out and OVERLAY in ran.err


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
    here = ", ".join(sorted([overlay, "engine-z7020-32x2"]))
    assert checks[".hwh files"] == {"name": ".hwh files", "status": "ok", "value": here, "advice": ""}

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


def test_the_multi_layer_overlays_are_listed_and_shown(run: Any) -> None:
    rows = {row["name"]: row for row in run("overlays", "--json").json["overlays"]}
    assert rows["qnn-mo-w1a2"]["kind"] == rows["qnn-mo-w1a3"]["kind"] == "qnn-mo"
    assert "QNN-MO-PYNQ W1A3" in run("overlays").out
    shown = run("overlays", "show", "qnn-mo-w1a3", "--json").json
    assert shown["geometry"]["activation_bits"] == 3
    assert "channel slices by address: " in run("overlays", "show", "qnn-mo-w1a3").out


def test_shipped_files_are_told_from_fetched_missing_and_damaged_ones(
    run: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("QNN_PYNQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("QNN_PYNQ_PATH", str(tmp_path))
    folder = tmp_path / "mine"
    contents = {"bit": bit_file("top;Version=2018.2"), "hwh": hwh_file("2018.2", inner='<MODULE INSTANCE="engine_0"/>')}
    folder.mkdir()
    document = json.loads((overlays()["engine-z7020"] / "overlay.json").read_text())
    document.update(name="mine", files={
        key: {"name": "mine." + end, "size": len(contents[end]), "sha256": hashlib.sha256(contents[end]).hexdigest()}
        for key, end in (("bitstream", "bit"), ("hwh", "hwh"))})
    (folder / "overlay.json").write_text(json.dumps(document))

    def state() -> str:
        return {row["name"]: row for row in run("overlays", "--json").json["overlays"]}["mine"]["files"]

    def doctor() -> Any:
        return {check["name"]: check for check in run("doctor", "--json").json["checks"]}["overlay files"]

    assert state() == "missing"
    assert doctor()["status"] == "warn" and "install qnn-pynq again" in doctor()["advice"]
    for end in ("bit", "hwh"):
        (folder / ("mine." + end)).write_bytes(contents[end])
    assert state() == "shipped" and "mine" in doctor()["value"].split(";")[0]
    described = run("overlays", "show", "mine", "--json").json
    assert described["bitstream"] == {"design": "top", "part": "7z020clg400", "idcode": "0x03727093",
                                      "tool": "Vivado 2018.2", "date": "2018/09/20 19:10:44"}
    shown = described["files"]["bitstream"]
    assert shown["here"] == str(folder / "mine.bit") and shown["urls"] == []
    assert str(folder / "mine.hwh") in run("overlays", "fetch", "mine").out
    (folder / "mine.bit").write_bytes(contents["bit"][::-1])
    assert state().startswith("damaged: ") and "install qnn-pynq again" in state()
    assert "install qnn-pynq again" in doctor()["advice"]
    ran = run("overlays", "fetch", "mine")
    assert ran.code == 3 and "no address" in ran.err
    (tmp_path / "stick").mkdir()
    for end in ("bit", "hwh"):
        (tmp_path / "stick" / ("mine." + end)).write_bytes(contents[end])
    assert run("overlays", "fetch", "mine", "--from", tmp_path / "stick").code == 0
    assert state() == "fetched"


def test_files_that_are_what_their_descriptor_says_and_no_bitstream_are_refused_with_what_they_are(
    run: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("QNN_PYNQ_PATH", str(tmp_path))
    folder = tmp_path / "mine"
    folder.mkdir()
    contents = {"bit": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4045675\n", "hwh": hwh_file()}
    document = json.loads((overlays()["engine-z7020"] / "overlay.json").read_text())
    document.update(name="mine", files={
        key: {"name": "mine." + end, "size": len(contents[end]), "sha256": hashlib.sha256(contents[end]).hexdigest()}
        for key, end in (("bitstream", "bit"), ("hwh", "hwh"))})
    (folder / "overlay.json").write_text(json.dumps(document))
    for end, content in contents.items():
        (folder / ("mine." + end)).write_bytes(content)
    rows = {row["name"]: row for row in run("overlays", "--json").json["overlays"]}
    assert rows["mine"]["files"].startswith("refused: ") and "a Git LFS pointer" in rows["mine"]["files"]
    assert run("overlays", "show", "mine", "--json").json["bitstream"] == {}
    ran = run("overlays", "fetch", "mine")
    assert ran.code == 3 and "git lfs pull" in ran.err
    checks = {check["name"]: check for check in run("doctor", "--json").json["checks"]}
    assert checks["overlay files"]["status"] == "warn" and "git lfs pull" in checks["overlay files"]["value"]
    assert "overlay.json" in checks["overlay files"]["advice"] and "mine" not in checks[".bit files"]["value"]


def test_the_list_says_of_each_what_was_verified(run: Any) -> None:
    out = run("overlays").out
    assert "engine-z7020-32x2, silicon: never" in out and "overlays show NAME" in out
    rows = {row["name"]: row for row in run("overlays", "--json").json["overlays"]}
    assert all(rows[name]["verified"]["silicon"] for name in ("bnn-pynq-lfc-w1a1", "engine-z7020-32x2"))

