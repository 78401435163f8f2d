"""A design's .hwh against its description: the DMAs as they were built, and their addresses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import DescriptorError
from ..files.bounded import XML_ERRORS, read_xml
from ..files.paths import shortened
from .description import Description

__all__ = ["check_hwh"]


def check_hwh(description: Description, path: Path) -> None:
    """Refuse a description that is not the design's.

    Raises
    ------
    DescriptorError
        Lists every difference, with what the design has.
    """
    try:
        root = read_xml(path)
    except XML_ERRORS as error:
        raise DescriptorError(f"{path}: no .hwh: {error}") from error
    modules = {module.get("INSTANCE", ""): module for module in root.iter("MODULE")}
    bases = {span.get("INSTANCE", ""): span.get("BASEVALUE", "") for span in root.iter("MEMRANGE")}
    wrong: list[str] = []
    found = sorted(name for name, each in modules.items() if ":axi_dma:" in each.get("VLNV", ""))
    there = shortened(", ".join(found)) or "none"
    for dma in description.dmas:
        module = modules.get(dma.name)
        if module is None or not module.get("VLNV", "").startswith("xilinx.com:ip:axi_dma:"):
            wrong.append(f"no AXI DMA named {dma.name}; it has {there}")
            continue
        _compare_address(wrong, dma.name, dma.address, bases)
        parameters = {each.get("NAME", "").lower(): each.get("VALUE", "") for each in module.iter("PARAMETER")}
        _compare(wrong, dma, parameters, "length_bits", dma.length_bits, "c_sg_length_width", "14")
        _compare(wrong, dma, parameters, "scatter_gather", int(dma.scatter_gather), "c_include_sg", "1")
        for group, way in ((description.inputs, "mm2s"), (description.outputs, "s2mm")):
            if dma.name not in [stream.dma for stream in group]:
                continue
            _compare(wrong, dma, parameters, "a channel for the stream", 1, "c_include_" + way, "1")
            if dma.unaligned:
                _compare(wrong, dma, parameters, "unaligned", 1, f"c_include_{way}_dre", "0")
            else:
                _compare(wrong, dma, parameters, "data_bits", dma.data_bits, f"c_m_axi_{way}_data_width", "32")
    if description.control == "start":
        if description.ip not in modules:
            wrong.append(f"no block named {description.ip}")
        else:
            _compare_address(wrong, description.ip, description.address, bases)
    if wrong:
        text = "{} is not the design that {} describes; correct the one or build the other:\n  {}"
        raise DescriptorError(text.format(path, description.source, "\n  ".join(wrong)))


def _compare(wrong: list[str], dma: Any, parameters: dict[str, str], key: str, said: int, name: str,
             default: str) -> None:
    value = parameters.get(name, default)
    if value != str(said):
        wrong.append(f"{dma.name}: {key} is {said} in the description, {name} is {value} in the design")


def _compare_address(wrong: list[str], name: str, address: int, bases: dict[str, str]) -> None:
    try:
        base = int(bases.get(name, "-1"), 16)
    except ValueError:
        base = -1
    if base != address:
        wrong.append("{}: the description says {:#x}, the design {}".format(
            name, address, "has no address" if base < 0 else hex(base)))
