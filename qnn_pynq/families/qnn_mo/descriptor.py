"""What overlay.json says of a multi-layer offload circuit, and of which bitstream it may say so."""

from __future__ import annotations

from ...contracts.families import check_cycle_model
from ...contracts.overlay import Overlay
from ...errors import DescriptorError
from ...files.fields import Fields

__all__ = ["check", "check_identity"]

_MOST_WORDS = 1 << 18  # of weights in a circuit: over three times those of the published ones
_TOLD_APART = ("activation_bits", "max_kernel", "max_inputs", "max_outputs", "max_input_size", "max_output_size",
               "pool_size", "max_pool_stride", "threshold_bits")
_PUBLISHED = {
    "0525fc1c957da54333e63778f376632f5c756b6877d08a63c746ee4778eba7d0": (2, 5, 384, 384, 64, 64, 3, 2, 64),
    "c4eaeafbcbdeb261bae4d03d332e3cc6e178e02d9fe47e2faa05858f15036dee": (3, 3, 512, 256, 210, 210, 2, 2, 128),
}


def check(geometry: Fields, timing: Fields) -> None:
    """Refuse what describes no circuit of multi-layer offload."""
    _check_geometry(geometry)
    check_cycle_model(timing, ("write_access_ns", "read_access_ns"))  # the others follow from geometry and layer


def _check_geometry(fields: Fields) -> None:
    """One convolution and one pool on tiles of `pe` outputs of `simd` inputs, up to the maxima."""
    bits = fields.take("activation_bits", "integer", allowed=(2, 3))
    kernel = fields.integer("max_kernel", 1, 16)
    channels = {key: fields.integer(key, 1, 4096) for key in ("max_inputs", "max_outputs")}
    for key in ("max_input_size", "max_output_size"):
        fields.integer(key, 1, 4096)
    words = kernel**2 * channels["max_inputs"] * channels["max_outputs"] // 64
    if words > _MOST_WORDS:
        fields.fail("max_kernel", f"{kernel} with {channels['max_inputs']} x {channels['max_outputs']} channels makes "
                                  f"{words} words of weights: expected at most {_MOST_WORDS}")
    fields.integer("pool_size", 1, 16)
    fields.take("max_pool_stride", "integer", allowed=(1, 2, 4))
    # What the register map and the memory pictures of this family are made for.
    fields.take("simd", "integer", allowed=(64,))
    fields.take("pe", "integer", allowed=(32,))
    fields.take("memory_channels", "integer", allowed=(2,))
    fields.take("threshold_bits", "integer", allowed=(64 if bits == 2 else 128,))
    fields.take("accumulator_bits", "integer", allowed=(16,))
    fields.take("word_bits", "integer", allowed=(64,))
    fields.done()
    for key, part in (("max_inputs", 64), ("max_outputs", 32)):
        if channels[key] % part:
            fields.fail(key, f"{part} does not divide {channels[key]}")
    if channels["max_outputs"] > channels["max_inputs"]:
        problem = "{} is larger than max_inputs {}: a pixel has room for its inputs only"
        fields.fail("max_outputs", problem.format(channels["max_outputs"], channels["max_inputs"]))


def check_identity(overlay: Overlay) -> None:
    """Refuse a descriptor whose geometry is not that of its bitstream.

    The two published circuits of multi-layer offload have the same registers and metadata, so that nothing
    but the bitstream's digest tells them apart; another geometry would give wrong codes silently.
    """
    file = overlay.files.get("bitstream")
    published = _PUBLISHED.get("" if file is None else file.sha256)
    for key, value in zip(_TOLD_APART, published or ()):
        if overlay.geometry[key] != value:
            raise DescriptorError(f"overlay {overlay.name}: geometry.{key} is {overlay.geometry[key]}, but its "
                                  f"bitstream, by the digest, has {value}")
