"""The tool that reads bitstreams back, on files and on a chip that are made up here."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import small_chip
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from readback import checks, cli, frames, packets  # noqa: E402
from readback.clocks import Buffers  # noqa: E402
from readback.database import Database, parse_segbits  # noqa: E402
from readback.errors import NotModelledError, ReadbackError  # noqa: E402
from readback.fasm import read_fasm  # noqa: E402
from readback.features import explain  # noqa: E402
from readback.memories import Memories  # noqa: E402
from readback.netlist import ONE, ZERO, Extractor  # noqa: E402
from readback.processor import Port, Processor  # noqa: E402
from readback.slices import Slices, reduce_table  # noqa: E402
from readback.verilog import write_verilog  # noqa: E402
from readback.wires import Pin, Wiring  # noqa: E402

L, INT = "LOGIC_X0Y0.SLICEL_X0", "INT_X1Y0"
# irq = not resetn, by a LUT whose second input is not connected
INVERTER = [f"{L}.ALUT.INIT[{bit:02}]" for bit in range(64) if not bit & 1] + [f"{INT}.IMUX0.PS_OUT",
                                                                               f"{INT}.PS_IN.LOGIC_OUT"]
EMPTY = small_chip.words_for([])


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    return Database(small_chip.write_database(tmp_path_factory.mktemp("tiny")), small_chip.PART)


def read(database, wanted):
    """Features of a bitstream with these ones."""
    data = small_chip.bit_file(small_chip.stream(small_chip.words_for(wanted)))
    return explain(database, frames.collect(packets.parse(data), database.part))


def netlist(database, wanted):
    """Verilog of a bitstream with these features."""
    features = read(database, wanted)
    extractor = Extractor(database, features, Wiring(database, features))
    for model in (Slices, Buffers, Memories):
        model(extractor)
    processor = Processor(extractor, (Port("clk", False, 1, "FCLKCLK0"), Port("resetn", False, 1, "FCLKRESETN0"),
                                      Port("irq", True, 1, "IRQF2P0")))
    processor.start()
    extractor.run()
    out = io.StringIO()
    write_verilog(out, "engine", extractor, processor)
    return out.getvalue()


# -- packets ------------------------------------------------------------------------------------------------------
def test_header_and_writes_of_a_file():
    found = packets.parse(small_chip.bit_file(small_chip.stream(EMPTY)))
    assert found.header == {"design": "design", "part": "tiny1abc", "date": "2026/11/30", "time": "12:00:00"}
    assert found.idcode == small_chip.IDCODE
    assert packets.sequence(found) == [f"IDCODE {small_chip.IDCODE:08x}", "FAR 00000000", "CMD WCFG",
                                       "FDRI 606 words", "CMD DESYNC"]


GOOD = small_chip.stream(EMPTY)
BROKEN = {
    "empty": (b"", "no .bit header"),
    "page": (b"<!DOCTYPE html>", "no .bit header"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1", "no .bit header"),
    "bare stream": (GOOD, "no .bit header"),
    "header breaks off": (small_chip.bit_file(GOOD)[:19], "breaks off"),
    "header ends early": (small_chip.bit_file(GOOD)[:23], "has no field b"),
    "truncated": (small_chip.bit_file(GOOD)[:-4], "bytes, the file has"),
    "longer": (small_chip.bit_file(GOOD) + b"\0", "bytes, the file has"),
    "no sync word": (small_chip.bit_file(GOOD.replace(b"\xaa\x99\x55\x66", b"\0\0\0\0")), "no sync word"),
    "not aligned": (small_chip.bit_file(b"\0" + GOOD), "no multiple of 4"),
    "no end": (small_chip.bit_file(small_chip.stream(EMPTY, desync=False)), "without the command DESYNC"),
    "write breaks off": (small_chip.bit_file(GOOD[:400]), "breaks off"),
    "no packet": (small_chip.bit_file(GOOD[:8] + b"\xe0\0\0\0" + GOOD[8:]), "is no packet"),
    "reads": (small_chip.bit_file(GOOD[:8] + b"\x28\x01\x80\x01" + GOOD[8:]), "does not configure"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_with_a_sentence(name):
    data, text = BROKEN[name]
    with pytest.raises(ReadbackError, match=text):
        packets.parse(data)


@given(st.binary(max_size=300), st.integers(0, 2**16))
def test_whatever_the_bytes_the_answer_is_a_bitstream_or_a_sentence(noise, at):
    data = bytearray(small_chip.bit_file(GOOD))
    at %= len(data)
    data[at:at + len(noise)] = noise
    try:
        packets.parse(bytes(data))
    except ReadbackError as error:
        assert str(error)


def test_streams_differ_where_they_do_but_for_the_digest():
    one = packets.parse(small_chip.bit_file(GOOD))
    assert checks.against_stream(one, one) == []
    other = packets.parse(small_chip.bit_file(small_chip.stream(EMPTY, idcode=1)))
    assert checks.against_stream(one, other) == [f"IDCODE {small_chip.IDCODE:08x}, not IDCODE 00000001"]
    digest = packets.Bitstream({}, [packets.Write("CRC", np.array([7], np.uint32))])
    renewed = packets.Bitstream({}, [packets.Write("CMD", np.array([7], np.uint32))])
    assert checks.against_stream(renewed, digest) == []
    assert checks.against_stream(digest, packets.Bitstream({}, [])) == ["1 writes, not 0"]


# -- frames -------------------------------------------------------------------------------------------------------
def test_addresses_go_by_bus_half_row_column_and_minor():
    columns = {"configuration_columns": {"0": {"frame_count": 2}, "10": {"frame_count": 1}, "2": {"frame_count": 1}}}
    row = {"configuration_buses": {"CLB_IO_CLK": columns, "BLOCK_RAM": {"configuration_columns": {
        "1": {"frame_count": 1}}}}}
    halves = {"bottom": {"rows": {"0": row, "1": row}}, "top": {"rows": {"0": row}}}
    part = {"idcode": 0, "global_clock_regions": halves}
    found = [[address.word() for address in line] for line in frames.addresses(part)]
    assert found == [[0x000000, 0x000001, 0x000100, 0x000500], [0x400000, 0x400001, 0x400100, 0x400500],
                     [0x420000, 0x420001, 0x420100, 0x420500], [0x800080], [0xC00080], [0xC20080]]


def test_frames_lose_their_error_correction_and_nothing_else(database):
    words = EMPTY.copy()
    words[:4, 50] = 0xFFFFFFFF
    words[1, 3] = 5
    found = frames.collect(packets.parse(small_chip.bit_file(small_chip.stream(words))), database.part)
    words[:4, 50] = 0xFFFFE000
    assert (found.words == words[:4]).all()
    assert found.rows == {0: 0, 1: 1, 2: 2, 3: 3}


def test_frames_that_are_not_the_part_s_are_refused(database):
    def collect(words, **options):
        return frames.collect(packets.parse(small_chip.bit_file(small_chip.stream(words, **options))), database.part)

    with pytest.raises(ReadbackError, match="IDCODE 00000001, the database for 01234093"):
        collect(EMPTY, idcode=1)
    with pytest.raises(ReadbackError, match="505 words of frames, the part has 606"):
        collect(EMPTY[1:])
    with pytest.raises(ReadbackError, match="a partial stream"):
        collect(EMPTY, far=0x80)
    padded = EMPTY.copy()
    padded[5, 0] = 1
    with pytest.raises(ReadbackError, match="pad frames"):
        collect(padded)


# -- features -----------------------------------------------------------------------------------------------------
def test_a_feature_has_bits_that_are_set_and_bits_that_are_not():
    first, second = parse_segbits("T.A.INIT[007] 01_02 !3_115\n\nT.B !0_0\n", "t.db")
    assert first == ("A.INIT[7]", ((1, 2),), ((3, 115),))
    assert second == ("B", (), ((0, 0),))


@pytest.mark.parametrize("line", ["T.A 1_x", "T.A", "T 1_2", "T.A !!1_2", "T.A 1_2 -1_3"])
def test_a_line_that_is_no_feature_is_refused(line):
    with pytest.raises(ReadbackError, match="t.db, line 2"):
        parse_segbits(f"T.A 1_2\n{line}\n", "t.db")


def test_set_bits_are_explained_and_others_are_counted(database):
    found = read(database, [*INVERTER, f"{L}.AFFMUX.AX"])
    assert found.unexplained == []
    assert found.bits == len(INVERTER) + 1
    assert {f"{tile}.{name}" for tile, names in found.tiles.items() for name in names} == {
        re.sub(r"\[0(\d)\]", r"[\1]", name) for name in [*INVERTER, f"{L}.AFFMUX.AX"]}
    assert "SLICEL_X0.NOCLKINV" in found.implied["LOGIC_X0Y0"]
    words = small_chip.words_for(INVERTER)
    words[1, 0] |= 3    # two ways at once: neither holds
    words[3, 100] = 1 << 31  # nobody's
    data = packets.parse(small_chip.bit_file(small_chip.stream(words)))
    assert explain(database, frames.collect(data, database.part)).unexplained == [(1, 0, 0), (1, 0, 1), (3, 100, 31)]


def test_fasm_is_read_bit_by_bit(tmp_path):
    path = tmp_path / "a.fasm"
    path.write_text("# nothing\nT_X0Y0.A.B\nT_X0Y0.I[05:2] = 4'b1001\nT_X0Y0.I[007] = 1\nT_X0Y0.OFF = 0\n")
    assert list(read_fasm(path)) == [("T_X0Y0", name) for name in ("A.B", "I[2]", "I[5]", "I[7]")]
    path.write_text("T_X0Y0.A\nwhat is this\n")
    with pytest.raises(ReadbackError, match="line 2"):
        list(read_fasm(path))


def test_what_was_asked_for_is_compared_with_what_came_back(database, tmp_path):
    path = tmp_path / "a.fasm"
    path.write_text("\n".join([*INVERTER, f"{L}.NOCLKINV", f"{INT}.IMUX1.VCC_WIRE", f"{L}.LATCH"]))
    found = checks.against_fasm(database, read(database, [*INVERTER, f"{L}.CLKINV"]), path)
    assert found == {"asked": len(INVERTER) + 3, "without bits": 1, "unasked": [f"{L}.CLKINV"],
                     "lost": [f"{L}.LATCH", f"{L}.NOCLKINV"]}


# -- wires --------------------------------------------------------------------------------------------------------
def test_switches_without_a_source_and_nodes_with_two_are_found(database):
    def check(*wanted):
        features = read(database, list(wanted))
        return Wiring(database, features).check()

    assert check(*INVERTER) == {"switches": 2, "driven": 2, "undriven": [], "contested": []}
    found = check(f"{INT}.PS_IN.LOGIC_OUT", f"{INT}.PS_IN.LOGIC_MUX")
    assert found["driven"] == 2
    assert len(found["contested"]) == 1
    assert "PS_IN" in found["contested"][0]


def test_what_nothing_drives_is_one_where_the_chip_says_so(database):
    wiring = Wiring(database, read(database, []))
    assert wiring.source("LOGIC_X0Y0", "L_A1") == 1
    assert wiring.source("LOGIC_X0Y0", "L_CE") is None


# -- netlist ------------------------------------------------------------------------------------------------------
@given(st.integers(0, 2**16 - 1), st.lists(st.sampled_from([ZERO, ONE, "x", "y", "z"]), min_size=4, max_size=4))
def test_a_table_means_the_same_without_inputs_that_do_not_matter(table, nets):
    less, kept = reduce_table(table, nets)
    for values in range(8):
        value = {ZERO: 0, ONE: 1, **{name: values >> bit & 1 for bit, name in enumerate("xyz")}}
        assert table >> sum(value[net] << place for place, net in enumerate(nets)) & 1 \
            == less >> sum(value[net] << place for place, net in enumerate(kept)) & 1
    for place in range(len(kept)):  # and each that is left does
        assert any((less >> index ^ less >> (index | 1 << place)) & 1 for index in range(1 << len(kept)))


def test_a_lut_keeps_the_inputs_that_matter(database):
    text = netlist(database, INVERTER)
    assert "LUT1 #(.INIT(2'h1)) LOGIC_X0Y0_0_AO6_LUT (.I0(resetn), .O(LOGIC_X0Y0_0_AO6));" in text
    assert "assign irq = LOGIC_X0Y0_0_AO6;" in text


def test_what_is_in_use_and_not_connected_or_not_chosen_is_refused(database):
    with pytest.raises(ReadbackError, match="nothing drives pin IRQF2P0"):
        netlist(database, [])
    with pytest.raises(ReadbackError, match="AOUTMUX of LOGIC_X0Y0_0 is in use and selects nothing"):
        netlist(database, [f"{INT}.PS_IN.LOGIC_MUX"])


def test_the_second_half_of_a_lut_has_a_table_of_its_own(database):
    # of 5 inputs: the first one as it is; in the upper half of the table, nothing
    table = [f"{L}.ALUT.INIT[{bit:02}]" for bit in range(32) if bit & 1]
    text = netlist(database, [*table, f"{L}.AOUTMUX.O5", f"{INT}.IMUX0.PS_OUT", f"{INT}.PS_IN.LOGIC_MUX"])
    assert "LUT1 #(.INIT(2'h2)) LOGIC_X0Y0_0_AO5_LUT (.I0(resetn), .O(LOGIC_X0Y0_0_AO5));" in text


CLOCKED = [f"{INT}.CLK0.PS_CLK", f"{L}.AFFMUX.AX", f"{INT}.IMUX0.PS_OUT"]
FLOPS = {
    "reset at 0 for good": ([f"{L}.AFF.ZRST", f"{L}.AFF.ZINI"], "FDRE", "1'b0", {"CE": [ONE], "R": [ZERO]}),
    "reset that is used": ([f"{L}.AFF.ZRST", f"{L}.FFSYNC", f"{L}.SRUSEDMUX", f"{INT}.FAN0.PS_OUT"],
                           "FDRE", "1'b1", {"CE": [ONE], "R": ["resetn"]}),
    "set, enable": ([f"{L}.AFF.ZINI", f"{L}.FFSYNC", f"{L}.SRUSEDMUX", f"{L}.CEUSEDMUX", f"{INT}.FAN0.PS_OUT"],
                    "FDSE", "1'b0", {"CE": ["resetn"], "S": ["resetn"]}),
}


def flop(database, wanted):
    """The flip-flop of the small chip's slice."""
    features = read(database, CLOCKED + wanted)
    extractor = Extractor(database, features, Wiring(database, features))
    Processor(extractor)
    assert Slices(extractor).output(Pin("LOGIC_X0Y0", 0, "AQ"), database.type("LOGIC").sites[0]) == "LOGIC_X0Y0_0_AQ"
    extractor.run()
    return extractor.cells[0]


