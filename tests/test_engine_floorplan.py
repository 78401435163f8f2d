"""The floor plan and the choice of a seed: what place and route is given, and what is taken of it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "overlays" / "engine"

if not (FOLDER / "floorplan.py").is_file():
    pytest.skip("floorplan.py is in the checkout alone", allow_module_level=True)


def load(name, **names):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    vars(module).update(names)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("elements, vectors", [(4, 2), (16, 4), (32, 4)])
def test_every_block_ram_of_the_plan_has_a_place_of_its_own(elements, vectors):
    places = load("floorplan").plan(elements, vectors)
    # three of weights an element, one of thresholds a cluster, four a bank, four of buffers and program
    assert len(places) == 3 * elements + elements // 4 + 4 * vectors + 4
    assert len(set(places.values())) == len(places)
    # ten in each row of clock regions, whose middle tile has no block RAM; the outer columns are short
    rows = {1 + 52 * region + y for region in range(3) for y in (4, 9, 14, 19, 24, 30, 35, 40, 45, 50)}
    for x, y in places.values():
        assert y in rows and x in ((59, 93, 138, 167) + ((19, 48) if y > 105 else ()))


def test_cells_get_the_place_of_their_part(monkeypatch):
    monkeypatch.setenv("ELEMENTS", "16")
    monkeypatch.setenv("VECTORS", "4")
    given = {}
    names = {"e.a.chain[2].n.pe[3].m.m.rest.second.slice[0].words.0.0": "RAMB36E1_RAMB36E1",
             "e.a.chain[2].n.memory.0.0": "RAMB36E1_RAMB36E1", "e.a.chain[2].n.memory.0.1": "RAMB36E1_RAMB36E1",
             "e.s.ahead.0.0": "RAMB18E1_RAMB18E1", "e.l.buffer.$x": "SLICE_FFX"}

    def cell(name, kind):
        return name, SimpleNamespace(type=kind, setAttr=lambda key, value: given.update({name: (key, value)}))

    cells = [cell(name, kind) for name, kind in names.items()]
    plan = load("floorplan", ctx=SimpleNamespace(cells=cells)).plan(16, 4)
    x, y = plan["chain[2].n.pe[3].m.m.rest.second.slice[0]."]
    assert given.pop("e.a.chain[2].n.pe[3].m.m.rest.second.slice[0].words.0.0") == (
        "BEL", f"X{x}Y{y}/RAMB36_X0Y0.RAMB36E1")
    assert list(given) == ["e.a.chain[2].n.memory.0.0"]


def test_the_fastest_seed_that_routed_is_chosen(tmp_path):
    reports = []
    for seed, mhz in ((1, 99.5), (2, 120.25), (30, 101.0)):
        reports.append(tmp_path / f"seed-{seed}.json")
        reports[-1].write_text(json.dumps({"fmax": {"clk": {"achieved": mhz, "constraint": 100}}}))
    reports.append(tmp_path / "seed-4.json")  # did not route
    assert load("choose").fastest(reports) == ("2", 120.25)
    done = subprocess.run([sys.executable, str(FOLDER / "choose.py"), *map(str, reports)], capture_output=True,
                          text=True, check=True)
    assert (done.stdout, done.stderr) == ("2\n", "seed 2: 120.2 MHz\n")
    none = subprocess.run([sys.executable, str(FOLDER / "choose.py"), str(reports[-1])], capture_output=True, text=True)
    assert none.returncode and "none routed" in none.stderr
