"""Each thing that can be wrong with the installation is named, with its remedy."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faked_host import pc, z1

from qnn_pynq import kernels
from qnn_pynq.diagnosis import software as doctor_software
from qnn_pynq.diagnosis.host import Host
from qnn_pynq.diagnosis.software import (
    check_cache,
    check_disk,
    check_entry_points,
    check_kernels,
    check_numpy,
)
from qnn_pynq.errors import KernelError


def test_missing_and_old_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor_software._module("numpy", "no_such_module_at_all", "1", "x").status == "fail"
    fake: Any = type("Fake", (), {"__version__": "1.16.0"})
    monkeypatch.setattr(doctor_software, "import_module", lambda name: fake)
    assert check_numpy(Host()).status == "warn"


def test_a_forced_instruction_set() -> None:
    assert check_kernels(Host("/", {"QNN_PYNQ_ISA": "scalar"})).status == "warn"
    assert "QNN_PYNQ_ISA" not in check_kernels(Host("/", {})).value


def test_an_instruction_set_that_there_is_none_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong() -> str:
        raise KernelError("$QNN_PYNQ_ISA asks for 'foo'")

    monkeypatch.setattr("qnn_pynq.kernels.isa_active", wrong)
    found = check_kernels(Host())
    assert found.status == "fail" and "foo" in found.value and "unset QNN_PYNQ_ISA" in found.advice


@pytest.mark.parametrize(
    "built, has, status, advice",
    [
        (("scalar", "neon"), ("scalar", "neon"), "ok", ""),
        (("scalar",), ("scalar",), "warn", "without NEON"),
        (("scalar", "neon"), ("scalar",), "warn", "no SIMD variant fits"),
    ],
)
def test_an_extension_built_without_neon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built: Any, has: Any, status: str, advice: str
) -> None:
    monkeypatch.setattr(kernels, "isa_built", lambda: built)
    monkeypatch.setattr(kernels, "isa_supported", lambda: has)
    monkeypatch.setattr(kernels, "isa_active", lambda: has[-1])
    found = check_kernels(z1(tmp_path))
    assert found.status == status and advice in found.advice


def test_no_extension_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError("no _kernels")

    monkeypatch.setattr(doctor_software, "import_module", missing)
    found = check_kernels(Host())
    assert found.status == "fail" and "build_ext" in found.advice


def test_an_unwritable_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QNN_PYNQ_CACHE", str(tmp_path / "deep" / "cache"))
    assert check_cache(Host()).status == "ok"
    assert not (tmp_path / "deep").exists(), "a check must not make the folder"
    file = tmp_path / "file"
    file.write_text("in the way")
    monkeypatch.setenv("QNN_PYNQ_CACHE", str(file / "cache"))
    check = check_cache(Host())
    assert check.status == "warn" and "QNN_PYNQ_CACHE" in check.advice


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QNN_PYNQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=49 << 20))
    found = check_disk(pc(tmp_path))
    assert found.status == "warn" and found.value == f"49 MiB free at {tmp_path}" and found.advice
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=51 << 20))
    assert check_disk(pc(tmp_path)).status == "ok"


def test_a_card_that_became_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = str(doctor_software._PACKAGE)
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=os.ST_RDONLY if path == package else 0))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 30))
    found = check_disk(z1(tmp_path))
    assert found.status == "warn" and package in found.value and "remount" in found.advice
    assert check_disk(pc(tmp_path / "pc")).status == "ok", "on a PC an installation may well be read-only"
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=os.ST_RDONLY))
    assert check_disk(pc(tmp_path / "pc")).status == "warn"


def test_entry_points_that_pynq_would_not_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points: dict[str, list[Any]] = {}
    fake = SimpleNamespace(entry_points=lambda: points)
    monkeypatch.setattr(doctor_software, "import_module", lambda name: fake)
    found = check_entry_points(z1(tmp_path))
    assert found.status == "warn" and "pynq.overlays, pynq.notebooks" in found.value
    points["pynq.overlays"] = [SimpleNamespace(value="qnn_pynq.overlays")]
    points["pynq.notebooks"] = [SimpleNamespace(value="qnn_pynq.notebooks")]
    assert check_entry_points(z1(tmp_path)).status == "ok"
