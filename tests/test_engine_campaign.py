"""Random programs of the engine on the emulated and the simulated board give what an oracle in plain numpy says."""
from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from engine_bench.cases import Config, make_case
from engine_bench.disturb import KINDS, disturb
from engine_bench.hostile import WAYS, make_hostile
from engine_bench.play import Player, Registers
from engine_bench.shrink import describe, shrink
from engine_boards import engine_board, need_simulator

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import engine_campaign  # noqa: E402
import engine_coverage  # noqa: E402

SMALL, MIDDLE, LARGE = Config(4, 2, 4), Config(16, 4, 4), Config(32, 4, 4)
SIZES = ["{}x{}".format(*size[:2]) for size in (SMALL, MIDDLE, LARGE)]
RIGHT, WRONG, BROKEN = 100, 40, 20  # cases of the small circuit in Verilog


@pytest.fixture(scope="module", params=[SMALL, MIDDLE, LARGE], ids=SIZES)
def emulated(request):
    with engine_board("emulated", request.param) as board:
        yield Player(board), request.param


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """One small circuit for the tests of this file: compiling it takes longer than they do."""
    need_simulator()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("circuit")))
        with engine_board("rtl", SMALL) as board:
            yield Player(board)


@pytest.mark.parametrize("seed", range(12))
def test_right_programs_give_on_the_twin_what_the_oracle_says(emulated, seed):
    player, size = emulated
    assert player.play(make_case(seed, size)).differences == []


@pytest.mark.parametrize("way", WAYS)
def test_wrong_programs_end_in_the_twin_with_the_error_of_the_oracle(emulated, way):
    player, size = emulated
    assert player.play(*make_hostile(1, size, way)).differences == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "error" not in kind])
def test_a_twin_that_was_broken_off_gives_the_right_thing_afterwards(emulated, kind):
    player, size = emulated
    for seed in range(4):
        assert disturb(player, make_case(seed, size), kind, np.random.default_rng(seed)).differences == []


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, RIGHT, 10))
def test_right_programs_give_in_verilog_what_the_oracle_says(simulated, start):
    for seed in range(start, start + 10):
        assert simulated.play(make_case(seed, SMALL)).differences == [], seed


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, WRONG, 10))
def test_wrong_programs_end_in_verilog_with_the_error_of_the_oracle(simulated, start):
    for seed in range(start, start + 10):
        assert simulated.play(*make_hostile(seed, SMALL)).differences == [], seed


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_circuit_that_was_broken_off_gives_the_right_thing_afterwards(simulated, kind):
    for seed in range(BROKEN // len(KINDS)):
        found = disturb(simulated, make_case(seed, SMALL), kind, np.random.default_rng(seed))
        assert found.differences == [], seed


@pytest.mark.parametrize("offset", [Registers.BUSY, Registers.PICTURES])
def test_a_counter_that_is_wrong_is_a_difference(emulated, offset, monkeypatch):
    player, size = emulated
    read = player.read
    monkeypatch.setattr(player, "read", lambda at: read(at) + (at == offset))
    assert player.play(make_case(0, size)).differences


def test_a_bit_that_is_wrong_is_a_difference_and_shrinks(monkeypatch):
    """A layer that puts a wrong bit into its last word, found again in one layer."""
    case = make_case(4, SMALL)
    with engine_board("emulated", SMALL) as board:
        player = Player(board)
        run = type(board.twin.memories).stored
        monkeypatch.setattr(type(board.twin.memories), "stored", lambda self, *rest: run(self, *rest) ^ np.uint64(1))
        found = player.play(case).differences
        assert any("words differ" in text for text in found)
        least = shrink(case, lambda smaller: bool(player.play(smaller).differences), tries=60)
    assert len(least.program) < len(case.program)
    assert describe(least).splitlines()[-1].strip().startswith("END")


def test_the_campaign_counts_and_fails_where_something_differs(capsys):
    assert engine_campaign.main(["--cases", "2", "--hostile", "2", "--disturbed", "1", "--sizes", "4x2"]) == 0
    text = capsys.readouterr().out
    assert "| 4 × 2 |" in text
    assert [line for line in text.splitlines() if line.startswith("| all | | 5 |")][0].endswith("| 0 |")


def test_the_campaign_shows_one_case(capsys):
    assert engine_campaign.main(["--only", "3", "--sizes", "4x2"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("as the oracle has it")


@pytest.mark.parametrize("text", ["4", "4x3", "x", "4x2x"])
def test_a_size_that_is_none_is_refused(text):
    with pytest.raises(SystemExit):
        engine_campaign.main(["--sizes", text])


def test_coverage_adds_up_what_files_counted(tmp_path, capsys):
    text = "# SystemC::Coverage-3\n"
    for page, line, what, count in (
        ("v_line/unit", 3, "block", 2),
        ("v_line/unit", 9, "block", 0),
        ("v_toggle/unit", 5, "a[0]", 0),
        ("v_toggle/unit", 5, "a[1]", 0),
        ("v_toggle/unit", 5, "b", 0),
        ("v_branch/unit", 7, "else", 1),
    ):
        text += f"C '\1f\2unit.v\1l\2{line}\1page\2{page}\1o\2{what}\1h\2TOP.x' {count}\n"
    (tmp_path / "one.dat").write_text(text)
    (tmp_path / "two.dat").write_text(text.replace("b\1h\2TOP.x' 0", "b\1h\2TOP.y' 4"))
    assert engine_coverage.main([str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "| unit.v | 1 of 2 | 1 of 1 | 1 of 3 |" in shown
    assert "Not covered (bits): unit.v:5 a (2), unit.v:9 block (1)." in shown


def test_coverage_of_nothing_is_refused(tmp_path):
    with pytest.raises(SystemExit):
        engine_coverage.main([str(tmp_path)])
