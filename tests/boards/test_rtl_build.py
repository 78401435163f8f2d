"""Compiling Verilog for the simulated board: once, whole, by one process; what is missing or wrong is said."""
from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from simulated import COPIER, MAGIC, NAME, copier, need_tools

from qnn_pynq.boards import open_board
from qnn_pynq.boards.rtl import build as building
from qnn_pynq.catalogue import cache_folder
from qnn_pynq.errors import BoardError, FetchError, MissingDependencyError

PROGRAM = """
import logging, sys
sys.path[:0] = {paths!r}
logging.basicConfig(level=logging.INFO)
from simulated import MAGIC, NAME, copier
from qnn_pynq.boards import open_board
with open_board("rtl") as board:
    board.configure(copier())
    print(hex(board.ip(NAME).read(MAGIC)))
"""


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    need_tools()


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QNN_PYNQ_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the copier, to be damaged."""
    shutil.copytree(str(COPIER), str(tmp_path / "sources"))
    return tmp_path / "sources"


def start() -> subprocess.Popen:
    """Another process that prints the copier's magic, from wherever this one has the package."""
    paths = [str(Path(__file__).resolve().parent), *(path or os.getcwd() for path in sys.path)]
    return subprocess.Popen([sys.executable, "-c", PROGRAM.format(paths=paths)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, universal_newlines=True)


def magic(overlay: Any) -> int:
    with open_board("rtl") as board:
        board.configure(overlay)
        return int(board.ip(NAME).read(MAGIC))


def test_a_second_board_takes_what_the_first_has_compiled(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "qnn_pynq")
    assert magic(copier()) == 0x434F5059
    caplog.clear()
    assert magic(copier()) == 0x434F5059
    assert "compiling" not in caplog.text


@pytest.mark.slow
def test_what_is_compiled_depends_on_sources_and_parameters(sources: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "qnn_pynq")
    magic(copier())
    text = (sources / "engine.v").read_text()
    (sources / "engine.v").write_text(text.replace("434f5059", "00000001"))
    assert magic(copier(sources)) == 1
    (sources / "engine.v").write_text(text)
    caplog.clear()
    assert magic(copier(sources)) == 0x434F5059  # the same bytes elsewhere: nothing to do
    assert "compiling" not in caplog.text


@pytest.mark.slow
def test_processes_that_want_the_same_circuit_compile_it_once(empty_cache: Path) -> None:
    running = [start() for _ in range(3)]
    told = [process.communicate(timeout=300) for process in running]
    assert [out.strip() for out, _ in told] == ["0x434f5059"] * 3, told
    assert sum("compiling engine" in err for _, err in told) == 1
    left = sorted(path.suffix for path in (empty_cache / "rtl").iterdir())
    assert left == [".lock", ".so"]


@pytest.mark.slow
def test_a_library_that_was_cut_short_is_compiled_again(tmp_path: Path) -> None:
    made = building.build(copier().rtl)
    (tmp_path / "short").write_bytes(b"\x7fELF")
    os.replace(str(tmp_path / "short"), str(made))  # the whole one may be in use in this process
    out, err = start().communicate(timeout=300)
    assert out.strip() == "0x434f5059" and made.stat().st_size > 10_000, err


@pytest.mark.parametrize("old, new, match", [
    ("endmodule", "", r"Verilator refuses engine from .*sources \(verilator ended with 1\)\n  %Error: engine\.v:\d+"),
    ("module engine", "module motor", "Verilator refuses engine"),
    ("assign m_bready = 1;", "assign m_bready = nothing;", "nothing"),
    pytest.param("m_wlast", "m_wlasts", "(?s)the C\\+\\+ compiler refuses.*m_wlast", marks=pytest.mark.slow),
])
def test_sources_that_the_tools_refuse_are_an_error_with_their_words(
        sources: Path, old: str, new: str, match: str) -> None:
    text = (sources / "engine.v").read_text()
    assert old in text
    (sources / "engine.v").write_text(text.replace(old, new))
    before = set(cache_folder().glob("rtl/*.so"))
    with pytest.raises(BoardError, match=match):
        magic(copier(sources))
    assert set(cache_folder().glob("rtl/*.so")) == before and not list(cache_folder().glob("rtl/.*-*"))


def test_a_parameter_that_the_circuit_does_not_have_is_refused() -> None:
    with pytest.raises(BoardError, match="Verilator refuses engine.*\n.*Q"):
        magic(copier(Q=1))


def test_a_folder_that_is_not_there_or_has_no_verilog_is_said(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="cannot be read from .*nowhere: No such file.*rtl.sources"):
        magic(copier(tmp_path / "nowhere"))
    with pytest.raises(BoardError, match="has no Verilog"):
        magic(copier(tmp_path))


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("QNN_PYNQ_CACHE", str(tmp_path / "file"))
    with pytest.raises(FetchError, match="cannot write .*QNN_PYNQ_CACHE"):
        magic(copier())


@pytest.mark.parametrize("variable, what", [("VERILATOR", "Verilator"), ("CXX", "a C\\+\\+ compiler")])
def test_a_tool_that_is_not_there_is_named_with_what_to_install(
        variable: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "/nowhere/tool")
    with pytest.raises(MissingDependencyError, match=f"needs {what}, and /nowhere/tool is not .*apt-get install"):
        open_board("rtl")


def test_a_verilator_that_is_too_old_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "verilator"
    old.write_text("#!/bin/sh\necho Verilator 4.038 2020-07-11 rev v4.036-114-g0cd4a57ad\n")
    old.chmod(0o755)
    monkeypatch.setenv("VERILATOR", str(old))
    with pytest.raises(MissingDependencyError, match="is Verilator 4.038.*needs Verilator 5.006 or newer"):
        open_board("rtl")


@pytest.mark.slow
def test_coverage_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    with open_board("rtl", coverage=tmp_path / "coverage") as board:
        board.configure(copier())
        board.ip(NAME).read(MAGIC)
        assert not list((tmp_path / "coverage").iterdir())
        board.reset()
        board.ip(NAME).read(MAGIC)
    files = list((tmp_path / "coverage").iterdir())
    assert len(files) == 2
    for file in files:
        text = file.read_text(errors="replace")
        assert "engine.v" in text and "toggle" in text and "line" in text
