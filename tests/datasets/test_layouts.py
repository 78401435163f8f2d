"""Folders of pictures: which count, and in which order."""

from __future__ import annotations

from pathlib import Path

from qnn_pynq.datasets.layouts import class_folders, picture_files


def test_hidden_folders_and_files_do_not_count(tmp_path: Path) -> None:
    for name in ("b", "a", ".git"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes.txt").write_text("")
    assert class_folders(tmp_path) == [tmp_path / "a", tmp_path / "b"]


def test_pictures_are_known_by_their_suffix_whatever_its_case_and_the_rest_is_counted(tmp_path: Path) -> None:
    for name in ("2.PNG", "1.jpeg", "._1.jpeg", ".hidden", "notes.txt", "thumbs.db"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    assert picture_files(tmp_path) == ([tmp_path / "1.jpeg", tmp_path / "2.PNG"], 2)
