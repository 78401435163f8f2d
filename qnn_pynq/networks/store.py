"""Networks as data: directories of `network.json` and `.npy` files, read checked and written atomically."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Union

from ..contracts.network import Network
from ..errors import DescriptorError, FetchError
from ..files.fields import read_json
from .descriptor import read_network, write_network

__all__ = ["load_network", "save_network"]

PathLike = Union[str, "os.PathLike[str]"]


def load_network(path: PathLike) -> Network:
    """Read a network directory, or its `network.json`. The arrays are read-only.

    Raises
    ------
    DescriptorError
        Names the file, the field, the value, and what is allowed.
    """
    target = Path(path)
    return read_network(target / "network.json" if target.is_dir() else target)


def save_network(network: Network, directory: PathLike, overwrite: bool = False) -> Path:
    """Write `network` as a directory, all of it or nothing, and return the directory.

    It is written beside its place, read back through `load_network`, and renamed. With `overwrite` an
    existing network directory is replaced; files that its old descriptor does not name stay.

    Raises
    ------
    DescriptorError
        The network is not valid, or `directory` exists and may not be replaced.
    FetchError
        The folder cannot be written.
    """
    target = Path(directory)
    try:
        return _save(network, target, overwrite)
    except OSError as error:
        text = "network {} cannot be written to {}: {}; use another folder, or make room there"
        raise FetchError(text.format(network.name, target, error.strerror or error)) from error


def _save(network: Network, target: Path, overwrite: bool) -> Path:
    if target.exists() or target.is_symlink():
        if not overwrite:
            raise DescriptorError(f"{target} is there already: use another name, or overwrite=True")
        if not (target / "network.json").is_file() and (not target.is_dir() or any(target.iterdir())):
            raise DescriptorError(f"{target} is no network directory: it will not be replaced")
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="." + target.name + "-", dir=str(target.parent)))
    try:
        fresh = work / target.name
        fresh.mkdir()
        if target.exists():
            _carry_over(target, fresh)
        try:
            write_network(network, fresh)
            load_network(fresh)
        except DescriptorError as error:
            raise DescriptorError(str(error).replace(str(fresh), str(target))) from None
        old = work / "old"
        try:
            if target.exists():
                os.replace(str(target), str(old))
            os.replace(str(fresh), str(target))
        except BaseException:  # an interrupt as well must not lose the old network
            if old.exists() and not target.exists():
                os.replace(str(old), str(target))
            raise
    finally:
        shutil.rmtree(str(work), ignore_errors=True)
    return target


def _carry_over(old: Path, fresh: Path) -> None:
    named: set[str] = {"network.json"}
    try:
        _collect_strings(read_json(old / "network.json"), named)
    except DescriptorError:
        pass  # a broken descriptor names nothing: everything stays
    for entry in old.iterdir():
        if entry.name in named:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(str(entry), str(fresh / entry.name), symlinks=True)
        else:
            shutil.copy2(str(entry), str(fresh / entry.name), follow_symlinks=False)


def _collect_strings(value: Any, found: set[str]) -> None:
    if isinstance(value, str):
        found.add(value)
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            _collect_strings(item, found)
