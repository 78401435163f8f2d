"""engine.hwh: the descriptor's and the registers' own, whoever reads it. pynq's reading: boards/test_zynq_engine.py."""
from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from engine_bench.cases import Config
from engine_bench.play import Registers
from engine_boards import engine_board
from engine_handoff import DESCRIPTOR, FOLDER, handoff, shipped_overlay
from faked_host import z1

from qnn_pynq.boards.zynq.interrupts import direct_number
from qnn_pynq.boards.zynq.state import clock_number
from qnn_pynq.catalogue import find_overlay
from qnn_pynq.diagnosis.overlays import check_hwh as check_by_doctor
from qnn_pynq.errors import DescriptorError
from qnn_pynq.families.engine.registers import Reg
from qnn_pynq.streams.description import Description
from qnn_pynq.streams.hwh import check_hwh

REGIONS = [f"{region}_{part}" for region in ("IMAGE", "INPUT", "OUTPUT", "SCRATCH")
           for part in ("BASE", "SIZE", "STRIDE")]


@pytest.fixture
def overlay():
    return find_overlay("engine-z7020")


@pytest.fixture
def tree(overlay):
    return ElementTree.fromstring(handoff.handoff(overlay))


def module(tree, kind):
    found = [each for each in tree.iter("MODULE") if each.get("MODTYPE") == kind]
    assert len(found) == 1
    return found[0]


def properties(element):
    return {each.get("NAME"): each.get("VALUE") for each in element.findall("PROPERTY")}


def register_table(tree):
    return {each.get("NAME"): properties(each) for each in module(tree, "engine").iter("REGISTER")}


def parameters(tree):
    return {each.get("NAME"): each.get("VALUE") for each in module(tree, "processing_system7").iter("PARAMETER")}


def test_address_range_type_and_interrupt_are_the_descriptors(tree):
    said = json.loads(DESCRIPTOR.read_text())["ip"]
    engine = module(tree, "engine")
    spans = [each for each in tree.iter("MEMRANGE") if each.get("MEMTYPE") == "REGISTER"]
    assert (engine.get("INSTANCE"), engine.get("VLNV")) == (said["name"], said["vlnv"])
    assert [each.get("INSTANCE") for each in spans] == [said["name"]]
    base, high = (int(spans[0].get(key), 16) for key in ("BASEVALUE", "HIGHVALUE"))
    assert (base, high - base + 1) == (int(said["address"], 16), int(said["range"], 16))
    wired = [each.find("CONNECTIONS/CONNECTION").attrib for each in module(tree, "processing_system7").iter("PORT")
             if each.get("NAME") == "IRQ_F2P"]
    assert ["{INSTANCE}/{PORT}".format(**each) for each in wired] == [said["interrupt"]]


def test_the_part_is_named(tree):
    said = tree.find("SYSTEMINFO").attrib
    assert "xc{DEVICE}{PACKAGE}{SPEEDGRADE}".format(**said) == "xc7z020clg400-1"


