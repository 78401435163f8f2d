"""Overlays as data: `overlay.json` as typed fields, checked before a board sees them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from .contracts.families import check_overlay
from .contracts.overlay import Ip, Overlay, OverlayFile, Rtl
from .files.bitfile import MOST_BITSTREAM
from .files.fields import Fields, check_format, item_path, read_json, show

__all__ = ["OVERLAY_FORMAT", "OVERLAY_VERSION", "Ip", "Overlay", "OverlayFile", "Rtl", "load_overlay"]

OVERLAY_FORMAT = "qnn-pynq-overlay"
OVERLAY_VERSION = 1

_SLOWEST, _FASTEST = 0.01, 1000  # MHz of a clock
_MOST_FILE = MOST_BITSTREAM
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_HEX = re.compile(r"0x[0-9A-Fa-f]{1,16}\Z")
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z")
_HIGHEST = (1 << 31) - 1  # of a Verilog parameter


def load_overlay(path: str | Path) -> Overlay:
    """Read an overlay directory, or its `overlay.json`.

    Raises
    ------
    DescriptorError
        Names the file, the field, the value, and what is allowed.
    """
    target = Path(path)
    if target.is_dir():
        target = target / "overlay.json"
    fields = Fields(read_json(target), str(target))
    check_format(fields, OVERLAY_FORMAT, OVERLAY_VERSION)
    name = fields.name("name")
    kind = fields.name("kind")
    geometry = fields.take("geometry", "object")
    timing = fields.take("timing", "object", {})
    check_overlay(kind, fields.inner_of("geometry", geometry), fields.inner_of("timing", timing))
    fields.take("limits", "object", {})  # for readers; geometry has what is used
    ips = _read_ips(fields)
    overlay = Overlay(
        name=name,
        title=fields.text("title", name),
        description=fields.text("description", ""),
        kind=kind,
        boards=fields.strings("boards"),
        ip=ips[0],
        clock_mhz=_clock(fields),
        files=_read_files(fields.inner("files")),
        geometry=geometry,
        timing=timing,
        verified=_texts(fields, "verified"),
        home=_texts(fields, "home"),
        path=target.parent,
        resources=fields.take("resources", "object", {}),
        ips=ips,
        rtl=_read_rtl(fields, target.parent),
    )
    fields.done()
    if not overlay.boards:
        fields.fail("boards", "[] is empty: expected at least one board")
    return overlay


def _clock(fields: Fields) -> float:
    clock = float(fields.number("clock_mhz", high=_FASTEST))
    if clock < _SLOWEST:
        fields.fail("clock_mhz", f"{clock} is out of range: expected {_SLOWEST} to {_FASTEST:g}")
    return clock


def _read_ips(fields: Fields) -> tuple[Ip, ...]:
    """`ip`, or all of `ips`, where `ip` may be left out or repeats the first."""
    if not fields.has("ips"):
        fields.take("ips", "list", None)
        return (_read_ip(fields.inner("ip")),)
    ips: list[Ip] = []
    for inner in fields.objects("ips"):
        ip = _read_ip(inner)
        for other in ips:
            if other.name == ip.name:
                inner.fail("name", f'"{ip.name}" is there twice: expected different names')
            if other.address < ip.address + ip.range and ip.address < other.address + other.range:
                problem = "0x{:X} overlaps {} at 0x{:X}: expected windows apart from each other"
                inner.fail("address", problem.format(ip.address, other.name, other.address))
        ips.append(ip)
    first = fields.take("ip", "object", None)
    if first is not None and _read_ip(fields.inner_of("ip", first)) != ips[0]:
        fields.fail("ip", f"is not the first of ips: expected {ips[0].name}, or no ip at all")
    return tuple(ips)


def _read_ip(fields: Fields) -> Ip:
    ip = Ip(fields.text("name"), fields.text("vlnv"), _address(fields, "address"), _address(fields, "range"),
            fields.text("interrupt", None))
    fields.done()
    if ip.range < 4 or ip.address % 4 or ip.range % 4:
        fields.fail("range", f"0x{ip.range:X} at 0x{ip.address:X}: expected multiples of 4")
    return ip


def _address(fields: Fields, key: str) -> int:
    text = fields.take(key, "string")
    if not _HEX.match(text):
        fields.fail(key, f'{show(text)} is no address: expected hexadecimal such as "0x43C00000"')
    return int(text, 16)


def _read_files(fields: Fields) -> dict[str, OverlayFile]:
    files: dict[str, OverlayFile] = {}
    if fields.empty:  # there is no bitstream yet: for emulated boards
        return files
    for key in ("bitstream", "hwh"):
        if key == "bitstream" or fields.has(key):
            inner = fields.inner(key)
            tool = _read_tool(inner) if key == "hwh" else None
            files[key] = replace(_read_file(inner), tool=tool)
    fields.done()
    bit = files["bitstream"].name
    if "hwh" in files and files["hwh"].name.rsplit(".", 1)[0] != bit.rsplit(".", 1)[0]:
        problem = '"{}" does not match "{}": pynq looks for the name of the bitstream, ending in .hwh'
        fields.fail("hwh.name", problem.format(files["hwh"].name, bit))
    return files


def _read_tool(fields: Fields) -> str | None:
    tool: str | None = fields.text("tool", None)
    if tool == "":
        fields.fail("tool", '"" is empty: expected a name such as "Vivado 2019.2"')
    return tool


def _read_file(fields: Fields) -> OverlayFile:
    name, digest = fields.name("name"), _digest(fields)
    size = fields.integer("size", 1, _MOST_FILE)
    urls = fields.strings("urls", ())
    for index, url in enumerate(urls):
        if not url.startswith(("https://", "http://")):
            fields.fail(item_path("urls", index), f"{show(url)} is no web address: expected https://...")
    fields.done()
    return OverlayFile(name, digest, size, urls)


def _digest(fields: Fields) -> str:
    digest = fields.text("sha256")
    if not _SHA256.match(digest):
        fields.fail("sha256", f"{show(digest)} is no digest: expected 64 lower-case hexadecimal digits")
    return digest


def _read_rtl(outer: Fields, folder: Path) -> Rtl | None:
    found = outer.take("rtl", "object", None)
    if found is None:
        return None
    fields = outer.inner_of("rtl", found)
    top, sources = fields.text("top"), fields.text("sources")
    if not _IDENTIFIER.match(top):
        fields.fail("top", f"{show(top)} is no module: expected letters, digits and _")
    if Path(sources).is_absolute():
        fields.fail("sources", f"{show(sources)} is absolute: expected a folder from that of overlay.json")
    given = fields.take("parameters", "object", {})
    inner = fields.inner_of("parameters", given)
    for name in given:
        if not _IDENTIFIER.match(name):
            inner.fail(name, "is no parameter: expected letters, digits and _")
        inner.integer(name, 0, _HIGHEST)
    digest = _digest(fields) if fields.has("sha256") else ""
    built = _texts(fields, "built")
    fields.done()
    return Rtl(top, folder / sources, given, digest, built)


def _texts(fields: Fields, key: str) -> dict[str, str]:
    """An object whose values are all strings."""
    found = fields.take(key, "object", {})
    inner = fields.inner_of(key, found)
    for name in found:
        inner.take(name, "string")
    return found
