"""The frame around the subcommands: help, errors, exit codes, log lines, start-up."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, Callable

import pytest

import qnn_pynq
from qnn_pynq import cli
from qnn_pynq.cli import build_parser, doctor
from qnn_pynq.errors import InputError, QnnWarning

COMMANDS = [
    "classify", "evaluate", "benchmark", "profile", "networks", "overlays", "import", "train", "interface", "doctor",
    "selftest", "bringup", "record", "replay",
]


def raising(error: BaseException) -> Callable[[argparse.Namespace], int]:
    def run(args: argparse.Namespace) -> int:
        raise error

    return run


@pytest.mark.parametrize(
    "arguments",
    [[]]
    + [[command] for command in COMMANDS]
    + [
        ["networks", "list"],
        ["networks", "show"],
        ["networks", "path"],
        ["overlays", "list"],
        ["overlays", "show"],
        ["overlays", "fetch"],
    ],
)
def test_everything_has_help(run: Any, arguments: list[str]) -> None:
    ran = run(*arguments, "--help")
    assert ran.code == 0 and "usage: qnn-pynq" in ran.out and not ran.err
    assert all(len(line) <= 120 for line in ran.out.splitlines())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example_that_parses(run: Any, command: str) -> None:
    text = run(command, "--help").out
    examples = re.findall(r"^  qnn-pynq (.*)$", text[text.index("example") :], re.M)
    assert examples
    for example in examples:
        build_parser().parse_args(example.split(" > ")[0].split())


def test_help_documents_the_exit_codes_and_every_command(run: Any) -> None:
    text = run("--help").out
    assert re.findall(r"^  (\d+) {1,4}\S", text, re.M) == ["0", "1", "2", "3", "130"]
    for command in COMMANDS:
        assert re.search(rf"^    {command} ", text, re.M)


def test_each_command_is_a_module_of_its_name() -> None:
    folder = Path(cli.__file__).parent
    modules = {path.stem.rstrip("_") for path in folder.glob("*.py")}
    assert modules - {"__init", "options", "output"} == set(COMMANDS)


def test_version(run: Any) -> None:
    assert run("--version").out == f"qnn-pynq {qnn_pynq.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["paint"],
        ["classify", "--board", "gpu", "x.png"],
        ["evaluate"],
        ["evaluate", "x", "--limit", "0"],
        ["benchmark", "x", "--images", "many"],
        ["import", "onnx", "x", "-o", "y"],
        ["train", "lfc", "x"],
        ["classify"],
        ["networks", "show"],
        ["overlays", "fetch"],
        ["selftest", "--board", "gpu"],
        [],
    ],
)
def test_wrong_usage_is_2(run: Any, arguments: list[str]) -> None:
    ran = run(*arguments)
    assert ran.code == 2 and not ran.out and ran.err


@pytest.mark.parametrize(
    "error, code",
    [
        (InputError("picture 'x.png' is empty"), 3),
        (PermissionError(13, "not allowed", "/x"), 3),
        (RuntimeError("the sky\nfell"), 1),
        (KeyError("gone"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_are_one_line_and_an_exit_code(
    run: Any, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    monkeypatch.setattr(doctor, "_doctor", raising(error))
    ran = run("doctor")
    assert ran.code == code and not ran.out
    assert ran.err.startswith("qnn-pynq: error: ") and ran.err.count("\n") == 1
    assert "Traceback" not in ran.err


def test_debug_shows_the_traceback(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_doctor", raising(InputError("no picture")))
    for arguments in (["--debug", "doctor"], ["doctor", "--debug"]):
        ran = run(*arguments)
        assert ran.code == 3 and "Traceback" in ran.err and ran.err.endswith("qnn-pynq: error: no picture\n")


def test_errors_are_json_where_json_was_asked_for(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_doctor", raising(InputError("no picture")))
    for arguments in (["--json", "doctor"], ["doctor", "--json"]):
        ran = run(*arguments)
        assert ran.json == {"error": {"kind": "InputError", "message": "no picture", "exit_code": 3}}
        assert ran.err == "qnn-pynq: error: no picture\n"


def test_warnings_and_log_records_are_single_lines_on_standard_error(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import logging

    def chatty(args: argparse.Namespace) -> int:
        warnings.warn("short\nfile", QnnWarning, stacklevel=2)
        logging.getLogger("qnn_pynq.somewhere").info("opened %s", "it")
        logging.getLogger("qnn_pynq.somewhere").debug("in detail")
        return 0

    monkeypatch.setattr(doctor, "_doctor", chatty)
    assert run("doctor").err == "qnn-pynq: warning: short file\n"
    assert run("doctor", "-v").err == "qnn-pynq: warning: short file\nqnn-pynq: info: opened it\n"
    assert run("doctor", "-vv").err.endswith("qnn-pynq: debug: in detail\n")
    assert not [h for h in logging.getLogger("qnn_pynq").handlers if not isinstance(h, logging.NullHandler)]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom qnn_pynq.cli import main\nassert main(['--help']) == 0\n"
        "print([m for m in ('numpy', 'PIL', 'torch', 'pynq', 'cffi', 'matplotlib') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout.decode()
    assert out.splitlines()[-1] == "[]"


def test_the_module_runs_as_the_command_does() -> None:
    done = subprocess.run([sys.executable, "-m", "qnn_pynq", "overlays", "--json"], stdout=subprocess.PIPE, check=True)
    assert json.loads(done.stdout.decode())["overlays"]


def test_a_reader_that_goes_away_is_no_defect() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run([sys.executable, "-m", "qnn_pynq", "doctor"], stdout=write, stderr=subprocess.PIPE)
    finally:
        os.close(write)
    assert done.returncode == 141 and done.stderr == b""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("arguments", ["--version", "--help", "networks", "networks --json"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_standard_output_is_said_and_no_traceback(arguments: str, unbuffered: str) -> None:
    environment = dict(os.environ, PYTHONUNBUFFERED=unbuffered)
    command = [sys.executable, "-m", "qnn_pynq", *arguments.split()]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=environment)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 3 and lines, lines
    assert all(line.startswith("qnn-pynq: error: ") and "No space left" in line for line in lines), lines


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-"])
def test_closed_streams_do_no_harm(closed: str) -> None:
    for arguments, code in (("networks", 0), ("networks --json", 0), ("networks show nope", 3)):
        command = f'"$0" -m qnn_pynq {arguments} {closed}'
        done = subprocess.run(["sh", "-c", command, sys.executable], capture_output=True)
        assert done.returncode == code and b"defect" not in done.stderr and b"Trace" not in done.stderr, done


def test_an_interrupt_while_the_command_line_is_read_is_one_line_too(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("qnn_pynq.cli.build_parser", interrupted)
    assert run("doctor") == (130, "", "qnn-pynq: error: interrupted\n")


def test_signs_that_the_terminal_lacks_do_not_break_the_output() -> None:
    environment = dict(os.environ, PYTHONIOENCODING="ascii")
    code = "from qnn_pynq.cli.output import emit; emit('90 \\u00b5s')"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment, check=True)
    assert done.stdout == b"90 ?s\n"
