"""Installing beside a real pynq leaves it, numpy and everything else as they are, also without --no-deps."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.pynq
def test_pip_would_install_this_package_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("pynq")
    if find_spec("wheel") is None:
        pytest.skip("no package wheel here")  # docs/board.md says what to do
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md"):
        shutil.copy(str(ROOT / name), str(tmp_path))
    left = shutil.ignore_patterns("*.so", "*.np[yz]", "__pycache__")
    for name in ("csrc", "notebooks", "overlays", "params", "qnn_pynq"):
        shutil.copytree(str(ROOT / name), str(tmp_path / name), ignore=left)
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--no-build-isolation", str(tmp_path)]
    done = subprocess.run(pip, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    said = done.stdout.decode()
    if "no such option: --dry-run" in said:
        pytest.skip("pip is older than 22.2")
    would = [line for line in said.splitlines() if line.startswith("Would install")]
    assert done.returncode == 0 and len(would) == 1 and would[0].startswith("Would install qnn"), said
    assert len(would[0].split()) == 3, said
