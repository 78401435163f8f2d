"""Builds the plug-in as any package is built, and installs it where the tests of this folder alone see it."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Callable, Iterator

import pytest

from qnn_pynq.contracts import families

PACKAGE = Path(__file__).resolve().parent / "package"
NAME = "qnn_pynq_mirror"


def install(source: Path, target: Path) -> None:
    """pip, without the network and without asking for what it needs."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation",
           "--disable-pip-version-check", "--target", str(target), str(source)]
    done = subprocess.run(pip, timeout=300, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the plug-in is installed into."""
    pytest.importorskip("wheel")
    place = tmp_path_factory.mktemp("plugin")
    shutil.copytree(str(PACKAGE), str(place / "source"))  # building writes beside what is built
    install(place / "source", place / "installed")
    return place / "installed"


@pytest.fixture(scope="module", autouse=True)
def installed(target: Path) -> Iterator[Path]:
    """The folder, on the path."""
    forget()
    sys.path.insert(0, str(target))
    yield target
    sys.path.remove(str(target))
    forget()


def forget() -> None:
    """What was found before the plug-in came, or of it."""
    families._family.cache_clear()
    families._part.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[0] == NAME]:
        del sys.modules[name]


@pytest.fixture(autouse=True)
def data(target: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of its overlay and networks, which is searched."""
    folder = target / NAME / "data"
    monkeypatch.setenv("QNN_PYNQ_PATH", str(folder))
    return folder


@pytest.fixture
def uninstalled(target: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Call it, and for the rest of the test the plug-in is not there."""
    def take_away() -> None:
        monkeypatch.setattr(sys, "path", [place for place in sys.path if place != str(target)])
        forget()

    yield take_away
    forget()


@pytest.fixture
def environment(target: Path, data: Path) -> dict[str, str]:
    """Of a process that sees the plug-in."""
    paths = [str(target), os.environ.get("PYTHONPATH", "")]
    return dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, paths)))
