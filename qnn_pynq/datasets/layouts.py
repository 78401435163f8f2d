"""How data sets of a user's own are laid out: folders named as the classes, and arrays by their usual names."""

from __future__ import annotations

from pathlib import Path

__all__ = ["PAIRS", "SUFFIXES", "TEST_PAIRS", "TRAIN_PAIRS", "class_folders", "picture_files"]

SUFFIXES = frozenset(".png .jpg .jpeg .bmp .gif .webp .tif .tiff .pgm .ppm".split())

# Names of (pictures, labels) in an .npz file: where it has both parts, and where it has one.
TRAIN_PAIRS = (("x_train", "y_train"), ("train_images", "train_labels"))
TEST_PAIRS = (("x_test", "y_test"), ("test_images", "test_labels"))
PAIRS = (("x", "y"), ("images", "labels"), ("pictures", "labels"))


def class_folders(folder: Path) -> list[Path]:
    """Folders in `folder` by name, without hidden ones."""
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def picture_files(folder: Path) -> tuple[list[Path], int]:
    """Pictures in `folder` by name, and how many other files there are; hidden ones do not count."""
    files = sorted(entry for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith("."))
    pictures = [file for file in files if file.suffix.lower() in SUFFIXES]
    return pictures, len(files) - len(pictures)
