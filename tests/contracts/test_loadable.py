"""A bitstream is loaded where it is a whole one for the board's part, and of one build with its .hwh."""
from __future__ import annotations

from pathlib import Path

import pytest
from bitfiles import IDCODE, bit_file, hwh_file

from qnn_pynq.contracts.loadable import check_loadable
from qnn_pynq.contracts.parts import IDCODE_MASK, board_part, idcode_of, names_part, part_of
from qnn_pynq.errors import DescriptorError

BOARDS = ("Pynq-Z1", "Pynq-Z2")


def pair(folder: Path, bit: bytes, hwh: bytes | None = None) -> dict[str, Path]:
    files = {"bitstream": folder / "x.bit"}
    files["bitstream"].write_bytes(bit)
    if hwh is not None:
        files["hwh"] = folder / "x.hwh"
        files["hwh"].write_bytes(hwh)
    return files


# Part as Vivado writes it, IDCODE by the BSDL files, .hwh's device and package, boards.
ZCU104 = ("xczu7ev-ffvc1156-2-e", 0x04730093, "xczu7ev", "ffvc1156", ("ZCU104",))
KV260 = ("xck26-sfvc784-2LV-c", 0x04A4A093, "xck26", "sfvc784", ("KV260",))  # any IDCODE: it is not in our table


@pytest.mark.parametrize("part, idcode, device, package, boards", [
    ("7z020clg400", IDCODE, "7z020", "clg400", BOARDS),
    ("xc7z020clg400-1", IDCODE, "7z020", "clg400", BOARDS),
    ("xc7z020clg400-1", 0x23727093, "7z020", "clg400", BOARDS),  # a later revision of the chip
    ("", IDCODE, "", "", BOARDS),
    ("7z020clg484", IDCODE, "7z020", "clg484", ("Zedboard",)),
    ("7z010clg400", 0x03722093, "7z010", "clg400", ("Zybo", "Another")),
    ("xczu3eg-sbva484-1-e", 0x14710093, "xczu3eg", "sbva484", ("Ultra96", "Ultra96-V2")),
    ("xczu48dr-ffvg1517-2-e", 0x047FB093, "xczu48dr", "ffvg1517", ("RFSoC4x2",)),
    ("whatever", 0x12345093, "", "", ("Something",)),
    ZCU104,
    KV260,
])
def test_a_bitstream_for_the_boards_part_is_taken(
        tmp_path: Path, part: str, idcode: int, device: str, package: str, boards: tuple[str, ...]) -> None:
    files = pair(tmp_path, bit_file(part=part, idcode=idcode), hwh_file("2018.2", device, package))
    found = check_loadable(files, boards)
    assert (found.part, found.idcode) == (part, idcode)


@pytest.mark.parametrize("part, idcode, boards, expected", [
    ("7z010clg400", 0x03722093, BOARDS,
     r"x.bit is for another part, 7z010clg400 \(IDCODE 0x03722093, xc7z010\): Pynq-Z1 has xc7z020clg400; build"),
    ("7z020clg484", IDCODE, BOARDS, r"another part, 7z020clg484 \(IDCODE 0x03727093, xc7z020\): Pynq-Z1 has xc7z"),
    ("xc7a100tcsg324-1", 0x03631093, ("Pynq-Z2",), r"another part, xc7a100tcsg324-1 \(IDCODE 0x03631093\): Pynq-Z2"),
    ("", 0x03722093, BOARDS, r"another part, IDCODE 0x03722093, xc7z010: Pynq-Z1 has xc7z020clg400"),
    (*ZCU104[:2], BOARDS, r"another part, xczu7ev-ffvc1156-2-e \(IDCODE 0x04730093, xczu7\): Pynq-Z1"),
    ("7z020clg400", IDCODE, ("ZCU104",), r"another part, 7z020clg400 .*: ZCU104 has xczu7ev; .* or correct 'boards'"),
    ("7z020clg400", IDCODE, ("Unknown", "Pynq-Z2", "KV260"), "KV260 has xck26"),
    ("xczu48dr-ffvg1517-2-e", 0x047FB093, ("ZCU111",), "ZCU111 has xczu28dr"),
    ("7z020clg400", 0x03722093, ("Unknown",),
     r"x.bit is damaged, or two files in one: its header says 7z020clg400, its stream is for another chip \(ID"),
    ("7z020clg400", 0x03727013, BOARDS, r"for another chip \(IDCODE 0x03727013; expected 0x03727093\)"),
    ("xczu3eg-sbva484-1-e", 0x047E6093, ("Ultra96",), r"for another chip \(IDCODE 0x047e6093, xczu39dr; exp"),
])
def test_one_for_another_part_is_refused_with_both_names(
        tmp_path: Path, part: str, idcode: int, boards: tuple[str, ...], expected: str) -> None:
    with pytest.raises(DescriptorError, match=expected):
        check_loadable(pair(tmp_path, bit_file(part=part, idcode=idcode)), boards)


