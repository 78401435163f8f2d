"""Bitstreams and handoffs for tests, written from UG470 and from what Vivado and xc7frames2bit write."""
from __future__ import annotations

import struct

__all__ = ["IDCODE", "MAGIC", "bit_file", "header", "hwh_file", "packets"]

IDCODE = 0x03727093  # xc7z020
MAGIC = bytes.fromhex("0009 0ff0 0ff0 0ff0 0ff0 00 0001")
DESIGN = "procsys_wrapper;UserID=0XFFFFFFFF;Version=2018.2"


def header(design: str = DESIGN, part: str = "7z020clg400", date: str = "2018/09/20", time: str = "19:10:44") -> bytes:
    """Up to field d."""
    head = MAGIC
    for key, text in zip(b"abcd", (design, part, date, time)):
        value = text.encode("utf-8") + b"\0"
        head += bytes([key]) + struct.pack(">H", len(value)) + value
    return head


def packets(idcode: int = IDCODE, frames: bytes = bytes(64)) -> bytes:
    """Padding, bus width, sync word, the commands of Vivado until IDCODE, and frames."""
    data = [0xFFFFFFFF] * 8 + [0x000000BB, 0x11220044, 0xFFFFFFFF, 0xFFFFFFFF, 0xAA995566, 0x20000000, 0x30022001, 0,
                               0x30020001, 0, 0x30008001, 0, 0x20000000, 0x30008001, 7, 0x30012001, 0x02003FE5,
                               0x30018001, idcode, 0x30008001, 1, 0x30004000, 0x50000000 | len(frames) // 4]
    return struct.pack(f">{len(data)}I", *data) + frames


def bit_file(design: str = DESIGN, part: str = "7z020clg400", idcode: int = IDCODE,
             frames: bytes = bytes(64)) -> bytes:
    """A .bit that is whole as far as its header and its first packets go."""
    stream = packets(idcode, frames)
    return header(design, part) + b"e" + struct.pack(">I", len(stream)) + stream


def hwh_file(tool: str = "2018.2", device: str = "7z020", package: str = "clg400", inner: str = "") -> bytes:
    """A .hwh of that Vivado."""
    return (f'<?xml version="1.0" encoding="UTF-8" standalone="no" ?>\n<EDKSYSTEM EDWVERSION="1.2" '
            f'VIVADOVERSION="{tool}">\n<SYSTEMINFO ARCH="zynq" DEVICE="{device}" NAME="procsys" PACKAGE="{package}" '
            f'SPEEDGRADE="-1"/>\n<MODULES>{inner}</MODULES></EDKSYSTEM>\n').encode()