def test_every_register_is_there_once_where_it_is(tree):
    table = register_table(tree)
    assert list(table) == [register.name for register in Reg] + REGIONS
    assert len(list(module(tree, "engine").iter("REGISTER"))) == len(table)
    for name in [register.name for register in Reg]:
        assert int(table[name]["ADDRESS_OFFSET"]) == getattr(Registers, name), name
    for number, name in enumerate(REGIONS):
        assert int(table[name]["ADDRESS_OFFSET"]) == Registers.REGIONS + 16 * (number // 3) + 4 * (number % 3)
    assert all(each["SIZE"] == "32" and each["DESCRIPTION"] for each in table.values())


def test_fields_lie_apart_from_one_another(tree):
    counted = 0
    for register in module(tree, "engine").iter("REGISTER"):
        taken = 0
        for field in register.iter("FIELD"):
            said = properties(field)
            mask = (1 << int(said["BIT_WIDTH"])) - 1 << int(said["BIT_OFFSET"])
            assert mask and not mask & taken and mask < 1 << 32
            taken |= mask
            counted += 1
    assert counted == 6 + 2 + 2 + 3 + 4 + 2 + 2  # STATUS, interrupts, CONTROL, capabilities


def test_access_is_what_the_circuit_does(tree):
    held = {"IRQ_ENABLE": 3, "GROUPS": 0xFFFF}
    with engine_board("emulated", Config(4, 2, 4)) as board:
        registers = board.ip("engine_0")
        for name, said in register_table(tree).items():
            if name == "IRQ_STATUS":  # tests/test_engine_registers.py has what a write does
                assert said["ACCESS"] == "read-write"
                continue
            offset = int(said["ADDRESS_OFFSET"])
            before = registers.read(offset)
            value = ~before & 0xFFFFFFF8  # of CONTROL no command
            registers.write(offset, value | (3 if name in held else 0))
            after = registers.read(offset)
            if said["ACCESS"] == "read-write":
                assert after == (value | 3 if name in held else value) & held.get(name, 0xFFFFFFFF), name
            else:
                assert after == before, name
                assert (said["ACCESS"] == "write-only") == (name == "CONTROL")


@pytest.mark.parametrize("mhz", [25, 50, 62.5, 100, 111, 125, 200])
def test_divisors_make_the_descriptors_clock_of_the_boards_pll(overlay, mhz):
    tree = ElementTree.fromstring(handoff.handoff(dataclasses.replace(overlay, clock_mhz=mhz)))
    found = parameters(tree)
    pll = float(found["PCW_CRYSTAL_PERIPHERAL_FREQMHZ"]) * int(found["PCW_IOPLL_CTRL_FBDIV"])
    divided = pll
    for number in range(2):
        divisor = int(found[f"PCW_FCLK0_PERIPHERAL_DIVISOR{number}"])
        assert 1 <= divisor <= 63
        divided /= divisor
    assert pll == 1000 and divided == pytest.approx(mhz, rel=0.01)
    assert float(found["PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ"]) == pytest.approx(divided)
    assert [found[f"PCW_FPGA_FCLK{number}_ENABLE"] for number in range(4)] == ["1", "0", "0", "0"]


@pytest.mark.parametrize("mhz", [75, 90, 0.1])
def test_a_clock_that_no_divisors_make_is_refused(overlay, mhz):
    with pytest.raises(ValueError, match=f"clock_mhz {mhz:g}: 1000 MHz / .*: take such a clock"):
        handoff.handoff(dataclasses.replace(overlay, clock_mhz=mhz))


def test_what_is_no_engine_or_not_its_pin_is_refused(overlay):
    with pytest.raises(ValueError, match="of kind bnn-pynq: expected engine"):
        handoff.handoff(find_overlay("bnn-pynq-lfc-w1a1"))
    with pytest.raises(ValueError, match="interrupt other/irq: expected a pin of engine_0"):
        handoff.handoff(dataclasses.replace(overlay, ip=dataclasses.replace(overlay.ip, interrupt="other/irq")))


def test_an_engine_without_interrupt_has_no_pin(overlay, tmp_path):
    path = tmp_path / "x.hwh"
    path.write_text(handoff.handoff(dataclasses.replace(overlay, ip=dataclasses.replace(overlay.ip, interrupt=None))))
    assert "IRQ_F2P\"" not in path.read_text() and direct_number(path, "engine_0/irq") is None


def test_the_same_descriptor_gives_the_same_bytes_on_any_day(overlay, tmp_path):
    texts = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        subprocess.run([sys.executable, str(FOLDER / "handoff.py"), str(DESCRIPTOR), "--out", str(out)], check=True,
                       cwd=str(tmp_path), env=dict(os.environ, PYTHONHASHSEED=seed), stdout=subprocess.DEVNULL)
        texts.append(out.read_bytes())
    assert texts[0] == texts[1] == handoff.handoff(overlay).encode("utf-8")
    assert b"TIMESTAMP" not in texts[0]
    dated = handoff.handoff(overlay, date="Mon Nov 30 2026")
    assert dated.replace(' TIMESTAMP="Mon Nov 30 2026"', "").encode("utf-8") == texts[0]


def test_the_command_writes_beside_the_descriptor_or_says_why_not(overlay, tmp_path):
    here = tmp_path / "mine"
    here.mkdir()
    document = json.loads(DESCRIPTOR.read_text())
    for clock, code in ((50, 0), (75, 1)):
        (here / "overlay.json").write_text(json.dumps({**document, "clock_mhz": clock}))
        done = subprocess.run([sys.executable, str(FOLDER / "handoff.py"), str(here)], capture_output=True, text=True)
        assert done.returncode == code, done.stderr
    assert done.stderr.startswith("handoff.py: clock_mhz 75: ")
    wanted = handoff.handoff(dataclasses.replace(overlay, clock_mhz=50.0))
    assert (here / "engine.hwh").read_text() == wanted


def test_our_own_readers_find_the_engine_its_clock_and_its_interrupt(tmp_path, monkeypatch):
    overlay = shipped_overlay(tmp_path / "engine-z7020")
    path = overlay.path / "engine.hwh"
    assert clock_number(path, overlay.ip.name) == 0
    assert direct_number(path, overlay.ip.interrupt) == 61
    assert direct_number(path, "engine_0/other") is None
    there = Description("engine", (), (), (), overlay.ip.name, overlay.ip.vlnv, control="start",
                        address=overlay.ip.address)
    check_hwh(there, path)
    with pytest.raises(DescriptorError, match="engine_0: the description says 0x43c10000, the design 0x43c00000"):
        check_hwh(dataclasses.replace(there, address=0x43C10000), path)
    monkeypatch.setenv("QNN_PYNQ_PATH", str(tmp_path))
    found = check_by_doctor(z1(tmp_path / "z1"))
    assert found.status == "ok" and "engine-z7020" in found.value


@pytest.mark.parametrize("text", ["", "<EDKSYSTEM/>", "<MODULE MODTYPE='processing_system7'/>"])
def test_a_hwh_that_says_nothing_of_interrupts_gives_none(tmp_path, text):
    path = tmp_path / "x.hwh"
    path.write_text(text)
    assert direct_number(path, "engine_0/irq") is None
    assert direct_number(tmp_path / "nowhere.hwh", "engine_0/irq") is None