@pytest.mark.parametrize("name", FLOPS)
def test_a_flip_flop_is_what_its_settings_say(database, name):
    wanted, kind, start, ports = FLOPS[name]
    cell = flop(database, wanted)
    assert (cell.kind, cell.parameters) == (kind, {"INIT": start})
    assert cell.ports == {**ports, "C": ["clk"], "D": ["resetn"], "Q": ["LOGIC_X0Y0_0_AQ"]}


@pytest.mark.parametrize("wanted, text", [
    ([f"{L}.LATCH"], "LOGIC_X0Y0.SLICEL_X0.LATCH"), ([f"{L}.CLKINV"], "LOGIC_X0Y0.SLICEL_X0.CLKINV"),
    ([f"{L}.SRUSEDMUX", f"{INT}.FAN0.PS_OUT"], "AFF of LOGIC_X0Y0_0 with an asynchronous reset")])
def test_what_is_not_modelled_stops_with_its_name(database, wanted, text):
    with pytest.raises(NotModelledError, match=text):
        flop(database, wanted)


# -- command ------------------------------------------------------------------------------------------------------
def test_the_command_says_what_holds_and_what_does_not(database, tmp_path, capsys):
    def run(data, *options):
        path = tmp_path / "a.bit"
        path.write_bytes(data)
        return cli.main([str(path), "--database", str(database.folder), "--part", small_chip.PART, *options])

    assert run(small_chip.bit_file(small_chip.stream(small_chip.words_for(INVERTER)))) == 0
    assert '"driven": 2' in capsys.readouterr().out
    words = EMPTY.copy()
    words[0, 90] = 1
    assert run(small_chip.bit_file(small_chip.stream(words)), "--report", str(tmp_path / "r.json")) == 1
    assert "bit 0 of word 90 in frame 00000000 belongs to no feature" in (tmp_path / "r.json").read_text()
    assert run(b"") == 2
    assert "no .bit header" in capsys.readouterr().err


def test_the_command_needs_a_database(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv(cli.VARIABLE, raising=False)
    with pytest.raises(SystemExit):
        cli.main([str(tmp_path / "a.bit")])
    assert "no database" in capsys.readouterr().err
    assert cli.main([str(tmp_path / "a.bit"), "--database", str(tmp_path)]) == 2
    assert "holds no database" in capsys.readouterr().err
