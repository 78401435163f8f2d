"""What the engine takes of the chip, by yosys."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import engine_resources  # noqa: E402

pytestmark = pytest.mark.slow


def test_the_shipped_size_keeps_within_its_budget():
    try:
        found = engine_resources.totals(engine_resources.cells(32, 4))
    except SystemExit as error:
        if os.environ.get("CI") or "not on the path" not in str(error):
            raise
        pytest.skip(str(error))
    assert found["LUT"] <= 27_000
    assert found["RAMB36"] + found["RAMB18"] / 2 <= 126
    assert not (found["DSP"] or found["LUTRAM"] or found["SRL"])
