"""Public data sets: idx files, where they are looked for, and their digests."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from qnn_pynq.catalogue import cache_folder
from qnn_pynq.datasets.public import DATASETS, FILES, data_places, files_in, find_files, read_idx
from qnn_pynq.errors import InputError


def idx(array: np.ndarray) -> bytes:
    return (
        bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    )


def test_idx_files_are_read_plain_and_compressed(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "a").write_bytes(idx(values))
    (tmp_path / "b.gz").write_bytes(gzip.compress(idx(values)))
    assert (read_idx(tmp_path / "a") == values).all()
    assert (read_idx(tmp_path / "b.gz") == values).all()


@pytest.mark.parametrize(
    "content", [
        b"", b"\0\0\7\1", idx(np.zeros(9, np.uint8))[:-1], b"\0\0\x08\3\0\0\0\1",
        b"\0\0\x08\x55" + 0x55 * b"\0\0\0\1" + b"x",  # more sides than an array can have
        b"\0\0\x08\3" + 2 * b"\x80\0\0\0" + b"\0\0\0\4",  # 2 ** 64 bytes
    ]
)
def test_broken_idx_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(InputError, match="x"):
        read_idx(tmp_path / "x")


def test_truncated_gzip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(idx(np.zeros(999, np.uint8)))[:-6])
    with pytest.raises(InputError):
        read_idx(tmp_path / "x.gz")


def test_damaged_gzip_is_refused(tmp_path: Path) -> None:
    noise = np.random.RandomState(0).randint(0, 30, 5000).astype(np.uint8)
    damaged = bytearray(gzip.compress(idx(noise)))
    damaged[200:260] = bytes(60)
    (tmp_path / "x.gz").write_bytes(damaged)
    with pytest.raises(InputError, match="x.gz"):
        read_idx(tmp_path / "x.gz")


@pytest.mark.parametrize("name", sorted(DATASETS))
@pytest.mark.parametrize("part", sorted(FILES))
def test_the_digests_are_those_of_the_official_files(shared_data: Path, name: str, part: str) -> None:
    found = files_in(shared_data, name, part)
    assert found is not None
    for file in found:
        assert hashlib.sha256(file.read_bytes()).hexdigest() == DATASETS[name].sha256[file.name]


def test_a_folder_is_no_data_set_by_chance(tmp_path: Path) -> None:
    for stem in FILES["test"]:
        (tmp_path / stem).write_bytes(idx(np.zeros((1, 1, 1), np.uint8)))
    assert files_in(tmp_path, "mnist", "test") is None
    assert files_in(tmp_path, "mnist", "test", trusted=True) == tuple(tmp_path / stem for stem in FILES["test"])


def test_only_the_environment_and_the_cache_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QNN_PYNQ_DATA", raising=False)
    assert data_places() == [cache_folder()] and find_files("mnist", "test", fetch=False) is None
    monkeypatch.setenv("QNN_PYNQ_DATA", str(tmp_path))
    assert data_places() == [tmp_path, cache_folder()]
    monkeypatch.setenv("QNN_PYNQ_DATA", "")
    assert data_places() == [cache_folder()]
