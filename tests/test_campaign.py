"""A short campaign of faults; and that each of its checks notices what it is there for."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
pytest.importorskip("resource")  # Unix, for the watchdog

import campaign as campaigns  # noqa: E402
import fault_trials  # noqa: E402
from campaign import Campaign, write_between  # noqa: E402

from qnn_pynq import Classifier  # noqa: E402

SMALL = ("tiny dense", "small convolutional")


@pytest.fixture(scope="module")
def short():
    made = Campaign(11, SMALL)
    made.run(300)
    return made


def test_nothing_is_lost_doubled_hung_or_leaked_and_strict_hands_out_nothing_wrong(short):
    assert short.verdict() == []
    assert short.faults >= 300
    total = sum((tally for tally in short.tallies.values()), fault_trials.Counter())
    assert total["inputs"] == total["results"] + total["errors"] == 48 * short.number
    assert total["wrong"] > 0  # faults do reach the users of other policies
    assert total["recoveries"] > 0 and total["alarms"] > 0
    assert {policy for policy, _ in short.tallies} == set(fault_trials.POLICIES)


def test_a_trial_is_the_same_again(short):
    first, second = short.step(17), short.step(17)
    assert first.count == second.count and list(first.plan.injected) == list(second.plan.injected)


def test_a_campaign_goes_on_where_it_was_broken_off(tmp_path):
    whole, begun = Campaign(3, SMALL[:1], ["none", "retry"]), Campaign(3, SMALL[:1], ["none", "retry"])
    whole.run(40)
    begun.run(15, tmp_path / "state")
    went_on = Campaign(3, SMALL[:1], ["none", "retry"])
    went_on.load(tmp_path / "state")
    went_on.run(40)
    assert went_on.tallies == whole.tallies and went_on.number == whole.number > begun.number
    with pytest.raises(SystemExit, match="another campaign"):
        Campaign(4, SMALL[:1], ["none", "retry"]).load(tmp_path / "state")
    assert json.loads((tmp_path / "state").read_text())["number"] == begun.number


def test_the_tables_are_put_between_their_markers(short, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- measured: campaign -->\nold\n<!-- end of measured: campaign -->\nb\n")
    for _ in range(2):
        write_between(page, "campaign", short.tables())
    text = page.read_text()
    assert text.startswith("a\n<!-- measured: campaign -->\n") and text.endswith("campaign -->\nb\n")
    assert "old" not in text and text.count("| strict | LFC |") == 1 and text.count("| flip weight |") == 2
    with pytest.raises(SystemExit, match="once"):
        write_between(page, "fuzz", "x")


# -- what is broken is found -------------------------------------------------------------------------------------


class Changed(Classifier):
    """With another answer to a batch."""

    def change(self, answer):
        return answer()

    def predict(self, X):
        return self.change(lambda: super(Changed, self).predict(X))

    def decision_function(self, X):
        return self.change(lambda: super(Changed, self).decision_function(X))


class Drops(Changed):
    def change(self, answer):
        return answer()[:-1]


class Doubles(Changed):
    def change(self, answer):
        return np.repeat(answer(), 2, axis=0)


class Swaps(Changed):
    def change(self, answer):
        return answer()[::-1]


class StreamDrops(Classifier):
    def stream(self, pictures, **options):
        pictures = list(pictures)
        return super().stream(iter(pictures[:1] + pictures[2:]), **options)


class Leaks(Classifier):
    def close(self):
        self.kept = self.board.allocate(100)
        Kept.append(self.kept)
        super().close()


Kept: list = []


class Sleeps(Changed):
    def change(self, answer):
        self.board.clock.sleep(2000)
        return answer()


class Waits(Changed):
    def change(self, answer):
        while True:
            pass


class Crashes(Changed):
    def change(self, answer):
        raise KeyError("x")


class Interrupts(Changed):
    def change(self, answer):
        raise KeyboardInterrupt


class Miscounts(Changed):
    def change(self, answer):
        self.recovery.results += 1
        return answer()


class Lenient(Classifier):
    def __init__(self, *arguments, policy, **options):
        super().__init__(*arguments, policy="none", **options)


@pytest.mark.parametrize("broken, what, policy", [
    (Drops, "lost", "none"), (StreamDrops, "lost", "none"), (Doubles, "doubled", "retry"),
    (Swaps, "unexplained", "none"),
    (Leaks, "leaks", "retry"), (Sleeps, "hangs", "none"), (Waits, "hangs", "none"), (Crashes, "crashes", "retry"),
    (Interrupts, "crashes", "retry"), (Miscounts, "miscounted", "retry"), (Lenient, "wrong under strict", "strict"),
])
def test_a_broken_classifier_is_found(broken, what, policy, monkeypatch):
    monkeypatch.setattr(fault_trials.Watchdog.__init__, "__defaults__", (0.3,) if broken is Waits else (60.0,))
    made = Campaign(5, SMALL[:1], [policy])
    made.make = broken
    made.run(4 if broken is Waits else 60)
    assert any(what in text for text in made.verdict())


def test_wrong_results_of_a_right_classifier_are_explained_by_what_struck():
    made = Campaign(5, SMALL[:1], ["none"])
    made.run(60)
    assert made.verdict() == [] and sum(tally["wrong"] for tally in made.tallies.values())


def test_the_command_ends_with_1_where_something_is_wrong(monkeypatch, capsys):
    arguments = ["--faults", "20", "--cases", SMALL[0], "--policies", "none;strict"]
    assert campaigns.main(arguments) == 0
    assert "| none | LFC |" in capsys.readouterr().out
    close = fault_trials.Trial._close
    monkeypatch.setattr(fault_trials.Trial, "_close", lambda trial: None if trial.plan.counts else close(trial))
    assert campaigns.main(arguments) == 1
    found = re.search(r"trial (\d+): leaks", capsys.readouterr().err)
    assert campaigns.main(arguments + ["--only", found.group(1)]) == 1


def test_the_canarys_rates_are_counted_by_network(monkeypatch):
    import canary_flips

    from qnn_pynq.errors import WrongAnswerError

    class Sees:
        source = "made up"

        def __init__(self, network):
            self.checks = 0

        def __len__(self):
            return 3

        def check(self, engine):
            self.checks += 1
            if self.checks % 2:
                raise WrongAnswerError("no")

    monkeypatch.setattr(canary_flips, "Canary", Sees)
    monkeypatch.setattr(canary_flips, "networks", lambda: ["lfc-w1a1-mnist"])
    monkeypatch.setattr(canary_flips, "PICTURES", {"dense": 20, "convolutional": 2})
    table = canary_flips.canary_table(10, 1, lambda total, unit: lambda count: None)
    assert "| lfc-w1a1-mnist | 3 (made up) | the network | 10 | 50.00 % |" in table
    assert "| the circuit | 1 | 100.00 % |" in table
