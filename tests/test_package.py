"""The package as a whole: what importing it costs and what it offers."""
from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

import qnn_pynq


def run(code: str, **environment: str) -> str:
    keep = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "PYTHONPATH")}
    done = subprocess.run([sys.executable, "-c", code], env=dict(keep, **environment), timeout=60,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_public_name_can_be_imported() -> None:
    for name in qnn_pynq.__all__:
        assert getattr(qnn_pynq, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'classifier_of_cats'"):
        qnn_pynq.classifier_of_cats  # noqa: B018  # the access is the test


def test_importing_the_package_loads_no_heavy_module() -> None:
    code = ("import qnn_pynq, sys; "
            "print([m for m in ('numpy', 'pynq', 'torch', 'PIL', 'matplotlib') if m in sys.modules])")
    assert run(code) == "[]"


def test_importing_the_classifier_does_not_import_pynq_torch_or_matplotlib() -> None:
    code = ("from qnn_pynq import Classifier; import sys; "
            "print([m for m in ('pynq', 'torch', 'matplotlib', 'tqdm', 'pandas') if m in sys.modules])")
    assert run(code) == "[]"


def test_the_library_logs_under_one_name_and_says_nothing_by_default() -> None:
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("qnn_pynq").handlers)


def test_the_version_is_the_installed_one() -> None:
    try:
        from importlib.metadata import PackageNotFoundError, version
        installed = version("qnn-pynq")
    except PackageNotFoundError:
        pytest.skip("run from a checkout that is not installed")
    assert installed == qnn_pynq.__version__


def test_the_wheel_has_every_package_of_the_source() -> None:
    from configparser import ConfigParser
    from pathlib import Path

    root = Path(__file__).resolve().parent.parent
    if not (root / "setup.cfg").is_file() or not (root / "qnn_pynq").is_dir():
        pytest.skip("no source tree beside the tests")
    config = ConfigParser()
    config.read(str(root / "setup.cfg"))
    listed = set(config["options"]["packages"].split())
    found = {".".join(init.parent.relative_to(root).parts) for init in (root / "qnn_pynq").rglob("__init__.py")}
    assert listed - {"qnn_pynq.overlays", "qnn_pynq.params", "qnn_pynq.notebooks"} == found


def test_the_wheel_has_bitstreams_that_lie_beside_their_descriptors() -> None:
    from configparser import ConfigParser
    from fnmatch import fnmatch
    from pathlib import Path

    root = Path(__file__).resolve().parent.parent
    if not (root / "setup.cfg").is_file() or not (root / "qnn_pynq").is_dir():
        pytest.skip("no source tree beside the tests")
    config = ConfigParser()
    config.read(str(root / "setup.cfg"))
    patterns = [each.strip() for each in config["options.package_data"]["qnn_pynq.overlays"].split(",")]
    for name in ("overlay.json", "engine.bit", "engine.hwh"):
        assert any(fnmatch("engine-z7020/" + name, pattern) for pattern in patterns), name
