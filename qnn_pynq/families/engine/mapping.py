"""How a layer's arithmetic becomes that of the engine: unsigned planes, offsets, thresholds on D.

The engine adds up D = sum over lanes of (2**shift * u - beta) * v for stored weights u and activations v. What a value
means is scale * v - zero; everything that depends on the neuron alone goes into its thresholds, or is left to whoever
reads raw sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, NamedTuple, NoReturn, Sequence

import numpy as np

from ...contracts.layer import Layer, Signal
from ...networks.dense import Dense
from ...networks.linear import Linear
from ...networks.maps import Conv, Pool

__all__ = ["Refuse", "Step", "Sums", "Unfit", "make_steps", "planes_of"]

Refuse = Callable[[str], NoReturn]

MOST_BITS = 8  # of weights and of activations
_MOST_OFFSET = 255
_MOST_LEVELS = 15
_MOST_POOLED = 4  # bits
_MOST_KERNEL, _MOST_STRIDE, _MOST_PADDING = 7, 4, 3
_MOST_SIDE = 255  # positions in a map have 9 bits with a sign
_THRESHOLD_BITS = 21


class Unfit(Exception):
    """What the engine does not compute: `layer` is the index in the network, None where it is several."""

    def __init__(self, problem: str, layer: int | None = None) -> None:
        super().__init__(problem)
        self.layer = layer


class Coding(NamedTuple):
    """What a stored v means: scale * v - zero."""

    bits: int
    largest: int  # v
    scale: int
    zero: int


class Sums(NamedTuple):
    """What to make of raw sums: scale * D + offset of each output."""

    scale: int
    offset: np.ndarray  # int64 (outputs,)


@dataclass(frozen=True, eq=False)
class Step:
    """A convolution (a dense layer is one), with the pool behind it; or a pool alone, where `weights` is None.

    Attributes
    ----------
    layer : int
        Index in the network of the convolution, or of the pool alone.
    name : str
        In profiles.
    size, sums_size, out_size : (height, width)
        Of the map that arrives, of the convolution's, of the last one.
    weights : uint8 (outputs, kernel height, kernel width, inputs / groups) or None
        Stored weights u.
    levels : int64 (outputs, thresholds) or None
        Thresholds on D, ascending; None: raw sums.
    down : bool (outputs,)
        Where the code is the number of thresholds that are not reached.
    planes : int
        Of a result.
    """

    layer: int
    name: str
    macs: int
    size: tuple[int, int]
    inputs: int
    in_bits: int
    out_size: tuple[int, int]
    outputs: int
    planes: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: int = 0
    sums_size: tuple[int, int] = (1, 1)
    groups: int = 1
    weights: np.ndarray | None = None
    weight_bits: int = 1
    shift: int = 0
    beta: int = 0
    levels: np.ndarray | None = None
    down: np.ndarray | None = None
    sums: Sums | None = None
    pool: Pool | None = None
    gathered: Conv | None = None  # the host hands over windows of this layer in place of pixels


def make_steps(layers: Sequence[Layer], signals: Sequence[Signal], first: int, accumulator: int) -> tuple[Step, ...]:
    """The steps of layers one behind the other; `signals` are what arrives at each, and what the last one gives.

    Parameters
    ----------
    first : int
        Index of the first one in the network.
    accumulator : int
        Bits of a sum.

    Raises
    ------
    Unfit
    """
    steps: list[Step] = []
    at = 0
    while at < len(layers):
        index, layer = first + at, layers[at]

        def refuse(problem: str, layer: int = index) -> NoReturn:
            raise Unfit(problem, layer)

        arriving = signals[at]
        coding = _coding(arriving, refuse)
        if steps and steps[-1].sums is not None:
            refuse("stands behind raw sums: expected those of the last layer alone")
        if isinstance(layer, Pool):
            steps.append(_pool(index, layer, arriving, signals[at + 1], refuse))
        elif isinstance(layer, Conv):
            pool = layers[at + 1] if at + 1 < len(layers) and isinstance(layers[at + 1], Pool) else None
            if isinstance(pool, Pool):
                _check_pool(pool, refuse)
                at += 1
            steps.append(_conv(index, layer, pool, arriving, signals[at + 1], coding, accumulator, refuse))
        elif isinstance(layer, Dense):
            steps.append(_dense(index, layer, arriving, coding, accumulator, refuse))
        elif isinstance(layer, Linear):
            steps.append(_linear(index, layer, arriving, coding, accumulator, refuse))
        else:
            refuse(f'type "{layer.type}": expected one of conv, pool, dense, linear')
        at += 1
    return tuple(steps)


def planes_of(codes: np.ndarray, bits: int) -> np.ndarray:
    """uint64 (..., bits, words) of codes uint8 (..., lanes): plane b of word c has bit b of lanes 64c to 64c+63."""
    lanes = codes.shape[-1]
    words = -(-lanes // 64)
    packed = np.zeros((*codes.shape[:-1], bits, 8 * words), np.uint8)
    for bit in range(bits):
        dots = codes if bits == 1 else codes >> np.uint8(bit) & np.uint8(1)
        packed[..., bit, : -(-lanes // 8)] = np.packbits(dots, axis=-1, bitorder="little")
    found: np.ndarray = packed.view("<u8")
    return found


# -- codings ----------------------------------------------------------------------------------------------


def _coding(signal: Signal, refuse: Refuse) -> Coding:
    if signal.coding == "binary":
        return Coding(1, 1, 2, 1)
    if signal.coding == "ternary":
        return Coding(2, 2, 1, 1)
    if signal.coding in ("codes", "pixels"):
        if not 1 <= signal.bits <= MOST_BITS:
            refuse(f"{signal.bits} bits arrive: expected 1 to {MOST_BITS}")
        return Coding(signal.bits, 2**signal.bits - 1, 1, 0)
    refuse(f"{signal.coding} arrive from {signal.origin}: expected bits, ternary values, codes or pixels")
    return None


def _signs(weights: Any, inputs: int) -> np.ndarray:
    """+1 and -1 of bit weights."""
    bits = np.unpackbits(np.ascontiguousarray(weights), axis=-1, bitorder="little")[..., :inputs]
    found: np.ndarray = 2 * bits.astype(np.int16) - 1
    return found


def _stored(weights: np.ndarray, refuse: Refuse) -> tuple[np.ndarray, int, int, int]:
    """(u, bits, shift, beta) with weights = 2**shift * u - beta, of the fewest bits."""
    low, high = int(weights.min()), int(weights.max())
    found = []
    for shift in (0, 1):
        if shift and np.any((weights - low) & 1):
            continue
        beta = -low if low < 0 else low & shift
        bits = max(1, (high + beta >> shift).bit_length(), beta.bit_length())
        found.append((bits, shift, beta))
    bits, shift, beta = min(found)
    if bits > MOST_BITS or beta > _MOST_OFFSET:
        refuse(f"weights from {low} to {high} take {bits} bits: expected at most {MOST_BITS}")
    return ((weights + beta) >> shift).astype(np.uint8), bits, shift, beta


# -- layers -----------------------------------------------------------------------------------------------


def _pool(index: int, pool: Pool, arriving: Signal, given: Signal, refuse: Refuse) -> Step:
    _check_pool(pool, refuse)
    if arriving.bits > _MOST_POOLED:
        refuse(f"{arriving.bits} bits arrive at a pool: expected at most {_MOST_POOLED}")
    size, out_size = _sides(arriving, refuse), _sides(given, refuse)
    return Step(index, f"pool{index}", 0, size, arriving.shape[2], arriving.bits, out_size, given.shape[2], given.bits,
                sums_size=size, pool=pool)


def _check_pool(pool: Pool, refuse: Refuse) -> None:
    _check_window("pool", pool.size, pool.stride, pool.padding, refuse)


def _check_window(what: str, size: int, stride: int, padding: Sequence[int], refuse: Refuse) -> None:
    for name, value, least, most in (("size", size, 1, _MOST_KERNEL), ("stride", stride, 1, _MOST_STRIDE),
                                     ("padding", max(padding), 0, _MOST_PADDING)):
        if not least <= value <= most:
            refuse(f"{what} {name} {value}: expected {least} to {most}")


def _sides(signal: Signal, refuse: Refuse) -> tuple[int, int]:
    if len(signal.shape) != 3:
        return 1, 1
    if max(signal.shape[:2]) > _MOST_SIDE:
        refuse(f"a map of {signal.shape[0]} x {signal.shape[1]}: expected sides of at most {_MOST_SIDE}")
    return signal.shape[0], signal.shape[1]


def _conv(index: int, conv: Conv, pool: Any, arriving: Signal, given: Signal, coding: Coding, accumulator: int,
          refuse: Refuse) -> Step:
    _check_window("kernel", conv.kernel, conv.stride, conv.padding, refuse)
    inputs = conv.inputs // conv.groups
    if conv.weight_bits == 1:
        weights = _signs(conv.weights, inputs)
    elif np.asarray(conv.weights).dtype.kind in "iu":
        weights = np.asarray(conv.weights)
    else:
        refuse(f"weights of {conv.weight_bits} bits are {np.asarray(conv.weights).dtype}: expected integers")
    size = _sides(arriving, refuse)
    sums_size = conv.output_size(size[0]), conv.output_size(size[1])
    if max(sums_size) > _MOST_SIDE:
        refuse(f"a map of {sums_size[0]} x {sums_size[1]}: expected sides of at most {_MOST_SIDE}")
    kernel, stride, padding, groups = conv.kernel, conv.stride, conv.padding[0], conv.groups
    gathered, channels = None, conv.inputs
    if arriving.coding == "pixels" and groups == 1 and -(-kernel**2 * inputs // 64) < kernel**2 * -(-inputs // 64):
        # Taps as lanes: a word then has 64 of them instead of the few channels of a picture.
        gathered, weights = conv, weights.reshape(conv.outputs, 1, 1, -1)
        size, kernel, stride, padding, channels = sums_size, 1, 1, 0, weights.shape[3]
    levels = np.asarray(conv.thresholds).astype(np.int64)
    down = np.zeros(conv.outputs, bool) if conv.invert is None else np.asarray(conv.invert)
    return _arithmetic(
        {"layer": index, "name": f"conv{index}", "macs": conv.macs(arriving), "size": size, "inputs": channels,
         "in_bits": coding.bits, "out_size": _sides(given, refuse), "outputs": conv.outputs, "kernel": (kernel, kernel),
         "stride": stride, "padding": padding, "sums_size": sums_size, "groups": groups, "pool": pool,
         "gathered": gathered},
        weights, coding, (levels, down), conv.output_bits, None, accumulator, refuse)


def _dense(index: int, dense: Dense, arriving: Signal, coding: Coding, accumulator: int, refuse: Refuse) -> Step:
    weights = _signs(dense.weights, dense.inputs)[:, None, None, :]
    totals = weights.sum(axis=(1, 2, 3), dtype=np.int64)
    counted = dense.accumulator == "popcount"
    fixed = {"layer": index, "name": f"dense{index}", "macs": dense.macs(arriving), "size": (1, 1),
             "inputs": dense.inputs, "in_bits": coding.bits, "out_size": (1, 1), "outputs": dense.outputs}
    if dense.thresholds is None:
        # Agreeing bits are (sum + inputs) / 2, and scale is 2 where they are counted.
        offset = (dense.inputs - totals) // 2 if counted else -coding.zero * totals
        sums = Sums(1 if counted else coding.scale, offset)
        return _arithmetic(fixed, weights, coding, None, 0, sums, accumulator, refuse)
    low = np.asarray(dense.thresholds).astype(np.int64)
    low = (low + 0x8000) % 0x10000 - 0x8000  # 16 bits, as the layer's own kernel has them
    least = 2 * low - dense.inputs + 1 if counted else low + 1  # the smallest sum that fires
    levels = -(-(least + coding.zero * totals[:, None]) // coding.scale)
    bits = 1 if dense.output == "binary" else 2
    return _arithmetic(fixed, weights, coding, (levels, np.zeros(dense.outputs, bool)), bits, None, accumulator, refuse)


def _linear(index: int, linear: Linear, arriving: Signal, coding: Coding, accumulator: int, refuse: Refuse) -> Step:
    if linear.pointwise:
        refuse("pointwise outputs are computed by the processor: expected one result for a picture")
    if linear.weight_bits == 32 or linear.input_bits == 32:
        refuse("weights or inputs are floats: expected integers")
    size = _sides(arriving, refuse)
    channels = arriving.values // (size[0] * size[1])
    weights = _signs(linear.weights, linear.inputs) if linear.weight_bits == 1 else np.asarray(linear.weights)
    weights = weights.reshape(linear.outputs, *size, channels)
    fixed = {"layer": index, "name": f"fc{index}", "macs": linear.macs(arriving), "size": size, "inputs": channels,
             "in_bits": coding.bits, "out_size": (1, 1), "outputs": linear.outputs, "kernel": size}
    if linear.thresholds is None:
        sums = Sums(1, np.zeros(linear.outputs, np.int64))
        return _arithmetic(fixed, weights, coding, None, 0, sums, accumulator, refuse)
    levels = np.asarray(linear.thresholds).astype(np.int64), np.zeros(linear.outputs, bool)
    return _arithmetic(fixed, weights, coding, levels, linear.output_bits, None, accumulator, refuse)


def _arithmetic(fixed: Any, weights: np.ndarray, coding: Coding, levels: Any, bits: int, sums: Sums | None,
                accumulator: int, refuse: Refuse) -> Step:
    stored, weight_bits, shift, beta = _stored(weights.astype(np.int64), refuse)
    flat = weights.reshape(len(weights), -1).astype(np.int64)
    low = coding.largest * np.minimum(flat, 0).sum(axis=1)
    high = coding.largest * np.maximum(flat, 0).sum(axis=1)
    most = 1 << accumulator - 1
    if low.min() < -most or high.max() >= most:
        worst = low.min() if low.min() < -most else high.max()
        refuse(f"sums reach {worst}: expected -{most} to {most - 1}, the accumulators have {accumulator} bits")
    given = dict(fixed, weights=stored, weight_bits=weight_bits, shift=shift, beta=beta)
    if sums is not None:
        nibbles = max(-(-_width(int(low.min()), int(high.max())) // 4), 1)
        return Step(**given, planes=4 * nibbles, sums=sums)
    found, down = levels
    if not 1 <= found.shape[1] <= _MOST_LEVELS:
        refuse(f"{found.shape[1]} thresholds of a neuron: expected 1 to {_MOST_LEVELS}")
    # Where no sum comes to lie beyond, the place of a threshold does not matter.
    found = np.sort(np.clip(found, low[:, None], high[:, None] + 1), axis=1)
    room = 1 << _THRESHOLD_BITS - 1
    if found.min() < -room or found.max() >= room:
        worst = found.min() if found.min() < -room else found.max()
        refuse(f"a threshold is {worst} where sums reach it: expected -{room} to {room - 1}, {_THRESHOLD_BITS} bits")
    return Step(**given, planes=bits, levels=found, down=down)


def _width(low: int, high: int) -> int:
    """Bits of two's complement."""
    return max((-low - 1).bit_length() if low < 0 else 0, high.bit_length() if high > 0 else 0) + 1
