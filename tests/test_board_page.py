"""docs/board.md: its commands are those of the command line, and installing leaves an image as it is."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path

import pytest

import qnn_pynq
from qnn_pynq.cli import build_parser

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "board.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (?:\w+=\S+ )?(.+?)(?:  +#.*)?$", re.sub(r"```.*?```", "", PAGE, flags=re.S), re.M)
# What the images have: users must never meet an upgrade of these.
IMAGES = {
    "2.7": {"numpy": "1.20.3", "cffi": "1.14.5", "Pillow": "7.0.0", "python": "3.8.10"},
    "3.x": {"numpy": "1.21.5", "cffi": "1.15.0", "Pillow": "9.0.1", "python": "3.10.4"},
}


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("qnn-pynq")])
def test_every_command_parses(command: str) -> None:
    build_parser().parse_args(shlex.split(command)[1:])


def test_there_are_commands() -> None:
    assert sum(line.startswith("qnn-pynq") for line in COMMANDS) >= 8
    assert sum(line.startswith("pip install") for line in COMMANDS) >= 3


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith(("pip install", "pip wheel"))])
def test_every_pip_command_for_a_board_leaves_what_is_installed_alone(command: str) -> None:
    words = shlex.split(command)
    assert "--no-deps" in words and "--upgrade" not in words and "-U" not in words
    assert "--no-build-isolation" in words or words[-1].endswith(".whl")
    name = re.fullmatch(r"(?:/mnt/)?qnn_pynq-([\d.]+?)(?:\.tar\.gz|-cp38-abi3-linux_armv7l\.whl)", words[-1])
    assert name and name.group(1) == qnn_pynq.__version__


def settings() -> configparser.ConfigParser:
    found = configparser.ConfigParser()
    found.read(str(ROOT / "setup.cfg"), encoding="utf-8")
    return found


@pytest.mark.parametrize("image", sorted(IMAGES))
def test_what_an_image_has_is_all_that_is_required(image: str) -> None:
    requirements = pytest.importorskip("packaging.requirements")
    specifiers = pytest.importorskip("packaging.specifiers")
    has = IMAGES[image]
    options = settings()["options"]
    assert specifiers.SpecifierSet(options["python_requires"]).contains(has["python"])
    needed = [requirements.Requirement(line) for line in options["install_requires"].split("\n") if line]
    assert {one.name for one in needed} == {"numpy", "cffi", "Pillow"}
    for one in needed:
        assert one.specifier.contains(has[one.name]), f"{one.name} would be upgraded"


def test_pynq_is_an_extra_and_the_wheel_is_for_every_python() -> None:
    found = settings()
    assert "pynq" in found["options.extras_require"] and "pynq" not in found["options"]["install_requires"]
    assert found["bdist_wheel"]["py_limited_api"] == "cp38"
