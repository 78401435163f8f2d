"""What the overlay families of this package say of themselves: checks of `geometry` and `timing`."""

from __future__ import annotations

from typing import Any, Callable

from ..errors import DescriptorError
from ..files.fields import Fields
from .codes import THRESHOLDS

__all__ = ["check_geometry", "check_identity", "check_timing"]


def check_geometry(kind: str, fields: Fields) -> None:
    """Refuse a geometry that does not describe a circuit of `kind`; a foreign kind's driver checks its own."""
    if kind in _GEOMETRY:
        _GEOMETRY[kind](fields)


def check_timing(kind: str, fields: Fields) -> None:
    """Refuse an incomplete cycle model; all of it must be there where our own driver and twin need it."""
    complete = kind in ("bnn-pynq", "qnn-mo")
    if fields.empty and not complete:
        return
    fields.take("model", "true or false")
    fields.text("source")
    keys = ["write_access_ns", "read_access_ns"]
    if kind != "qnn-mo":  # its cycles follow from the geometry and the layer
        for key in ("cycles_per_image", "first_image_cycles"):
            fields.number(key)
        keys.append("memory_write_cycles")
    for key in keys:
        if fields.number(key, None) is None and complete:
            fields.fail(key, "missing: expected a number")
    fields.done()


def _check_bnn_pynq(fields: Fields) -> None:
    """Fully connected layers in a row, each folded onto PE processing elements of SIMD lanes."""
    width = fields.integer("input_bits", 1, 1 << 20)
    out = fields.integer("output_bits", 1, 64)
    fields.integer("classes", 1, out)
    code = "binary"
    for layer in fields.objects("layers"):
        inputs, outputs = layer.integer("inputs", 1, 0x7FFF), layer.integer("outputs", 1, 0x7FFF)
        simd, pe = layer.integer("simd", 1, 64), layer.integer("pe", 1, outputs)
        for key, whole, part in (("simd", inputs, simd), ("pe", outputs, pe)):
            if whole % part:
                layer.fail(key, "{} does not divide {}".format(part, whole))
        if inputs != width:
            layer.fail("inputs", "{} does not match the {} bits that arrive".format(inputs, width))
        layer.take("input", "string", allowed=(code,))
        rules = ("popcount", "sum") if code == "binary" else ("sum",)
        layer.take("accumulator", "string", allowed=rules)
        code = layer.take("output", "string", allowed=tuple(THRESHOLDS))
        layer.take("thresholds", "integer", allowed=(THRESHOLDS[code],))
        layer.done()
        width = outputs
    fields.done()
    if width != out:
        fields.fail("output_bits", "{} does not match the last layer's {} outputs".format(out, width))


def _check_qnn_mo(fields: Fields) -> None:
    """One convolution and one pool on tiles of `pe` outputs of `simd` inputs, up to the maxima."""
    bits = fields.take("activation_bits", "integer", allowed=(2, 3))
    fields.integer("max_kernel", 1, 16)
    channels = {key: fields.integer(key, 1, 4096) for key in ("max_inputs", "max_outputs")}
    for key in ("max_input_size", "max_output_size"):
        fields.integer(key, 1, 4096)
    fields.integer("pool_size", 1, 16)
    fields.take("max_pool_stride", "integer", allowed=(1, 2, 4))
    # What the register map and the memory images of this family are made for.
    fields.take("simd", "integer", allowed=(64,))
    fields.take("pe", "integer", allowed=(32,))
    fields.take("memory_channels", "integer", allowed=(2,))
    fields.take("threshold_bits", "integer", allowed=(64 if bits == 2 else 128,))
    fields.take("accumulator_bits", "integer", allowed=(16,))
    fields.take("word_bits", "integer", allowed=(64,))
    fields.done()
    for key, part in (("max_inputs", 64), ("max_outputs", 32)):
        if channels[key] % part:
            fields.fail(key, "{} does not divide {}".format(part, channels[key]))
    if channels["max_outputs"] > channels["max_inputs"]:
        problem = "{} is larger than max_inputs {}: a pixel has room for its inputs only"
        fields.fail("max_outputs", problem.format(channels["max_outputs"], channels["max_inputs"]))


def _check_stream(fields: Fields) -> None:
    """The description of a circuit with streams, which is a format of its own."""
    from ..streams.reading import read_description

    read_description(fields.inner("description"))
    fields.done()


def check_identity(overlay: Any) -> None:
    """Refuse a descriptor whose geometry is not that of its bitstream.

    The two published circuits of multi-layer offload have the same registers and metadata, so that nothing
    but the bitstream's digest tells them apart; another geometry would give wrong codes silently.
    """
    published = _PUBLISHED.get(overlay.files["bitstream"].sha256)
    for key, value in zip(_TOLD_APART, published or ()):
        if overlay.geometry[key] != value:
            raise DescriptorError("overlay {}: geometry.{} is {}, but its bitstream, by the digest, has {}".format(
                overlay.name, key, overlay.geometry[key], value))


_TOLD_APART = ("activation_bits", "max_kernel", "max_inputs", "max_outputs", "max_input_size", "max_output_size",
               "pool_size", "max_pool_stride", "threshold_bits")
_PUBLISHED = {
    "0525fc1c957da54333e63778f376632f5c756b6877d08a63c746ee4778eba7d0": (2, 5, 384, 384, 64, 64, 3, 2, 64),
    "c4eaeafbcbdeb261bae4d03d332e3cc6e178e02d9fe47e2faa05858f15036dee": (3, 3, 512, 256, 210, 210, 2, 2, 128),
}
_GEOMETRY: dict[str, Callable[[Any], None]] = {
    "bnn-pynq": _check_bnn_pynq, "qnn-mo": _check_qnn_mo, "stream": _check_stream,
}
