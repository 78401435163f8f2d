"""A .bit file is what it says, or is refused with what it is instead; the file decides, never its name."""
from __future__ import annotations

import gzip
import io
import os
import re
import struct
import zipfile
from pathlib import Path

import pytest
from bitfiles import IDCODE, MAGIC, bit_file, header, packets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qnn_pynq.errors import DescriptorError
from qnn_pynq.files.bitfile import MOST_BITSTREAM, Bitstream, read_bitstream

GOOD = bit_file()
STREAM = packets()
SIZE = struct.pack(">I", len(STREAM))


def refusal(folder: Path, data: bytes) -> str:
    """What is said of a file of these bytes, behind its name."""
    path = folder / "x.bit"
    path.write_bytes(data)
    with pytest.raises(DescriptorError) as caught:
        read_bitstream(path)
    said = str(caught.value)
    assert said.startswith(f"{path} ") and "\n" not in said
    return said[len(str(path)) + 1:]


def zipped(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, GOOD)
    return stream.getvalue()


def test_the_header_and_the_stream_of_a_vivado_file_are_told(tmp_path: Path) -> None:
    path = tmp_path / "x.bit"
    path.write_bytes(GOOD)
    assert read_bitstream(path) == Bitstream(
        design="procsys_wrapper", part="7z020clg400", tool="Vivado 2018.2", date="2018/09/20 19:10:44", partial=False,
        idcode=IDCODE, size=len(STREAM))
    assert read_bitstream(str(path)).size == len(STREAM)


@pytest.mark.parametrize("design, tool, partial", [
    ("top;UserID=0XFFFFFFFF;COMPRESS=TRUE;Version=2022.1", "Vivado 2022.1", False),
    ("region_partial;UserID=0XFFFFFFFF;PARTIAL=TRUE;Version=2019.1", "Vivado 2019.1", True),
    ("seed-1.frames;Generator=xc7frames2bit", "xc7frames2bit", False),
    ("top.ncd;HW_TIMEOUT=FALSE;UserID=0xFFFFFFFF", "", False),
    ("top", "", False),
    ("", "", False),
])
def test_options_behind_the_design_are_told_whatever_wrote_them(
        tmp_path: Path, design: str, tool: str, partial: bool) -> None:
    path = tmp_path / "x.bit"
    path.write_bytes(bit_file(design))
    found = read_bitstream(path)
    assert (found.design, found.tool, found.partial) == (design.split(";")[0], tool, partial)


def test_letters_that_no_terminal_should_get_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.bit"
    path.write_bytes(bit_file("t\x1b[2Jop;Version=2018.2"))
    assert read_bitstream(path).design == "t?[2Jop"


