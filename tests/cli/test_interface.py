"""`qnn-pynq interface`."""
from __future__ import annotations

import json

import numpy as np
import pytest
from stream_circuits import EXAMPLES

from qnn_pynq.cli import main
from qnn_pynq.files.fields import write_json


@pytest.fixture
def described(tmp_path):
    path = tmp_path / "loopback.json"
    path.write_text(write_json(EXAMPLES["loopback"].to_json()))
    return path


def test_it_writes_the_folder_and_names_each_file(described, tmp_path, capsys):
    assert main(["interface", str(described), "--output", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7 and all((tmp_path / "out").joinpath(line).is_file() for line in lines)
    assert main(["interface", str(described), "-o", str(tmp_path / "out"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["name"] == "loopback" and len(said["files"]) == 6  # the author's file stays


def test_vectors_of_an_npz_file_are_for_the_bench(described, tmp_path):
    x = np.arange(6).reshape(2, 3) / 4
    known = tmp_path / "known.npz"
    np.savez(str(known), x=x, y=2 * x)
    assert main(["interface", str(described), "-o", str(tmp_path / "out"), "--vectors", str(known)]) == 0
    assert (tmp_path / "out" / "vectors.txt").read_text().splitlines() == [
        "samples 2", "0 256 512", "0 512 1024", "768 1024 1280", "1536 2048 2560"]


@pytest.mark.parametrize("vectors, message", [
    (None, "--vectors"),
    (99, "no .npz file of plain arrays (That compression method is not supported)"),
    ({"x": np.zeros((1, 3))}, "expected one array for each of x, y"),
    ({"x": np.zeros((1, 3)), "y": np.array([object()])}, "no .npz file of plain arrays"),
])
def test_wrong_vectors_are_refused_before_anything_is_written(described, tmp_path, capsys, vectors, message):
    path = tmp_path / "known.npz"
    if vectors is None:
        path.write_text("no archive")
    elif vectors == 99:
        np.savez(str(path), x=np.zeros(3))
        archive = bytearray(path.read_bytes())
        archive[8] = archive[archive.find(b"PK\1\2") + 10] = vectors
        path.write_bytes(archive)
    else:
        np.savez(str(path), **vectors)
    assert main(["interface", str(described), "-o", str(tmp_path / "out"), "--vectors", str(path)]) == 3
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_wrong_description_names_file_field_and_remedy(described, tmp_path, capsys):
    document = json.loads(described.read_text())
    document["inputs"][0]["type"] = "ap_fixed<16>"
    described.write_text(json.dumps(document))
    assert main(["interface", str(described), "-o", str(tmp_path / "out")]) == 3
    error = capsys.readouterr().err
    assert 'loopback.json: inputs[0].type: "ap_fixed<16>" is no type: expected ap_fixed<W,I>' in error
    assert main(["interface", str(tmp_path / "none.json"), "-o", str(tmp_path / "out")]) == 3
    assert "no such file" in capsys.readouterr().err
