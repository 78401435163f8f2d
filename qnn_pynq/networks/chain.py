"""What no field of `network.json` can say alone: layers that chain, and an end that the decode rule reads."""

from __future__ import annotations

from ..contracts.network import Network, walk
from ..files.fields import fail

__all__ = ["WORD_BITS", "check_chain"]

WORD_BITS = 64  # a result word of the published LFC overlays


def check_chain(network: Network, source: str) -> None:
    """Raise DescriptorError unless the layers fit one another, the input and the decode rule."""
    if network.decode.rule != "features" and not network.classes:
        fail(source, "classes", "[] is empty: expected at least one name")
    network.__dict__["signals"] = walk(network, source)  # with the file's name in messages; computed once
    _ENDS[network.decode.rule](network, source)
    _check_segments(network, source)


def _check_segments(network: Network, source: str) -> None:
    """Each begins behind the first layer that an overlay can compute."""
    places = [index for index, layer in enumerate(network.layers) if layer.begins_segment]
    least = places[0] if places else len(network.layers)
    for index, segment in enumerate(network.segments):
        if segment.first not in places or segment.first <= least:
            later = [place for place in places if place > least]
            fail(source, f"segments[{index}].first",
                 f"{segment.first}: expected a later convolution with 1-bit weights, one of {later}")
        least = segment.first


def _last(network: Network) -> str:
    return f"layers[{len(network.layers) - 1}]"


def _check_bits(network: Network, source: str) -> None:
    end = network.signals[-1]
    if end.coding != "binary":
        other = ', or the rule "largest-sum"' if end.coding in ("sums", "scores") else ""
        fail(source, "decode.rule", f'"highest-bit" needs bits at the end, {_last(network)} gives {end.coding}: '
                                    f'expected a dense last layer with output "binary"{other}')
    room = min(WORD_BITS, end.values)
    if network.output_neurons > room:
        reason = "the overlay's result word" if room == WORD_BITS else f"{_last(network)}.outputs"
        fail(source, "decode.levels" if len(network.classes) <= room else "classes",
             f"{len(network.classes)} names x {network.decode.levels} levels need {network.output_neurons} neurons: "
             f"expected at most {room} ({reason})")


def _check_sums(network: Network, source: str) -> None:
    end = network.signals[-1]
    if end.coding not in ("sums", "scores"):
        fail(source, f"{_last(network)}.type", f'decode.rule "largest-sum" needs sums or scores at the end, not '
                                               f"{end.coding}: expected a linear last layer without thresholds")
    if len(end.shape) != 1:
        fail(source, f"{_last(network)}.pointwise",
             'true is not allowed here: expected it with decode.rule "features" only')
    if end.shape != (len(network.classes),):
        fail(source, f"{_last(network)}.outputs",
             f"{end.values} does not match the {len(network.classes)} names of classes")


def _check_codes(network: Network, source: str) -> None:
    end = network.signals[-1]
    if network.classes:
        fail(source, "classes", f'{len(network.classes)} names do not go with decode.rule "features": expected []')
    if end.coding not in ("codes", "scores") or len(end.shape) != 3:
        kind = network.layers[-1].type
        fail(source, f"{_last(network)}.type",
             f'"{kind}" does not go with decode.rule "features": expected codes at the end')


_ENDS = {"highest-bit": _check_bits, "largest-sum": _check_sums, "features": _check_codes}