KINDS = {
    "empty": (b"", "is empty, and no .bit file: copy or download it again"),
    "LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 4045675\n",
                    "is a Git LFS pointer, a text that stands for the file, and no .bit file: run 'git lfs pull'"),
    "annex pointer": (b"/annex/objects/SHA256E-s4045675--9ea7.bit\n", "is a git-annex pointer.*git annex get"),
    "page": (b"\n<!DOCTYPE html>\n<html lang=en><head><title>Sign in</title>", "is an HTML page, .*download the fi"),
    "page, XHTML": (b'<?xml version="1.0"?><!DOCTYPE html PUBLIC "x"><html>', "is an HTML page"),
    "page with a BOM": (b"\xef\xbb\xbf<html><body>404", "is an HTML page"),
    "xsa": (zipped("design.bit"), r"is a zip archive, such as an .xsa or .dcp, and no .bit file: take the .bit and"),
    "empty zip": (b"PK\x05\x06" + bytes(18), "is an empty zip archive"),
    "gzip": (gzip.compress(GOOD), r"is gzip-compressed, and no .bit file: unpack it \(gunzip\)"),
    "bzip2": (b"BZh91AY&SY", "is bzip2-compressed"),
    "xz": (b"\xfd7zXZ\0\0\4", "is xz-compressed"),
    "zstd": (b"\x28\xb5\x2f\xfd\x24", "is zstd-compressed"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4", "is a 7z archive"),
    "tar": (b"design.bit" + bytes(247) + b"ustar\x0000", "is a tar archive"),
    "ELF": (b"\x7fELF\1\1\1" + bytes(50), "is an ELF file, a program or library, and no .bit file: take the .bit"),
    "xclbin": (b"xclbin2\0" + bytes(50), "is an .xclbin, for XRT"),
    "bin": (STREAM, "is a configuration stream without a header, a .bin, and no .bit file: take the .bit of"),
    "swapped bin": (struct.pack(f"<{len(STREAM) // 4}I", *struct.unpack(f">{len(STREAM) // 4}I", STREAM)),
                    "is a byte-swapped .bin, as the kernel's FPGA manager takes it, and no .bit file: take"),
    "BOOT.BIN": (struct.pack("<8I", *[0xEAFFFFFE] * 8) + b"\x66\x55\x99\xaaXNLX" + bytes(64),
                 r"is a boot image \(BOOT.BIN\)"),
    "rbt": (b"Xilinx ASCII Bitstream\nCreated by Bitstream 2018.2\n", "is an .rbt, a bitstream as text"),
    "mcs": (b":020000040000FA\r\n:10000000FFFF", "is an .mcs, an image for flash memory"),
    "hwh": (b'<?xml version="1.0" encoding="UTF-8"?>\n<EDKSYSTEM EDWVERSION="1.2">', "is an XML text, such as a .hwh"),
    "text": (b"404: Not Found", r'is a text \("404: Not Found"\)'),
    "long text": (b"word " * 500, r'is a text \("(word ){8}"\)'),
    "spaces": (b" \n" * 40, "is white space"),
    "Intel": (b"SOF\0\2\0\0\0", "is an Intel .sof, for another vendor's chips, and no .bit file: build"),
    "Lattice": (b"\xff\0Lattice Semiconductor Corporation Bitstream\0", "is a Lattice bitstream, for another vendor's"),
    "ECP5": (b"\xff\0Part: LFE5U-25F-6CABGA381\0", "is a Lattice bitstream"),
    "iCE40": (b"\xff\0\0\xff\x7e\xaa\x99\x7e\x51\0\1\5", "is an iCE40 bitstream"),
    "zeros": (bytes(5000), "is nothing but zeros where it begins, and no .bit file: it was not written to its end"),
    "noise": (b"\xde\xad\xbe\xef\1\2\3\4\5\6", "is no .bit file: it begins with deadbeef01020304, expected 00090ff0"),
    "sync lost": (header() + b"e" + SIZE + STREAM.replace(b"\xaa\x99\x55\x66", bytes(4)), "has no sync word aa995566"),
    "sync moved": (header() + b"e" + SIZE + b"\xff" + STREAM[:-1], "its sync word is 49 bytes behind the header"),
    "swapped with a header": (header() + b"e" + SIZE + struct.pack(f"<{len(STREAM) // 4}I", *struct.unpack(
        f">{len(STREAM) // 4}I", STREAM)), "has a .bit header and byte-swapped words behind it"),
    "no data": (header() + b"e" + bytes(4), "has no sync word"),
    "too short": (GOOD[:-5], f"was cut off: its header promises {len(STREAM)} bytes, {len(STREAM) - 5} follow: copy"),
    "too long": (GOOD + b"\n", f"has 1 bytes too many: its header promises {len(STREAM)}, {len(STREAM) + 1} follow"),
    "encrypted": (header() + b"e" + struct.pack(">I", 20) + struct.pack(
        ">5I", 0xFFFFFFFF, 0xAA995566, 0x30016004, 1, 2), "is encrypted"),
    "no IDCODE": (bit_file().replace(struct.pack(">I", 0x30018001), struct.pack(">I", 0x30014001)),
                  r"its stream names no part \(IDCODE\) before the frames"),
    "no packets": (header() + b"e" + struct.pack(">I", 12) + struct.pack(">3I", 0xFFFFFFFF, 0xAA995566, 0xC0FFEE00),
                   "word 0 behind its sync word is c0ffee00, not for a register"),
    "ends at IDCODE": (header() + b"e" + struct.pack(">I", 8) + struct.pack(">2I", 0xAA995566, 0x30018001),
                       r"names no part \(IDCODE\)"),
    "endless field": (MAGIC + b"a\xff\xff" + bytes(70_000), "65535 bytes of design, expected at most 4096"),
    "text without its end": (MAGIC + b"a\0\4topp" + GOOD[20:], "its design does not end with a zero byte"),
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_no_bit_file_is_called_what_it_is_with_what_to_do(tmp_path: Path, kind: str) -> None:
    data, expected = KINDS[kind]
    assert re.match(".*" + expected, refusal(tmp_path, data))


def test_folders_pipes_and_what_is_not_there_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(DescriptorError, match="is a folder: expected a .bit file"):
        read_bitstream(tmp_path)
    os.mkfifo(str(tmp_path / "pipe.bit"))  # opening it would wait for ever
    with pytest.raises(DescriptorError, match="pipe.bit is no regular file"):
        read_bitstream(tmp_path / "pipe.bit")
    with pytest.raises(DescriptorError, match="none.bit cannot be read: No such file"):
        read_bitstream(tmp_path / "none.bit")
    with pytest.raises(DescriptorError, match="cannot be read"):
        read_bitstream("nul\0l.bit")


def test_a_file_of_absurd_size_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.bit"
    path.write_bytes(GOOD)
    os.truncate(str(path), MOST_BITSTREAM + 1)
    with pytest.raises(DescriptorError, match="has 268435457 bytes: expected at most 256 MiB of a bitstream"):
        read_bitstream(path)


def test_a_large_bitstream_is_not_read_to_its_end(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "x.bit"
    length = 200 << 20
    path.write_bytes(header() + b"e" + struct.pack(">I", length) + STREAM)
    os.truncate(str(path), len(header()) + 5 + length)
    tracemalloc.start()
    try:
        assert read_bitstream(path).size == length
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("length", range(len(GOOD)))
def test_a_file_that_is_cut_off_anywhere_is_refused_as_that(tmp_path: Path, length: int) -> None:
    said = refusal(tmp_path, GOOD[:length])
    assert "was cut off" in said or not length and said.startswith("is empty")
    if 0 < length < len(header()) + 5:
        assert "in its header, " in said and f"after {length} bytes" in said


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400) | st.binary(max_size=300).map(lambda data: MAGIC + data)
       | st.binary(max_size=300).map(lambda data: header() + b"e" + struct.pack(">I", len(data)) + data))
