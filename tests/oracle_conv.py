"""Plain numpy of the convolutional networks, from the specs; shares no code with the package."""

from __future__ import annotations

import numpy as np


def signs(packed, count):
    """+1/-1 int64 (..., count) of little-endian bit strings uint8 (..., bytes): 1 = +1."""
    bits = (packed[..., np.arange(count) // 8] >> (np.arange(count) % 8).astype(np.uint8)) & 1
    return 2 * bits.astype(np.int64) - 1


def sums(layer, maps):
    """Sums (N, H', W', outputs) of a convolution on (N, H, W, inputs), one kernel position at a time."""
    before, after = layer.padding
    part_in, part_out = layer.inputs // layer.groups, layer.outputs // layer.groups
    kind = np.float64 if layer.weight_bits == 32 else np.int64
    weights = signs(layer.weights, part_in) if layer.weight_bits == 1 else layer.weights.astype(kind)
    padded = np.pad(maps.astype(kind), ((0, 0), (before, after), (before, after), (0, 0)), "constant")
    high = (padded.shape[1] - layer.kernel) // layer.stride + 1
    wide = (padded.shape[2] - layer.kernel) // layer.stride + 1
    total = np.zeros((len(maps), high, wide, layer.outputs), kind)
    for group in range(layer.groups):
        out = slice(group * part_out, (group + 1) * part_out)
        into = slice(group * part_in, (group + 1) * part_in)
        for ky in range(layer.kernel):
            for kx in range(layer.kernel):
                window = padded[:, ky:, kx:, into][:, :: layer.stride, :: layer.stride][:, :high, :wide]
                total[..., out] += np.tensordot(window, weights[out, ky, kx], axes=([3], [1]))
    return total


def codes(layer, total):
    """Codes uint8 of sums (..., outputs): the number of thresholds reached, inverted where the layer says so."""
    reached = total[..., None] > layer.thresholds if layer.weight_bits == 32 else total[..., None] >= layer.thresholds
    found = reached.sum(axis=-1)
    if getattr(layer, "invert", None) is not None:
        found = np.where(layer.invert, 2**layer.output_bits - 1 - found, found)
    return found.astype(np.uint8)


def conv(layer, maps):
    """Codes of a convolution."""
    return codes(layer, sums(layer, maps))


def pool(layer, maps):
    """Maximum in windows of codes (N, H, W, C), zeros padded, lines that fit no window dropped."""
    before, after = layer.padding
    padded = np.pad(maps, ((0, 0), (before, after), (before, after), (0, 0)), "constant")
    high = (padded.shape[1] - layer.size) // layer.stride + 1
    wide = (padded.shape[2] - layer.size) // layer.stride + 1
    best = np.zeros((len(maps), high, wide, maps.shape[3]), np.uint8)
    for y in range(layer.size):
        for x in range(layer.size):
            window = padded[:, y:, x:][:, :: layer.stride, :: layer.stride][:, :high, :wide]
            best = np.maximum(best, window)
    return best


def linear(layer, values):
    """Outputs of one dense layer of the tail on (N, inputs)."""
    if layer.weight_bits == 32:
        total = values.astype(np.float64) @ layer.weights.astype(np.float64).T
    else:
        weights = signs(layer.weights, layer.inputs) if layer.weight_bits == 1 else layer.weights
        total = values.astype(np.int64) @ weights.astype(np.int64).T
        if layer.thresholds is not None:
            return codes(layer, total)
    result = layer.scale * total + (0 if layer.bias is None else layer.bias.astype(np.float64))
    if layer.activation == "none":
        return result
    clipped = np.clip(result, 0, 1)
    if layer.activation == "clip":
        return clipped
    steps = 2**layer.output_bits - 1
    return np.round(steps * clipped) / steps


def forward(layers, maps):
    """Codes (N, H, W, C), or outputs (N, n) where linear layers follow, of a network's layers."""
    for layer in layers:
        name = type(layer).__name__
        if name == "Conv":
            maps = conv(layer, maps)
        elif name == "Pool":
            maps = pool(layer, maps)
        else:
            maps = linear(layer, maps.reshape(len(maps), -1))
    return maps
