"""What is asked of a training: refused before a picture is read, and kept as the command that repeats it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qnn_pynq.cli import build_parser
from qnn_pynq.errors import DescriptorError, InputError
from qnn_pynq.train.arguments import Arguments, check_arguments


def asked(folder: Path, **changes: Any) -> Arguments:
    given = Arguments("lfc", folder / "my pictures", folder / "net", "w1a2", None, 0, (28, 28), False)
    return given._replace(**changes)


def test_what_is_checked_is_of_plain_types(tmp_path: Path) -> None:
    given = asked(tmp_path, source=str(tmp_path / "a"), output=str(tmp_path / "b"), epochs=np.int64(3),
                  seed=np.uint8(7), size=[np.int32(24), 20], mirror=1)
    found = check_arguments(given, ("w1a1", "w1a2"))
    assert found == Arguments("lfc", tmp_path / "a", tmp_path / "b", "w1a2", 3, 7, (24, 20), True)
    assert {type(value) for value in (found.epochs, found.seed, *found.size)} == {int} and found.mirror is True


@pytest.mark.parametrize("changes, said", [
    ({}, "lfc 'my pictures' -o net --precision w1a2 --seed 0 --size 28 28"),
    ({"epochs": 5, "seed": -3, "size": (20, 24), "mirror": True},
     "lfc 'my pictures' -o net --precision w1a2 --seed -3 --size 20 24 --epochs 5 --mirror"),
    ({"topology": "dorefa", "source": Path("it's")},
     "dorefa 'it'\"'\"'s' -o net --precision w1a2 --seed 0 --size 28 28"),
])
def test_the_command_names_everything_that_decides_the_network(tmp_path: Path, changes: Any, said: str) -> None:
    assert asked(tmp_path, **changes).command == "qnn-pynq train " + said


def test_the_command_line_takes_its_own_command(tmp_path: Path) -> None:
    given = asked(tmp_path, epochs=5, seed=3, size=(20, 24), mirror=True)
    read = build_parser().parse_args(shlex.split(given.command)[1:])
    assert (read.topology, read.folder, read.output, read.precision, read.epochs, read.seed, read.size, read.mirror) \
        == ("lfc", "my pictures", "net", "w1a2", 5, 3, [20, 24], True)


@pytest.mark.parametrize("changes, message", [
    ({"precision": "w2a2"}, "precision 'w2a2': expected w1a1 or w1a2"),
    ({"epochs": True}, "epochs True: expected a whole number above 0"),
    ({"epochs": 2.0}, "epochs 2.0: expected"),
    ({"seed": 1 << 32}, "seed 4294967296: expected a whole number above"),
    ({"size": (28,)}, r"size \(28,\): expected \(height, width\) of 1 to 128 pixels"),
    ({"size": (28, 129)}, r"size \(28, 129\): expected"),
    ({"size": (True, 28)}, r"size \(True, 28\): expected"),
    ({"size": 28}, "size 28: expected"),
])
def test_it_refuses(tmp_path: Path, changes: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_arguments(asked(tmp_path, **changes), ("w1a1", "w1a2"))


@pytest.mark.parametrize("size", [(15, 15), (28, 20), (129, 129)])
def test_a_square_topology_refuses_what_is_none(tmp_path: Path, size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=r"expected a square of 16 to 128 pixels"):
        check_arguments(asked(tmp_path, size=size), ("w1a2",), (16, 128), square=True)


def test_what_is_no_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pictures 3: expected the path of a folder"):
        check_arguments(asked(tmp_path, source=3), ("w1a2",))
    with pytest.raises(DescriptorError, match="output None: expected the path of a folder"):
        check_arguments(asked(tmp_path, output=None), ("w1a2",))


def test_a_name_that_no_network_can_have_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(DescriptorError, match="'a b' cannot be a network's name"):
        check_arguments(asked(tmp_path, output=tmp_path / "a b"), ("w1a2",))
    check_arguments(asked(tmp_path), ("w1a2",))
    assert list(tmp_path.iterdir()) == []
