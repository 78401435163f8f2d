"""Fixtures that find the real data sets and the golden vectors."""
from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _shared(folder: str) -> Path:
    """Folder `data` or `golden` under $QNN_PYNQ_DATA or beside the checkout."""
    bases = [ROOT.parent / "shared"]
    if os.environ.get("QNN_PYNQ_DATA"):
        chosen = Path(os.environ["QNN_PYNQ_DATA"])
        bases = [chosen, chosen.parent]
    for base in bases:
        if (base / folder).is_dir():
            return base / folder
    reason = "no {} folder in {}: set QNN_PYNQ_DATA".format(folder, " or ".join(map(str, bases)))
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
    raise AssertionError


@pytest.fixture(scope="session")
def shared_data() -> Path:
    return _shared("data")


@pytest.fixture(scope="session")
def golden() -> Path:
    return _shared("golden")


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache, networks or settings."""
    home = tmp_path_factory.getbasetemp() / "home"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    for name in ("QNN_PYNQ_PATH", "QNN_PYNQ_CACHE", "QNN_PYNQ_ISA"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def engine_netlist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The engine of 4 x 2 in cells of the chip, with the cells' models, as a folder of Verilog."""
    sys.path.insert(0, str(ROOT / "tools"))
    import engine_resources

    folder = tmp_path_factory.mktemp("netlist") / "sources"
    try:
        text = engine_resources.netlist(4, 2)
    except SystemExit as error:
        if os.environ.get("CI") or "not on the path" not in str(error):
            raise
        pytest.skip(str(error))
    shutil.copytree(str(ROOT / "tests" / "engine_bench" / "cells"), str(folder))
    (folder / "engine.v").write_text(text)
    return folder
