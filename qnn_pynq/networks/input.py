"""The input of `network.json`: size, framing, crop and encoding of a picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..contracts.layer import ArrayWriter
from ..contracts.network import Crop, Encoding, Framing, InputSpec, Letterbox
from ..files.fields import Fields, item_path
from ..files.npyfile import ArrayFolder, all_finite
from .dense import MAX_WIDTH

__all__ = ["FILTERS", "read_input", "write_input"]

FILTERS = ("lanczos", "bicubic", "opencv-cubic")
_MAX_SIDE = 4096
_MAX_CHANNELS = 1 << 14  # of codes; of pictures 1 or 3


def read_input(fields: Fields, arrays: ArrayFolder) -> InputSpec:
    """The object "input"; its arrays are those of `arrays`."""
    size = fields.pair("size", _MAX_SIDE)
    channels = _read_channels(fields)
    polarity = fields.take("polarity", "string", "as-is", allowed=("light-on-dark", "dark-on-light", "as-is"))
    framing = None
    frame = fields.take("framing", "object", None)
    if frame is not None:
        if channels != 1:
            fields.fail("framing", "finds an object in grey pictures: expected channels 1, or a crop in its place")
        inner = fields.inner_of("framing", frame)
        centre = inner.take("centre", "string", allowed=("mass", "box"))
        framing = Framing(inner.pair("object", _MAX_SIDE), centre)
        inner.done()
        if framing.object[0] > size[0] or framing.object[1] > size[1]:
            inner.fail("object", f"{list(framing.object)} is larger than input.size {list(size)}")
    encoding = _read_encoding(fields.inner("encoding"), arrays, size + (channels,))
    crop = None
    found = fields.take("crop", "object", None)
    if found is not None:
        crop = _read_crop(fields.inner_of("crop", found), size)
        if framing is not None:
            fields.fail("crop", "does not go with framing: expected one of them")
        if (crop.filter == "opencv-cubic") != (encoding.kind == "mean"):
            fields.fail("crop", 'filter "opencv-cubic" and encoding "mean" go together: expected both or none')
    letterbox = _read_letterbox(fields, encoding, framing is not None or crop is not None)
    if encoding.kind == "mean" and crop is None and letterbox is None:
        fields.fail("crop", 'missing: encoding "mean" needs the filter "opencv-cubic", or a letterbox in its place')
    if encoding.kind == "mean" and polarity != "as-is":
        fields.fail("polarity", f'"{polarity}" does not go with encoding "mean": expected "as-is"')
    if encoding.kind == "codes":
        for key, found in (("polarity", polarity != "as-is"), ("framing", framing), ("crop", crop)):
            if found:
                fields.fail(key, 'does not go with encoding "codes": expected none, codes are no picture')
    fields.done()
    return InputSpec(size, channels, polarity, framing, encoding, crop, letterbox)


def _read_letterbox(fields: Fields, encoding: Encoding, placed: bool) -> Letterbox | None:
    found = fields.take("letterbox", "object", None)
    if found is None:
        return None
    if encoding.kind != "mean":
        fields.fail("letterbox", f'does not go with encoding "{encoding.kind}": expected "mean"')
    if placed:
        fields.fail("letterbox", "does not go with framing or crop: expected one of them")
    inner = fields.inner_of("letterbox", found)
    fill = inner.take("fill", "number", Letterbox.fill)
    if not 0 <= fill <= 255:
        inner.fail("fill", f"{fill} is out of range: expected 0 to 255")
    inner.done()
    return Letterbox(float(fill))


def _read_channels(fields: Fields) -> int:
    encoding = fields.peek("encoding")
    if isinstance(encoding, dict) and encoding.get("kind") == "codes":
        codes: int = fields.integer("channels", 1, _MAX_CHANNELS)
        return codes
    channels: int = fields.take("channels", "integer", 1, allowed=(1, 3))
    return channels


def _read_crop(fields: Fields, size: tuple[int, int]) -> Crop:
    crop = Crop(fields.integer("short_side", max(size), _MAX_SIDE), fields.take("filter", "string", "lanczos", FILTERS))
    fields.done()
    return crop


def _read_encoding(fields: Fields, arrays: ArrayFolder, shape: tuple[int, int, int]) -> Encoding:
    kind = fields.take("kind", "string", allowed=("threshold", "table", "pixels", "mean", "codes"))
    if kind == "pixels":
        fields.done()
        return Encoding(kind)
    if kind == "codes":
        bits = fields.take("bits", "integer", allowed=(2, 3))
        fields.done()
        return Encoding(kind, bits=bits)
    if kind == "mean":
        where = item_path(fields.where, "mean")
        mean = arrays.array(fields.name("mean"), ("float32",), shape, where)
        if arrays.reading and not all_finite(mean):
            fields.fail("mean", "a value is not finite: expected numbers only")
        divisor = float(fields.number("divisor", 1.0))
        order = fields.take("order", "string", "rgb", allowed=("rgb", "bgr"))
        fields.done()
        return Encoding(kind, mean=mean, divisor=divisor, order=order)
    pixels = shape[0] * shape[1] * shape[2]
    if kind == "threshold":
        encoding = Encoding(kind, threshold=fields.integer("threshold", 0, 255))
        fields.done()
        return encoding
    where = item_path(fields.where, "pixels")
    table = arrays.array(fields.name("pixels"), ("uint16",), (None,), where)
    if table.size > MAX_WIDTH:
        fields.fail("pixels", f"{table.size} entries are too many: expected at most {MAX_WIDTH}")
    outside = np.flatnonzero(table >= pixels)
    if outside.size:
        fields.fail(
            "pixels",
            f"entry {outside[0]} is {table[outside[0]]}, outside the picture: expected 0 to {pixels - 1}",
        )
    where = item_path(fields.where, "thresholds")
    levels = arrays.array(fields.name("thresholds"), ("uint8",), table.shape, where)
    fields.done()
    return Encoding(kind, pixels=table, thresholds=levels)


def write_input(spec: InputSpec, array: ArrayWriter) -> dict[str, Any]:
    """The object "input" for `spec`; `array` saves an array under a name and returns the name."""
    encoding = spec.encoding
    coded: dict[str, Any] = {"kind": encoding.kind}
    if encoding.threshold is not None:
        coded["threshold"] = int(encoding.threshold)
    if encoding.pixels is not None:
        coded["pixels"] = array("input-pixels.npy", encoding.pixels)
    if encoding.thresholds is not None:
        coded["thresholds"] = array("input-thresholds.npy", encoding.thresholds)
    picture: dict[str, Any] = {"size": list(spec.size), "channels": spec.channels, "polarity": spec.polarity}
    if spec.framing is not None:
        picture["framing"] = {"object": list(spec.framing.object), "centre": spec.framing.centre}
    if spec.crop is not None:
        picture["crop"] = {"short_side": spec.crop.short_side, "filter": spec.crop.filter}
    if spec.letterbox is not None:
        picture["letterbox"] = {"fill": spec.letterbox.fill}
    if encoding.mean is not None:
        coded["mean"] = array("input-mean.npy", encoding.mean)
        coded["divisor"], coded["order"] = float(encoding.divisor), encoding.order
    if encoding.kind == "codes":
        coded["bits"] = encoding.bits
    picture["encoding"] = coded
    return picture
