"""Reading of stream descriptions: JSON or dicts, every field checked before anything is made of it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Sequence, Union

import numpy as np

from ..contracts.chip import ADDRESSES
from ..errors import DescriptorError
from ..files.fields import Fields, check_format, read_json, show
from .description import (
    CIRCUIT_ADDRESS,
    DESCRIPTION_FORMAT,
    DESCRIPTION_VERSION,
    DMA_ADDRESS,
    WINDOW,
    Description,
    Dma,
    Stream,
)
from .names import CELLS, SUFFIXES, check_identifier, hexadecimal, read_address
from .types import StreamType, parse_type

__all__ = ["Source", "describe", "load_description", "read_description"]

_LEAST_WINDOW = 128  # bytes: what Vivado gives, and more than the registers of a DMA
_MAX_ELEMENTS = 1 << 24  # of one sample
_MAX_SIDES = 16
_VLNV = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}(:[A-Za-z0-9][A-Za-z0-9._-]{0,60}){3}\Z")
_BEATS = (8, 16, 32, 64, 128, 256, 512, 1024)  # bits that an AXI DMA can have

Source = Union[str, "os.PathLike[str]", dict, Description]


def load_description(source: Source) -> Description:
    """A description from a JSON file, from a dict like it, or as it is.

    Raises
    ------
    DescriptorError
        Names the file, the field, the value, and what is allowed.
    """
    if isinstance(source, Description):
        return source
    if isinstance(source, dict):
        return read_description(Fields(_as_json(source), "description"))
    if not isinstance(source, (str, os.PathLike)):
        raise DescriptorError(f"{source!r} is no description: expected a JSON file, a dict, or a Description")
    return read_description(Fields(read_json(Path(source)), str(source)))


def _as_json(value: Any, depth: int = 5) -> Any:
    """Tuples, numpy's numbers and types, which Python has and JSON has not."""
    if isinstance(value, dict) and depth:
        return {key: _as_json(inner, depth - 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)) and depth:
        return [_as_json(inner, depth - 1) for inner in value]
    if isinstance(value, np.generic):
        return value.item()
    return value.text if isinstance(value, StreamType) else value


def describe(name: str, inputs: Sequence[dict[str, Any]], outputs: Sequence[dict[str, Any]],
             **fields: Any) -> Description:
    """A description in Python: the fields of the JSON file, without its format and version."""
    return load_description({"format": DESCRIPTION_FORMAT, "version": DESCRIPTION_VERSION, "name": name,
                             "inputs": inputs, "outputs": outputs, **fields})


def read_description(fields: Fields) -> Description:
    """What the fields of a JSON object say."""
    check_format(fields, DESCRIPTION_FORMAT, DESCRIPTION_VERSION)
    name = fields.text("name")
    check_identifier(fields, "name", name)
    control = fields.take("control", "string", "none", allowed=("none", "start"))
    inputs = tuple(_read_stream(inner, True) for inner in fields.objects("inputs"))
    outputs = tuple(_read_stream(inner, False) for inner in fields.objects("outputs"))
    ip = fields.inner_of("ip", fields.take("ip", "object", {}))
    timing = fields.take("timing", "object", {})
    description = Description(
        name=name,
        inputs=inputs,
        outputs=outputs,
        dmas=_read_dmas(fields, inputs + outputs),
        ip=_read_instance(ip, name + "_0"),
        vlnv=_read_vlnv(ip, f"xilinx.com:hls:{name}:1.0"),
        title=fields.text("title", name),
        control=control,
        address=read_address(ip, "address", CIRCUIT_ADDRESS),
        range=read_address(ip, "range", WINDOW),
        clock_mhz=float(fields.number("clock_mhz", 100.0, 1000.0)),
        boards=fields.strings("boards", ("Pynq-Z1", "Pynq-Z2")),
        max_samples=fields.integer("max_samples", 1, 1 << 30, None),
        source=fields.source,
        **_read_timing(fields.inner_of("timing", timing)),
    )
    ip.done()
    fields.done()
    _check_together(fields, description)
    return description


def _read_instance(fields: Fields, default: str) -> str:
    name: str = fields.text("name", default)
    if name != default:  # that is as good as the circuit's name, and longer
        check_identifier(fields, "name", name)
    return name


def _read_vlnv(fields: Fields, default: str) -> str:
    text: str = fields.text("vlnv", default)
    if not _VLNV.match(text):
        problem = '"{}" is not allowed: expected vendor:library:name:version, such as "{}"'
        fields.fail("vlnv", problem.format(text, default))
    return text


def _read_timing(fields: Fields) -> dict[str, float]:
    found = {}
    for key in ("cycles_per_sample", "latency_cycles"):
        value = fields.take(key, "number", 0)
        if not 0 <= value <= 1e12:
            fields.fail(key, f"{value} is out of range: expected 0 to 1e12 cycles")
        found[key] = float(value)
    fields.done()
    return found