def test_a_partial_one_is_refused(tmp_path: Path) -> None:
    files = pair(tmp_path, bit_file("region;UserID=0XFFFFFFFF;PARTIAL=TRUE;Version=2018.2"), hwh_file())
    with pytest.raises(DescriptorError, match="x.bit is a partial bitstream .*: take the full .bit of the build"):
        check_loadable(files, BOARDS)


GENERATED = "seed-1.frames;Generator=xc7frames2bit"


@pytest.mark.parametrize("design, said", [
    ("top;Version=2018.2", "2018.2"),
    ("top;Version=2020.1", "2020.1.1"),
    ("top;Version=2018.3_AR71898", "2018.3"),
    ("top;Version=2018.2", ""),  # a handoff that was written by hand
    ("top", "2018.2"),
    (GENERATED, ""),
])
def test_a_handoff_of_the_same_tool_or_of_none_is_taken(tmp_path: Path, design: str, said: str) -> None:
    check_loadable(pair(tmp_path, bit_file(design), hwh_file(said)), BOARDS)


@pytest.mark.parametrize("design, by", [("top;Version=2018.2", "Vivado 2018.2"), (GENERATED, "xc7frames2bit")])
def test_a_handoff_of_another_tool_is_refused_unless_the_descriptor_knows_of_it(
        tmp_path: Path, design: str, by: str) -> None:
    files = pair(tmp_path, bit_file(design), hwh_file("2019.2"))
    with pytest.raises(DescriptorError) as caught:
        check_loadable(files, BOARDS)
    said = f"x.bit is by {by}, x.hwh beside it by Vivado 2019.2: they are of different builds"
    assert said in str(caught.value)
    assert str(caught.value).endswith('say so in overlay.json: files.hwh.tool "Vivado 2019.2"')
    check_loadable(files, BOARDS, "Vivado 2019.2")
    with pytest.raises(DescriptorError, match='x.hwh is by Vivado 2019.2; its descriptor says "Vivado 2018.2": take'):
        check_loadable(files, BOARDS, "Vivado 2018.2")


def test_a_handoff_for_another_part_is_refused(tmp_path: Path) -> None:
    for device, package in (("7z010", "clg400"), ("7z020", "clg484")):
        with pytest.raises(DescriptorError, match=f"x.hwh is for {device} {package}, x.bit for 7z020clg400: take"):
            check_loadable(pair(tmp_path, bit_file(), hwh_file("2018.2", device, package)), BOARDS)


def test_what_is_no_handoff_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DescriptorError, match="x.hwh is an HTML page, and no .hwh"):
        check_loadable(pair(tmp_path, bit_file(), b"<html><body>"), BOARDS)


def test_parts_are_known_by_every_way_of_writing_them() -> None:
    assert board_part("PYNQ Z2") == board_part("Pynq-Z1") == "xc7z020clg400" and board_part("Z2") == ""
    assert names_part("xc7z020-clg400-1", "xc7z020clg400") and names_part("xa7z020clg400", "7z020")
    assert not names_part("7z020", "xc7z020clg400")
    assert idcode_of("xc7z020clg400-1") == idcode_of("7z020clg484") == IDCODE
    assert idcode_of("xczu3eg") == 0x04710093 and idcode_of("xczu39dr") == 0x047E6093
    assert idcode_of("xc7z014s") is None and idcode_of("") is None
    assert part_of(0x33727093) == "xc7z020" and part_of(0) == "" and IDCODE & IDCODE_MASK == IDCODE
