"""`doctor` and `selftest`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qnn_pynq.diagnosis import doctor, selftest
from qnn_pynq.diagnosis.host import Check
from qnn_pynq.diagnosis.selftest import Outcome


def checks(*statuses: str) -> list[Check]:
    return [Check("part {}".format(n), status, "value {}".format(n), "") for n, status in enumerate(statuses)]


def test_the_doctor_shows_every_check(run: Any) -> None:
    ran = run("doctor")
    for check in doctor.examine():
        assert check.name in ran.out
    found = run("doctor", "--json").json
    assert len(found["checks"]) == len(doctor.CHECKS)
    assert set(found["checks"][0]) == {"name", "status", "value", "advice"}


@pytest.mark.parametrize("statuses, code", [(("ok", "info"), 0), (("ok", "warn"), 0), (("ok", "fail", "warn"), 1)])
def test_a_failed_check_is_exit_code_1(
    run: Any, monkeypatch: pytest.MonkeyPatch, statuses: tuple[str, ...], code: int
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: checks(*statuses))
    assert run("doctor").code == code
    ran = run("doctor", "--json")
    assert ran.code == code and ran.json["ok"] == (code == 0)


def test_advice_is_printed(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: [Check("root", "fail", "user id 5", "sudo -i")])
    assert "-> sudo -i" in run("doctor").out


def test_the_next_step_is_the_worst_finding_s_advice(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Check("a", "warn", "x", "first"), Check("b", "fail", "y", "second"), Check("c", "fail", "z", "third")]
    monkeypatch.setattr(doctor, "examine", lambda: found)
    assert run("doctor").out.endswith("0 ok, 0 info, 1 warn, 2 fail\nnext: b: second\n")
    monkeypatch.setattr(doctor, "examine", lambda: found[:1])
    assert run("doctor").out.endswith("next: a: first\n")
    monkeypatch.setattr(doctor, "examine", lambda: checks("ok", "info"))
    assert "next:" not in run("doctor").out


GOOD = Outcome("net", "cpu", "kernels", pictures=32)
WRONG = Outcome("net", "zynq", "fast", 32, [{"picture": 4, "expected": "0x1", "got": "0x2"}])
NOT_RUN = Outcome("net", "zynq", "fast", note="no bitstream")
SILENT = Outcome("own", "cpu", "kernels", note="it brings no known answers", missing=True)


@pytest.mark.parametrize(
    "outcomes, code",
    [([GOOD], 0), ([GOOD, SILENT], 0), ([GOOD, WRONG, NOT_RUN], 1), ([GOOD, NOT_RUN], 3), ([], 3)],
)
def test_the_exit_code_of_the_selftest(
    run: Any, monkeypatch: pytest.MonkeyPatch, outcomes: list[Outcome], code: int
) -> None:
    monkeypatch.setattr(selftest, "run", lambda networks, boards: outcomes)
    assert run("selftest").code == code
    ran = run("selftest", "--json")
    assert ran.code == code and ran.json["ok"] == (code == 0)
    assert [outcome["result"] for outcome in ran.json["outcomes"]] == [outcome.result for outcome in outcomes]


def test_a_wrong_word_is_named(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "run", lambda networks, boards: [WRONG])
    ran = run("selftest")
    assert "net on zynq (fast): picture 4: expected 0x1, got 0x2" in ran.out and "wrong answers" in ran.out


def test_networks_and_boards_can_be_chosen(run: Any, random_network: Path) -> None:
    ran = run("selftest", random_network, "--board", "cpu", "--json")
    assert [(o["network"], o["board"]) for o in ran.json["outcomes"]] == [("random-lfc", "cpu")]
    assert run("selftest", "nothing-of-the-kind").code == 3


def test_every_shipped_network_passes_on_every_board_of_this_machine(run: Any) -> None:
    ran = run("selftest", "--json")
    assert ran.code == 0, ran.out
    tested = {(o["network"], o["board"]) for o in ran.json["outcomes"] if o["pictures"]}
    for name in run("networks", "--json").json["networks"]:
        assert {(name["name"], "cpu"), (name["name"], "emulated")} <= tested