def _read_stream(fields: Fields, is_input: bool) -> Stream:
    name = fields.text("name")
    check_identifier(fields, "name", name)
    text = fields.text("type")
    try:
        kind = parse_type(text)
    except DescriptorError as error:
        fields.fail("type", str(error))
    shape = _read_shape(fields)
    raw = fields.take("raw", "true or false", False)
    if raw and kind.kind != "fixed":
        fields.fail("raw", f"true is for fixed point: {kind.text} has no other numbers than its own")
    if kind.kind == "fixed" and kind.width > 53 and not raw:
        problem = '"{}" has more bits than a float64 holds: expected up to 53, or "raw": true'
        fields.fail("type", problem.format(kind.text))
    port = fields.take("port", "string", "dma", allowed=("dma", "axi-master"))
    more: dict[str, Any] = {"dma": None}
    if port == "dma":
        more = {
            "dma": fields.text("dma", "axi_dma_0"),
            "tlast": fields.take("tlast", "string", "batch",
                                 allowed=("batch", "sample", "never") if is_input else ("batch", "sample")),
            "lanes": fields.integer("lanes", 1, 128, 1),
        }
        check_identifier(fields, "dma", more["dma"])
    if is_input:
        more["rounding"] = fields.take("rounding", "string", "nearest", allowed=("nearest", "type"))
        more["overflow"] = fields.take("overflow", "string", "refuse", allowed=("refuse", "saturate", "type"))
    fields.done()
    stream = Stream(name, kind, shape, raw=raw, **more)
    if stream.elements % stream.lanes:
        fields.fail("lanes", f"{stream.lanes} do not divide the {stream.elements} numbers of a sample")
    if port == "dma" and stream.beat_bits not in _BEATS:
        fields.fail("lanes", "{} of {} bits make {} bits in a beat: expected {}".format(
            stream.lanes, kind.container_bits, stream.beat_bits, ", ".join(map(str, _BEATS))))
    return stream


def _read_shape(fields: Fields) -> tuple[int, ...]:
    sizes = fields.items("shape", _MAX_SIDES)
    count = 1
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            fields.fail("shape", f"{show(sizes)} is no shape of a sample: expected whole numbers from 1")
        count *= size
    if count > _MAX_ELEMENTS:
        problem = "{} are too many: expected up to {} numbers in up to {} dimensions"
        fields.fail("shape", problem.format(show(sizes), _MAX_ELEMENTS, _MAX_SIDES))
    return tuple(sizes)


def _read_dmas(fields: Fields, streams: Sequence[Stream]) -> tuple[Dma, ...]:
    """Those that are described, then those that a stream names only; in the order of their first mention."""
    found: dict[str, Dma] = {}
    widest: dict[str, int] = {}
    for stream in streams:
        if stream.dma is not None:
            widest[stream.dma] = max(32, widest.get(stream.dma, 0), stream.beat_bits)
    for inner in fields.objects("dmas") if fields.has("dmas") else fields.take("dmas", "list", []):
        name = inner.text("name")
        check_identifier(inner, "name", name)
        if name in found or name not in widest:
            inner.fail("name", '"{}" is {}'.format(name, "there twice" if name in found else "the DMA of no stream"))
        found[name] = Dma(
            name,
            read_address(inner, "address", DMA_ADDRESS + WINDOW * len(found)),
            read_address(inner, "range", WINDOW),
            inner.integer("length_bits", 8, 26, 26),
            inner.take("scatter_gather", "true or false", False),
            inner.take("data_bits", "integer", widest[name], allowed=(32, 64, 128, 256, 512, 1024)),
            inner.take("unaligned", "true or false", False),
            inner.take("interrupt", "true or false", False),
        )
        inner.done()
        if found[name].data_bits < widest[name]:
            inner.fail("data_bits", f"{found[name].data_bits} are fewer than the {widest[name]} of a beat")
    for name in widest:
        if name not in found:
            found[name] = Dma(name, DMA_ADDRESS + WINDOW * len(found), data_bits=widest[name])
    return tuple(found.values())


def _check_together(fields: Fields, description: Description) -> None:
    """What no field alone can say."""
    names = [description.name]
    for stream in description.streams:
        if stream.name.lower() in [name.lower() for name in names]:  # VHDL knows no difference
            problem = 'the name "{}" is taken: expected different names, and another than the circuit\'s'
            fields.fail("inputs, outputs", problem.format(stream.name))
        names.append(stream.name)
    for name in names:
        for other in names:
            if name == "end_" + other or name.startswith(other + "_") and name[len(other) + 1:] in SUFFIXES:
                problem = 'the name "{}" is one that the C++ of "{}" needs: expected another'
                fields.fail("inputs, outputs", problem.format(name, other))
    for what, group in (("inputs", description.inputs), ("outputs", description.outputs)):
        dmas = [stream.dma for stream in group if stream.dma is not None]
        for dma in dmas:
            if dmas.count(dma) > 1:
                fields.fail(what, f'the DMA "{dma}" has one channel each way: give each stream its own')
    if description.control == "none":
        if any(stream.dma is None for stream in description.streams):
            fields.fail("control", '"none" gives no address to an AXI master: expected "start"')
        told = any(stream.tlast == "batch" for stream in description.inputs)
        for stream in description.outputs:
            if stream.tlast == "batch" and not told:
                problem = ('nothing tells the circuit where the batch of "{}" ends: expected an input whose tlast is '
                           '"batch", "tlast": "sample", or "control": "start"')
                fields.fail("outputs", problem.format(stream.name))
    if not description.boards:
        fields.fail("boards", "[] is empty: expected at least one board")
    cells = list(CELLS)
    for name in [dma.name for dma in description.dmas] + [description.ip]:
        if name.lower() in cells:
            fields.fail("dmas, ip", f'the name "{name}" is another block\'s of the design: expected another')
        cells.append(name.lower())
    windows = [(dma.name, dma.address, dma.range) for dma in description.dmas]
    if description.control == "start":
        windows.append((description.ip, description.address, description.range))
    for index, (name, address, size) in enumerate(windows):
        if size < _LEAST_WINDOW or address + size > ADDRESSES:
            problem = "{} has {} bytes at {}: expected at least {}, within 32 bits"
            fields.fail("dmas, ip", problem.format(name, hexadecimal(size), hexadecimal(address), _LEAST_WINDOW))
        for other, start, length in windows[:index]:
            if address < start + length and start < address + size:
                fields.fail("dmas", f"{name} at {hexadecimal(address)} overlaps {other}: expected windows apart from "
                                    "each other")
