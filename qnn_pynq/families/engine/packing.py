"""Inputs as the engine reads them, and results as everybody else does: pictures of a group lie word by word in turn."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...networks.maps import Conv
from .compiler import Compiled
from .mapping import planes_of
from .memory import LANES

__all__ = ["pack_bits", "pack_maps", "result_words", "unpack_codes", "unpack_sums", "windows_of"]


def pack_bits(compiled: Compiled, values: np.ndarray, out: np.ndarray) -> None:
    """Rows of bits, uint8 (pictures, bytes), into uint64 (groups, words, vectors); bits beyond the inputs are cut."""
    words = np.ascontiguousarray(values).view("<u8")
    lanes = compiled.arrives.channels
    if (lanes < 0).any():
        mask = np.packbits((lanes >= 0).astype(np.uint8), bitorder="little").view("<u8")
        words = words & mask
    _in_turn(words, out, 0)


def pack_maps(compiled: Compiled, values: np.ndarray, out: np.ndarray) -> None:
    """Maps uint8 (pictures, height, width, channels) into uint64 (groups, words, vectors); windows are gathered."""
    arrives = compiled.arrives
    for section in compiled.arriving:
        layout = section.layout
        lanes = arrives.channels[section.first * LANES : (section.first + layout.words) * LANES]
        there = lanes >= 0
        count = int(there.sum())
        if there[:count].all():  # the channels lie one behind the other
            codes = values if count == values.shape[-1] else values[..., lanes[0] : lanes[0] + count]
        else:
            codes = np.zeros((*values.shape[:-1], lanes.size), np.uint8)
            codes[..., there] = values[..., lanes[there]]
        planes = planes_of(np.ascontiguousarray(codes), layout.planes)
        _in_turn(planes.reshape(len(values), -1), out, section.offset)


def windows_of(conv: Conv, pixels: np.ndarray) -> np.ndarray:
    """What each place of a convolution sees: uint8 (pictures, height', width', kernel * kernel * channels)."""
    before, after = conv.padding
    padded = np.pad(pixels, ((0, 0), (before, after), (before, after), (0, 0)), "constant")
    high, wide = conv.output_size(pixels.shape[1]), conv.output_size(pixels.shape[2])
    count, _, _, channels = padded.shape
    picture, row, column, channel = padded.strides
    view = np.lib.stride_tricks.as_strided(
        padded, (count, high, wide, conv.kernel, conv.kernel, channels),
        (picture, conv.stride * row, conv.stride * column, row, column, channel), writeable=False)
    return view.reshape(count, high, wide, -1)


def _in_turn(words: np.ndarray, out: np.ndarray, first: int) -> None:
    """uint64 (pictures, words) to (groups, words from `first` on, vectors); pictures that are missing are 0."""
    groups, _, vectors = out.shape
    count, length = words.shape
    whole = count // vectors
    place = out[:, first : first + length]
    place[:whole] = words[: whole * vectors].reshape(whole, vectors, length).transpose(0, 2, 1)
    if whole < groups:
        place[whole:] = 0
        place[whole, :, : count - whole * vectors] = words[whole * vectors :].T


def result_words(compiled: Compiled, found: np.ndarray, pictures: int) -> np.ndarray:
    """uint64 (pictures, words) of (groups, words, vectors): all sections, in their order."""
    groups, _, vectors = found.shape
    parts: list[np.ndarray] = []
    for section in compiled.leaving:
        words = found[:, section.offset : section.offset + section.layout.total].transpose(0, 2, 1)
        parts.append(words.reshape(groups * vectors, -1)[:pictures])
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _values(compiled: Compiled, words: np.ndarray, dtype: Any) -> np.ndarray:
    """(pictures, height, width, channels): the unsigned numbers that the planes make."""
    leaves = compiled.leaves
    (high, wide), planes = leaves.size, leaves.planes
    there = leaves.channels >= 0
    found = np.zeros((len(words), high, wide, int(there.sum())), dtype)
    at = 0
    for section in compiled.leaving:
        layout = section.layout
        part = words[:, at : at + layout.total]
        at += layout.total
        if layout.split:
            used = part.reshape(len(words), high, layout.words, layout.split)[..., : wide * planes]
            part = used.reshape(len(words), high, layout.words, wide, planes).transpose(0, 1, 3, 4, 2)
        else:
            part = part.reshape(len(words), high, wide, planes, layout.words)
        lanes = leaves.channels[section.first * LANES : (section.first + layout.words) * LANES]
        used = lanes >= 0
        for plane in range(planes):
            octets = np.ascontiguousarray(part[..., plane, :]).astype("<u8", copy=False).view(np.uint8)
            dots = np.unpackbits(octets, axis=-1, bitorder="little")[..., used]
            found[..., lanes[used]] |= dots.astype(dtype) << dtype(plane)
    return found


def unpack_codes(compiled: Compiled, words: np.ndarray) -> np.ndarray:
    """uint8 (pictures, height, width, channels)."""
    return _values(compiled, words, np.uint8)


def unpack_sums(compiled: Compiled, words: np.ndarray) -> np.ndarray:
    """int64 (pictures, outputs): what the layer means by its raw sums."""
    step = compiled.steps[-1]
    assert step.sums is not None
    found = _values(compiled, words, np.int64).reshape(len(words), -1)
    half = 1 << step.planes - 1
    found = (found ^ half) - half
    sums: np.ndarray = step.sums.scale * found + step.sums.offset
    return sums
