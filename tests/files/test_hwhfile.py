"""A .hwh is asked which tool and part it is of, from its first lines."""
from __future__ import annotations

import os
from pathlib import Path

import pytest
from bitfiles import bit_file, hwh_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qnn_pynq.errors import DescriptorError
from qnn_pynq.files.hwhfile import Handoff, read_handoff


def written(folder: Path, data: bytes) -> Path:
    path = folder / "x.hwh"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("data, expected", [
    (hwh_file(), Handoff("Vivado 2018.2", "7z020", "clg400")),
    (hwh_file("2022.1", "xczu7ev", "ffvc1156"), Handoff("Vivado 2022.1", "xczu7ev", "ffvc1156")),
    (b"<EDKSYSTEM/>", Handoff("", "", "")),
    (b"<EDKSYSTEM><MODULES><MODULE/></MODULES><SYSTEMINFO DEVICE='late'/></EDKSYSTEM>", Handoff("", "", "")),
    (hwh_file(inner="<MODULE/>" * 50_000), Handoff("Vivado 2018.2", "7z020", "clg400")),
])
def test_tool_and_part_are_told_where_they_are_said(tmp_path: Path, data: bytes, expected: Handoff) -> None:
    assert read_handoff(written(tmp_path, data)) == expected


@pytest.mark.parametrize("data, expected", [
    (b"", "is empty, and no .hwh: take the one that was exported with the .bit"),
    (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer, .*, and no .hwh: run 'git lfs"),
    (b"<!DOCTYPE html><html><br></html>", "is an HTML page, and no .hwh: "),
    (bit_file(), "is a .bit file, and no .hwh: take the one that was exported with the .bit"),
    (b"<EDKSYSTEM>\0</EDKSYSTEM>", r"is no .hwh \(it has entities of its own, or is no UTF-8\): take the one that was"),
    (b"<?xml version='1.0'?><project/>", r"is no .hwh \(its root is project, expected EDKSYSTEM\)"),
    (b"<?xml version='1.0'?>", r"is no .hwh \(its root is missing, expected EDKSYSTEM\)"),
    (b'<?xml version="1.0" encoding="UUTF-8"?><a/>', "is no .hwh"),
    (b'<!DOCTYPE a [<!ENTITY b "c">]><EDKSYSTEM/>', r"is no .hwh \(it has entities of its own"),
])
def test_what_is_no_hwh_is_refused_with_what_it_is(tmp_path: Path, data: bytes, expected: str) -> None:
    with pytest.raises(DescriptorError, match="x.hwh " + expected):
        read_handoff(written(tmp_path, data))


def test_pipes_and_what_is_not_there_are_refused(tmp_path: Path) -> None:
    os.mkfifo(str(tmp_path / "x.hwh"))
    for path in (tmp_path / "x.hwh", tmp_path / "none.hwh", tmp_path):
        with pytest.raises(DescriptorError, match="no regular file"):
            read_handoff(path)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(hwh_file())), st.binary(max_size=8))
def test_damage_anywhere_gives_a_handoff_or_one_of_our_errors(tmp_path: Path, at: int, patch: bytes) -> None:
    data = hwh_file()
    path = written(tmp_path, data[:at] + patch + data[at + len(patch):])
    try:
        assert isinstance(read_handoff(path), Handoff)
    except DescriptorError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize("name, tool", [("bnn-pynq/bitstreams/lfcW1A1-pynqZ1-Z2.hwh", "2019.2"),
                                        ("qnn-mo/bitstreams/W1A2-pynqZ1-Z2.hwh", "2017.4"),
                                        ("qnn-mo/bitstreams/W1A3-pynqZ1-Z2.hwh", "2017.4")])
def test_published_handoffs_are_read(golden: Path, name: str, tool: str) -> None:
    assert read_handoff(golden / name) == Handoff(f"Vivado {tool}", "7z020", "clg400")
