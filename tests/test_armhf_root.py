"""The script that tries the sdist on armhf: its usage here, the run itself by hand (root, qemu, a mirror)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "tools" / "armhf_root.sh"


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    "arguments, code", [(["--help"], 0), (["--flux"], 2), (["--root"], 2), (["--sdist", "gone.tar.gz"], 3)]
)
def test_usage(arguments: list[str], code: int) -> None:
    done = subprocess.run(["bash", str(SCRIPT)] + arguments, capture_output=True)
    assert done.returncode == code
    assert ("usage" in done.stdout.decode()) == (code == 0)
    assert bool(done.stderr) == (code != 0)
