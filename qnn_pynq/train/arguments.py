"""What a training on a user's own pictures is asked for: checked before a picture is read, kept for provenance."""

from __future__ import annotations

import shlex
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple, Sequence

import numpy as np

from ..errors import DescriptorError, InputError
from ..files.fields import plain_name
from ..files.paths import path_text

__all__ = ["Arguments", "check_arguments"]

_SEEDS = 1 << 32
_SIDES = (1, 128)


class Arguments(NamedTuple):
    """Arguments of `train_folder` and `train_dorefa_folder`; `topology` is the command's word for which of them."""

    topology: str
    source: Path
    output: Path
    precision: str
    epochs: int | None
    seed: int
    size: tuple[int, int]
    mirror: bool

    @property
    def name(self) -> str:
        """Name of the pictures' folder or file, as text that a file can hold."""
        return self.source.name.encode("utf-8", "replace").decode()

    @property
    def command(self) -> str:
        """The command that trains the same network."""
        words: list[Any] = ["qnn-pynq", "train", self.topology, self.name, "-o", self.output.name]
        words += ["--precision", self.precision, "--seed", self.seed, "--size", *self.size]
        if self.epochs is not None:
            words += ["--epochs", self.epochs]
        if self.mirror:
            words.append("--mirror")
        return " ".join(shlex.quote(str(word)) for word in words)

    def provenance(self) -> dict[str, Any]:
        """Where a network comes from, as far as it is known before the training."""
        return {"dataset": self.name, "command": self.command, "seed": self.seed, "date": time.strftime("%Y-%m-%d")}


def check_arguments(
    asked: Arguments, allowed: Sequence[str], sides: tuple[int, int] = _SIDES, square: bool = False
) -> Arguments:
    """What can be refused before the pictures are read; the arguments as plain types.

    Parameters
    ----------
    allowed
        Precisions that the topology has.
    sides, square
        Least and most pixels of a side; whether both must be the same.
    """
    _, source, output, precision, epochs, seed, size, mirror = asked
    source = Path(path_text(source, "pictures {}: expected the path of a folder or .npz file", InputError))
    output = Path(path_text(output, "output {}: expected the path of a folder to write", DescriptorError))
    if precision not in allowed:
        raise InputError(f"precision {precision!r}: expected {' or '.join(allowed)}")
    if epochs is not None and (not _whole(epochs) or epochs < 1):
        raise InputError(f"epochs {epochs!r}: expected a whole number above 0")
    if not _whole(seed) or not -_SEEDS < seed < _SEEDS:
        raise InputError(f"seed {seed!r}: expected a whole number above -2**32 and below 2**32")
    _check_size(size, sides, square)
    _check_output(output)
    return asked._replace(
        source=source,
        output=output,
        epochs=None if epochs is None else int(epochs),
        seed=int(seed),
        size=(int(size[0]), int(size[1])),
        mirror=bool(mirror),
    )


def _whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _check_size(size: Any, sides: tuple[int, int], square: bool) -> None:
    low, high = sides
    right = isinstance(size, (tuple, list)) and len(size) == 2 and all(_whole(s) and low <= s <= high for s in size)
    if not right or (square and size[0] != size[1]):
        shape = "a square" if square else "(height, width)"
        raise InputError(f"size {size!r}: expected {shape} of {low} to {high} pixels")


def _check_output(output: Path) -> None:
    if not plain_name(output.name):
        raise DescriptorError(f"{output.name!r} cannot be a network's name: use letters, digits, '.', '_' and '-'")
    if output.exists() or output.is_symlink():
        raise DescriptorError(f"{output} is there already: use another name")
    parent = output.absolute().parent
    while not parent.exists():
        parent = parent.parent
    try:
        with tempfile.TemporaryDirectory(prefix="." + output.name, dir=str(parent)):
            pass
    except OSError as error:
        raise DescriptorError(
            f"{output} cannot be written, no folder can be made in {parent} ({error.strerror or error}): "
            "use one that you may write to"
        ) from error