def test_random_bytes_give_a_bitstream_or_one_sentence(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.bit"
    path.write_bytes(data)
    try:
        found = read_bitstream(path)
    except DescriptorError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error) and len(str(error)) < 500
    else:
        assert data.startswith(MAGIC) and b"\xaa\x99\x55\x66" in data and found.size < len(data)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(header()) + 4), st.integers(1, 255))
def test_a_flipped_byte_of_the_header_changes_texts_alone_or_is_refused(tmp_path: Path, at: int, flip: int) -> None:
    """What is accepted differs in printable texts, never in the stream, its length or its chip."""
    data = bytearray(GOOD)
    data[at] ^= flip
    path = tmp_path / "x.bit"
    path.write_bytes(bytes(data))
    try:
        found = read_bitstream(path)
    except DescriptorError:
        return
    assert (found.size, found.idcode) == (len(STREAM), IDCODE)
    assert all(" " <= letter <= "~" for text in (found.design, found.part, found.date) for letter in text)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 0xFFFFFFFF), st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
       st.binary(max_size=200).map(lambda data: data[:len(data) // 4 * 4]))
def test_whatever_a_header_says_is_read_back(tmp_path: Path, idcode: int, part: str, frames: bytes) -> None:
    path = tmp_path / "x.bit"
    path.write_bytes(bit_file(part=part, idcode=idcode, frames=frames))
    found = read_bitstream(path)
    assert (found.part, found.idcode, found.size) == (part, idcode, len(packets(idcode, frames)))


@pytest.mark.parametrize("name, tool", [
    ("bnn-pynq/bitstreams/lfcW1A1-pynqZ1-Z2.bit", "Vivado 2018.2"),
    ("bnn-pynq/bitstreams/lfcW1A2-pynqZ1-Z2.bit", "Vivado 2018.2"),
    ("qnn-mo/bitstreams/W1A2-pynqZ1-Z2.bit", "Vivado 2017.4"),
])
def test_published_bitstreams_are_read(golden: Path, name: str, tool: str) -> None:
    found = read_bitstream(golden / name)
    assert (found.design, found.part, found.tool, found.partial, found.idcode, found.size) == (
        "procsys_wrapper", "7z020clg400", tool, False, IDCODE, 4045564)


def test_a_published_bitstream_that_was_cut_off_is_refused(golden: Path, tmp_path: Path) -> None:
    data = (golden / "bnn-pynq/bitstreams/lfcW1A1-pynqZ1-Z2.bit").read_bytes()
    assert refusal(tmp_path, data[:1 << 20]).startswith("was cut off: its header promises 4045564 bytes, 1048465 foll")
