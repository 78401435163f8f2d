"""What the overlay families of this package say of themselves: checks of `geometry` and `timing`."""

from __future__ import annotations

from typing import Any, Callable

from .errors import DescriptorError
from .fields import MOST_ITEMS, Fields

__all__ = ["check_geometry", "check_identity", "check_timing"]

_MOST_WORDS = 1 << 18
"""Words in the weight and threshold memories of a circuit: nearly four times those of the published LFC overlays."""

_RESULT_BITS = 64
_THRESHOLDS = {"binary": 1, "ternary": 2, "none": 0}  # per neuron, by output code


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
    code, words = "binary", 0
    for layer in fields.objects("layers", MOST_ITEMS):
        inputs, outputs = layer.integer("inputs", 1, 0x7FFF), layer.integer("outputs", 1, 0x7FFF)
        simd, pe = layer.integer("simd", 1, 64), layer.integer("pe", 1, outputs)
        for key, whole, part in (("simd", inputs, simd), ("pe", outputs, pe)):
            if whole % part:
                layer.fail(key, "{} does not divide {}".format(part, whole))
        if inputs % 8:
            layer.fail("inputs", "{} is no multiple of 8: expected whole bytes of weights".format(inputs))
        if inputs != width:
            layer.fail("inputs", "{} does not match the {} bits that arrive".format(inputs, width))
        layer.take("input", "string", allowed=(code,))
        rules = ("popcount", "sum") if code == "binary" else ("sum",)
        layer.take("accumulator", "string", allowed=rules)
        code = layer.take("output", "string", allowed=tuple(_THRESHOLDS))
        layer.take("thresholds", "integer", allowed=(_THRESHOLDS[code],))
        layer.done()
        words += outputs * (inputs // simd + _THRESHOLDS[code])
        if words > _MOST_WORDS:
            problem = "{} x {} with SIMD {} makes {} words of weights and thresholds: expected at most {} in all layers"
            layer.fail("outputs", problem.format(inputs, outputs, simd, words, _MOST_WORDS))
        width = outputs
    fields.done()
    if width != out:
        fields.fail("output_bits", "{} does not match the last layer's {} outputs".format(out, width))
    if out != _RESULT_BITS:
        fields.fail("output_bits", "{} is not allowed: expected the {} bits of a result word".format(out, _RESULT_BITS))


def _check_qnn_mo(fields: Fields) -> None:
    """One convolution and one pool on tiles of `pe` outputs of `simd` inputs, up to the maxima."""
    bits = fields.take("activation_bits", "integer", allowed=(2, 3))
    kernel = fields.integer("max_kernel", 1, 16)
    channels = {key: fields.integer(key, 1, 4096) for key in ("max_inputs", "max_outputs")}
    for key in ("max_input_size", "max_output_size"):
        fields.integer(key, 1, 4096)
    words = kernel**2 * channels["max_inputs"] * channels["max_outputs"] // 64
    if words > _MOST_WORDS:
        problem = "{} with {} x {} channels makes {} words of weights: expected at most {}"
        fields.fail("max_kernel", problem.format(kernel, *channels.values(), words, _MOST_WORDS))
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
    from .interface.reading import read_description

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
