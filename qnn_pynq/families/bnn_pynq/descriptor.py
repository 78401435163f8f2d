"""What overlay.json says of an LFC circuit."""

from __future__ import annotations

from ...contracts.codes import THRESHOLDS
from ...contracts.families import check_cycle_model
from ...files.fields import MOST_ITEMS, Fields

__all__ = ["check"]

_MOST_WORDS = 1 << 18
"""Words in the weight and threshold memories of a circuit: nearly four times those of the published LFC overlays."""

_RESULT_BITS = 64
_CYCLES = ("cycles_per_image", "first_image_cycles", "write_access_ns", "read_access_ns", "memory_write_cycles")


def check(geometry: Fields, timing: Fields) -> None:
    """Refuse what describes no LFC circuit."""
    _check_geometry(geometry)
    check_cycle_model(timing, _CYCLES)


def _check_geometry(fields: Fields) -> None:
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
                layer.fail(key, f"{part} does not divide {whole}")
        if inputs % 8:
            layer.fail("inputs", f"{inputs} is no multiple of 8: expected whole bytes of weights")
        if inputs != width:
            layer.fail("inputs", f"{inputs} does not match the {width} bits that arrive")
        layer.take("input", "string", allowed=(code,))
        rules = ("popcount", "sum") if code == "binary" else ("sum",)
        layer.take("accumulator", "string", allowed=rules)
        code = layer.take("output", "string", allowed=tuple(THRESHOLDS))
        layer.take("thresholds", "integer", allowed=(THRESHOLDS[code],))
        layer.done()
        words += outputs * (inputs // simd + THRESHOLDS[code])
        if words > _MOST_WORDS:
            layer.fail("outputs", f"{inputs} x {outputs} with SIMD {simd} makes {words} words of weights and "
                                  f"thresholds: expected at most {_MOST_WORDS} in all layers")
        width = outputs
    fields.done()
    if width != out:
        fields.fail("output_bits", f"{out} does not match the last layer's {width} outputs")
    if out != _RESULT_BITS:
        fields.fail("output_bits", f"{out} is not allowed: expected the {_RESULT_BITS} bits of a result word")
