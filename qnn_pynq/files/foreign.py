"""What a file is that is not what its name says: by its first bytes, with what to do."""
from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["BIT_HEADER", "FIRST", "SYNC", "Kind", "foreign_kind", "stand_in"]

FIRST = 1024
"""Bytes that are enough to tell."""

BIT_HEADER = b"\0\x09" + b"\x0f\xf0" * 4 + b"\0" + b"\0\x01"  # of a .bit
SYNC = bytes([0xAA, 0x99, 0x55, 0x66])  # of AMD's configuration streams; the kernel's .bin has each word turned round
_TEXT = re.compile(rb"[\t\n\f\r\x20-\x7e\x80-\xff]+\Z")
_PAGE = re.compile(rb"<(!doctype\s+html|html|head|body)\b", re.I)
_AGAIN = "copy or download it again"
_BIT = "take the .bit of the same build"
_DESIGN = "build the design for the board's part"
_OTHERS = ", for another vendor's chips"
_MIXED = "were the files mixed up? " + _AGAIN


class Kind(NamedTuple):
    """`what` it is, with its article, the `advice`, and the suffix that is right for it where that is of interest."""

    what: str
    advice: str
    suffix: str = ""


# The beginnings that formats are known by.
_MAGICS = (
    (b"PK\x03\x04", "a zip archive, such as an .xsa or .dcp", "take the .bit and the .hwh out of it (unzip)"),
    (b"PK\x05\x06", "an empty zip archive", _AGAIN),
    (b"\x1f\x8b", "gzip-compressed", "unpack it (gunzip)"),
    (b"BZh", "bzip2-compressed", "unpack it (bunzip2)"),
    (b"\xfd7zXZ\0", "xz-compressed", "unpack it (unxz)"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed", "unpack it (unzstd)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "take the .bit and the .hwh out of it"),
    (b"\x7fELF", "an ELF file, a program or library", _BIT),
    (b"xclbin2", "an .xclbin, for XRT", _BIT),
    (b"\xd0\x0d\xfe\xed", "a device tree, or a FIT image", _BIT),
    (b"\x89PNG", "a PNG picture", _AGAIN),
    (b"%PDF", "a PDF document", _AGAIN),
    (b"\x93NUMPY", "a numpy array", _AGAIN),
    (b"SOF\0", "an Intel .sof" + _OTHERS, _DESIGN),
    (b"\xff\0Lattice", "a Lattice bitstream" + _OTHERS, _DESIGN),
    (b"\xff\0Part: L", "a Lattice bitstream" + _OTHERS, _DESIGN),
    (b"LSCC", "a Lattice bitstream" + _OTHERS, _DESIGN),
    (b"\xff\0\0\xff\x7e\xaa\x99\x7e", "an iCE40 bitstream" + _OTHERS, _DESIGN),
    (b"\x7e\xaa\x99\x7e", "an iCE40 bitstream" + _OTHERS, _DESIGN),
)


def foreign_kind(data: bytes) -> Kind | None:
    """What a file is by its first `FIRST` bytes; None of data that nothing is known of."""
    data = data[:FIRST]
    if not data:
        return Kind("empty", _AGAIN)
    if data.startswith(BIT_HEADER):
        return Kind("a .bit file", _MIXED, ".bit")
    if data[0x24:0x28] == b"XNLX":
        return Kind("a boot image (BOOT.BIN)", _BIT)
    for magic, what, advice in _MAGICS:
        if data.startswith(magic):
            return Kind(what, advice)
    if data[257:262] == b"ustar":
        return Kind("a tar archive", "take the .bit and the .hwh out of it (tar -xf)")
    if not data.strip(b"\0"):
        return Kind("nothing but zeros where it begins", "it was not written to its end: " + _AGAIN)
    if SYNC in data:
        return Kind("a configuration stream without a header, a .bin", _BIT)
    if SYNC[::-1] in data:
        return Kind("a byte-swapped .bin, as the kernel's FPGA manager takes it", _BIT)
    return (stand_in(data) or _text_kind(_start(data))) if _TEXT.match(data) else None


def _start(data: bytes) -> bytes:
    return (data[3:] if data.startswith(b"\xef\xbb\xbf") else data).lstrip()


def stand_in(data: bytes) -> Kind | None:
    """What servers and repositories give in place of a file, whatever file that is."""
    start = _start(data[:FIRST])
    if start.startswith(b"version https://git-lfs.github.com/spec/"):
        return Kind("a Git LFS pointer, a text that stands for the file",
                    "run 'git lfs pull' where it was cloned, or download the file itself")
    if start.startswith((b"/annex/objects/", b"../.git/annex/", b".git/annex/")):
        return Kind("a git-annex pointer, a text that stands for the file", "run 'git annex get' where it was cloned")
    if _PAGE.search(start):
        return Kind("an HTML page", "a web site answered with a page (a login, an error, a view of the file): download "
                    "the file itself (on GitHub: the raw one)")
    return None


def _text_kind(start: bytes) -> Kind:
    if start.startswith(b"<"):
        return Kind("an XML text, such as a .hwh", _MIXED, ".hwh")
    if start.startswith(b"Xilinx ASCII Bitstream"):
        return Kind("an .rbt, a bitstream as text", _BIT)
    if re.match(rb":[0-9A-Fa-f]{10}", start):
        return Kind("an .mcs, an image for flash memory", _BIT)
    line = " ".join(start[:200].decode("ascii", "replace").split())[:40]
    return Kind(f'a text ("{line}")', _AGAIN) if line else Kind("white space", _AGAIN)
