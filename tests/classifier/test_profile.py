"""Profile: sums, shares, and what it says as text, table, HTML, JSON, dataframe and plot."""
from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest

from qnn_pynq.classifier.profile import LayerTime, Profile
from qnn_pynq.errors import InputError, MissingDependencyError

ROWS = (
    LayerTime("conv0", "software", 1_000_000, 0.002),
    LayerTime("conv1+pool", "overlay", 5_000_000, 0.012, 0.003, True),
    LayerTime("conv2", "overlay", 4_000_000, 0.004, 0.001, True),
    LayerTime("linear0", "software tail", 10_000, 0.001),
)


def profile(**changes) -> Profile:
    values = {"network": "n<e>t", "board": "emulated board", "rows": ROWS, "pictures": 3, "transfer_seconds": 0.001}
    values.update(changes)
    return Profile(**values)


def measured() -> Profile:
    return profile(rows=tuple(row._replace(modelled=False) for row in ROWS), board="zynq", pictures=1)


def in_software() -> Profile:
    rows = tuple(row._replace(where="software", logic_seconds=None, modelled=False) for row in ROWS)
    return profile(rows=rows, board="cpu", transfer_seconds=0.0)


def test_sums():
    one = profile()
    assert one.macs == 10_010_000
    assert one.total_cpu == pytest.approx(0.019)
    assert one.total_accelerated == pytest.approx(0.002 + 0.003 + 0.001 + 0.001 + 0.001)
    assert one.ratio == pytest.approx(19 / 8)
    assert [row.ratio for row in ROWS] == [None, pytest.approx(4), pytest.approx(4), None]


def test_shares_are_parts_of_the_time_with_the_overlay():
    one = profile()
    assert one.shares == pytest.approx((2 / 8, 3 / 8, 1 / 8, 1 / 8))
    assert sum(one.shares) + one.transfer_seconds / one.total_accelerated == pytest.approx(1)
    assert sum(one.cpu_shares) == pytest.approx(1)


def test_in_software_both_totals_are_the_same():
    one = in_software()
    assert one.ratio == 1 and not one.modelled and one.shares == one.cpu_shares
    assert one.table()[0] == ("layer", "where", "MACs", "CPU-only ms", "share %")
    assert one.table()[-1] == ("whole network", "software", "10,010,000", "19.0", "100.0")
    assert "logic" not in str(one)


def test_the_table_has_a_line_a_layer_and_the_totals():
    assert profile().table() == [
        ("layer", "where", "MACs", "CPU-only ms", "logic ms (modelled)", "ratio", "share %"),
        ("conv0", "software", "1,000,000", "2.00", "-", "-", "25.0"),
        ("conv1+pool", "overlay", "5,000,000", "12.0", "3.00", "4.0", "37.5"),
        ("conv2", "overlay", "4,000,000", "4.00", "1.00", "4.0", "12.5"),
        ("linear0", "software tail", "10,000", "1.00", "-", "-", "12.5"),
        ("to and from logic", "software", "-", "-", "1.00", "-", "12.5"),
        ("overlay layers", "overlay", "9,000,000", "16.0", "4.00", "4.0", "50.0"),
        ("whole network", "both", "10,010,000", "19.0", "8.00", "2.4", "100.0"),
    ]


def test_the_text_says_whether_the_logic_was_timed_or_modelled():
    text = str(profile())
    assert text.startswith("n<e>t on emulated board\n") and "modelled by cycles, a lower bound" in text
    assert "mean of 3" in text and len({len(line) for line in text.split("\n")[1:9]}) == 1
    assert "modelled" not in str(measured()) and "measured by the clock" in str(measured())
    assert "(modelled)" in repr(profile()) and "modelled" not in repr(measured())


def test_small_times_keep_three_digits():
    rows = tuple(LayerTime("a", "software", 1, seconds) for seconds in (0.1234, 1.234e-5, 0.0))
    assert [line[3] for line in profile(rows=rows, board="cpu").table()[1:4]] == ["123", "0.0123", "0.0000"]


def test_a_logic_slower_than_the_processor_is_shown_as_such():
    rows = tuple(LayerTime(str(k), "overlay", 1, cpu, 0.001) for k, cpu in enumerate((4.2e-5, 5.5e-4, 0.0024, 0.042)))
    assert [line[5] for line in profile(rows=rows).table()[1:5]] == ["0.042", "0.55", "2.4", "42"]


def test_html_is_escaped():
    html = profile()._repr_html_()
    assert "n&lt;e&gt;t" in html and html.count("<tr>") == 8 and "lower bound" in html


def test_json():
    found = json.loads(json.dumps(profile().as_dict()))
    assert found["modelled"] is True and found["ratio"] == pytest.approx(19 / 8) and found["images"] == 3
    assert [layer["name"] for layer in found["layers"]] == ["conv0", "conv1+pool", "conv2", "linear0"]
    assert found["layers"][0]["logic_seconds"] is None and found["layers"][1]["share"] == pytest.approx(3 / 8)


def test_a_dataframe_has_a_row_a_layer(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=list))  # pandas is no requirement
    frame = profile().to_dataframe()
    assert [row["where"] for row in frame] == ["software", "overlay", "overlay", "software tail"]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingDependencyError, match="pandas"):
        profile().to_dataframe()


@pytest.mark.parametrize("make", (profile, measured, in_software))
def test_plot(make):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    one = make()
    axes = one.plot()
    assert len(axes.patches) == (4 if one.board == "cpu" else 8)
    assert [tick.get_text() for tick in axes.get_yticklabels()][0] == "conv0 (software)"
    assert sum(bar.get_width() for bar in axes.patches[:4]) == pytest.approx(19)
    _, own = pyplot.subplots()
    assert one.plot(ax=own) is own
    pyplot.close("all")


@pytest.mark.parametrize(
    ("rows", "message"),
    (
        ((), "no layers"),
        ((LayerTime("a", "moon", 1, 0.1),), "'moon'"),
        ((LayerTime("a", "software", 1, 0.1, 0.1),), "logic seconds"),
        ((LayerTime("a", "overlay", 1, 0.1),), "logic seconds"),
        ((LayerTime("a", "software", 1, -0.1),), "-0.1"),
        ((LayerTime("a", "overlay", 1, 0.1, float("nan")),), "nan"),
    ),
)
def test_what_makes_no_sense_is_refused(rows, message):
    with pytest.raises(InputError, match=message):
        profile(rows=rows)


def test_configuring_the_logic_counts_in_the_total_where_its_time_is_known():
    one, known, unknown = profile(), profile(reconfigure_seconds=0.5), profile(reconfigure_seconds=None)
    assert known.total_accelerated == pytest.approx(one.total_accelerated + 0.5)
    assert "configuring the logic" in str(known) and "configuring the logic" not in str(one)
    assert unknown.total_accelerated == one.total_accelerated and "no total has it" in str(unknown)
    assert known.as_dict()["reconfigure_seconds"] == 0.5
