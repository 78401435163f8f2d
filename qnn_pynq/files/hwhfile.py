"""The first lines of a .hwh, the hardware handoff that pynq reads beside a .bit: which tool, which part."""
from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ..errors import DescriptorError
from .bounded import XML_ERRORS
from .foreign import foreign_kind, stand_in
from .paths import shortened

__all__ = ["Handoff", "read_handoff"]

_HEAD = 1 << 16


@dataclass(frozen=True)
class Handoff:
    """What a .hwh says of itself; "" where it does not."""

    tool: str  # Vivado 2018.2
    device: str  # 7z020, xczu7ev
    package: str  # clg400


def read_handoff(path: str | os.PathLike[str]) -> Handoff:
    """Read the first 64 KiB of a .hwh.

    Raises
    ------
    DescriptorError
        It is none: what it is, and what to do.
    """
    file = Path(path)
    name = shortened(str(file))
    try:
        if not file.is_file():  # a pipe would be waited for
            raise OSError("no regular file")
        with file.open("rb") as stream:
            head = stream.read(_HEAD)
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        raise DescriptorError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    try:
        return _parse(head)
    except XML_ERRORS as error:
        kind, instead = foreign_kind(head), stand_in(head)
        what = f"is {kind.what}, and no .hwh" if kind is not None and kind.suffix != ".hwh" else f"is no .hwh ({error})"
        advice = "take the one that was exported with the .bit" if instead is None else instead.advice
        raise DescriptorError(f"{name} {what}: {advice}") from error


def _parse(head: bytes) -> Handoff:
    # Expat before 2.4.1 lets entities multiply; UTF-16 would hide them.
    if b"<!ENTITY" in head or b"\0" in head:
        raise ValueError("it has entities of its own, or is no UTF-8")
    parser: Any = ElementTree.XMLPullParser(["start"])
    parser.feed(head)
    elements: list[ElementTree.Element] = []
    for _, element in parser.read_events():
        elements.append(element)
        if element.tag in ("SYSTEMINFO", "MODULES"):
            break
    if not elements or elements[0].tag != "EDKSYSTEM":
        root = shortened(elements[0].tag) if elements else "missing"
        raise ValueError(f"its root is {root}, expected EDKSYSTEM")
    tool = elements[0].get("VIVADOVERSION", "")
    system = elements[-1].attrib if elements[-1].tag == "SYSTEMINFO" else {}
    return Handoff(f"Vivado {tool}" if tool else "", system.get("DEVICE", ""), system.get("PACKAGE", ""))
