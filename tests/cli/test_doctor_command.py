"""`doctor`."""

from __future__ import annotations

from typing import Any

import pytest

from qnn_pynq.diagnosis import doctor
from qnn_pynq.diagnosis.host import Check


def checks(*statuses: str) -> list[Check]:
    return [Check(f"part {n}", status, f"value {n}", "") for n, status in enumerate(statuses)]


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
