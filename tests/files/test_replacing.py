"""A file is replaced whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from qnn_pynq.files.replacing import replace_text, replacing


def test_the_file_is_the_old_one_until_all_is_written(tmp_path: Path) -> None:
    target = tmp_path / "kept"
    target.write_bytes(b"old")
    with replacing(target) as file:
        file.write(b"new")
        file.flush()
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new" and list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_breaks_off_leaves_the_old_one_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "kept"
    target.write_bytes(b"old")
    with pytest.raises(error), replacing(target) as file:
        file.write(b"half")
        raise error
    assert target.read_bytes() == b"old" and list(tmp_path.iterdir()) == [target]


def test_a_place_that_cannot_be_replaced_keeps_what_it_has(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(OSError), replacing(target) as file:
        file.write(b"new")
    assert list(tmp_path.iterdir()) == [target] and target.is_dir()


def test_a_text_is_utf_8_without_changes_of_line_ends(tmp_path: Path) -> None:
    replace_text(tmp_path / "text", "a\r\nß\n")
    assert (tmp_path / "text").read_bytes() == b"a\r\n\xc3\x9f\n"
