"""The middle of a photograph in the size of a network: resizing as the trainings of such networks have it.

"lanczos" and "bicubic" are Pillow's filters, which widen with the reduction. "opencv-cubic" is the rule of
the published DoReFa-Net: cubic convolution with a = -0.75 on float pixels, four taps whatever the reduction,
border pixels repeated. The letterbox is darknet's: two taps, corner pixels on corner pixels.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from ..contracts.network import Crop

__all__ = ["crop_middle", "cubic_middle", "middle_part", "resize_whole", "whole_in_letterbox"]

# Pillow 7 has no Image.Resampling, and later stubs know only that.
_FILTERS = {"lanczos": getattr(Image, "LANCZOS"), "bicubic": getattr(Image, "BICUBIC")}  # noqa: B009
_REACH = 3  # source pixels on each side of the Lanczos filter, times the reduction


def middle_part(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle `size` (height, width) of pixels (..., H, W, channels), nearer to the first line where it is odd."""
    top, left = ((have - need) // 2 for have, need in zip(pixels.shape[-3:-1], size))
    return np.ascontiguousarray(pixels[..., top : top + size[0], left : left + size[1], :])


def crop_middle(image: Image.Image, size: tuple[int, int], crop: Crop) -> np.ndarray:
    """The middle of a picture whose shorter side was brought to `crop.short_side` pixels.

    Smaller pictures are enlarged; one that has the size already is taken as it is.

    Parameters
    ----------
    image
        Mode "L" or "RGB".
    size
        (height, width) of the result.
    crop
        For the filter "opencv-cubic" see `cubic_middle`.

    Returns
    -------
    array (height, width) or (height, width, 3)
        uint8; float32 with "opencv-cubic".
    """
    if crop.filter == "opencv-cubic":
        return cubic_middle(np.asarray(image), size, crop.short_side)
    height, width = size
    if image.size == (width, height):
        return np.array(image)
    scale = crop.short_side / min(image.size)
    # Sizes of the whole picture after resizing, which is never made: only its middle is computed.
    wide, tall = (max(need, round(side * scale)) for side, need in zip(image.size, (width, height)))
    left, top = (wide - width) // 2, (tall - height) // 2
    if (wide, tall) == image.size:
        return np.array(image.crop((left, top, left + width, top + height)))
    spans = [
        (start * side / full, (start + count) * side / full)
        for start, count, side, full in ((left, width, image.size[0], wide), (top, height, image.size[1], tall))
    ]
    # Pillow takes the box in single precision: near the origin, so that it is exact enough.
    corner, far = [], []
    for (low, high), side in zip(spans, image.size):
        reach = _REACH * max(1.0, 1 / scale) + 1
        corner.append(max(0, math.floor(low - reach)))
        far.append(min(side, math.ceil(high + reach)))
    edges = (corner[0], corner[1], far[0], far[1])
    part = image if edges == (0, 0, *image.size) else image.crop(edges)
    box = [min(span[end] - corner[axis], part.size[axis]) for end in (0, 1) for axis, span in enumerate(spans)]
    return np.array(part.resize((width, height), _FILTERS[crop.filter], box=(box[0], box[1], box[2], box[3])))


def resize_whole(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """The whole picture in `size` (height, width), by Lanczos; its aspect is not kept."""
    if image.size == (size[1], size[0]):
        return np.array(image)
    return np.array(image.resize((size[1], size[0]), _FILTERS["lanczos"]))


def whole_in_letterbox(pixels: np.ndarray, size: tuple[int, int], fill: float) -> np.ndarray:
    """The whole picture in the middle of grey, as large as fits, as darknet has it.

    Parameters
    ----------
    pixels
        (h, w) or (h, w, channels).
    size
        (height, width) of the result.
    fill
        Grey level around the picture.

    Returns
    -------
    float32 array (height, width) or (height, width, channels)
    """
    (tall, wide), (height, width) = pixels.shape[:2], size
    # Whole numbers, rounded down.
    if width * tall < height * wide:
        new = max(1, tall * width // wide), width
    else:
        new = height, max(1, wide * height // tall)
    found = np.full(size + pixels.shape[2:], fill, np.float32)
    top, left = (height - new[0]) // 2, (width - new[1]) // 2
    across = _stretched(pixels.astype(np.float32), 1, new[1])
    found[top : top + new[0], left : left + new[1]] = _stretched(across, 0, new[0])
    return found


def _stretched(pixels: np.ndarray, axis: int, count: int) -> np.ndarray:
    """Bilinear along one axis; the first and last pixels keep their places."""
    side = pixels.shape[axis]
    place = np.arange(count, dtype=np.float32) * np.float32((side - 1) / max(1, count - 1))
    low = np.minimum(place.astype(np.intp), side - 1)
    low[-1] = side - 1
    part = np.where(low == side - 1, np.float32(0), place - low.astype(np.float32))
    part = part.reshape((-1,) + (1,) * (pixels.ndim - 1 - axis)).astype(np.float32)
    high = np.minimum(low + 1, side - 1)
    found: np.ndarray = (1 - part) * np.take(pixels, low, axis) + part * np.take(pixels, high, axis)
    return found


def cubic_middle(pixels: np.ndarray, size: tuple[int, int], short_side: int) -> np.ndarray:
    """The published rule of DoReFa-Net.

    The picture is reduced until its shorter side has `short_side` pixels, or left as it is where it has
    fewer; a side below `size` is enlarged to it, and the aspect lost.

    Parameters
    ----------
    pixels
        (h, w) or (h, w, channels).

    Returns
    -------
    float32 array (height, width) or (height, width, channels)
        Sharp edges may reach beyond 0..255.
    """
    scale = short_side / min(pixels.shape[:2])
    indices, weights = zip(*(_taps(side, scale, need) for side, need in zip(pixels.shape[:2], size)))
    needed, place = np.unique(indices[0], return_inverse=True)
    lines = pixels[needed]
    axis = (-1,) + (1,) * (pixels.ndim - 2)
    near = sum(lines[:, indices[1][:, tap]] * weights[1][:, tap].reshape(axis) for tap in range(4))
    place, axis = place.reshape(indices[0].shape), (-1,) + (1,) * (pixels.ndim - 1)
    found: np.ndarray = sum(near[place[:, tap]] * weights[0][:, tap].reshape(axis) for tap in range(4))
    return found


def _taps(side: int, scale: float, need: int) -> tuple[np.ndarray, np.ndarray]:
    """Source pixels and weights (need, 4) of the middle `need` pixels of one axis."""
    whole = int(max(need, min(side, scale * side)))
    first = int((whole - need) * 0.5)
    place = (np.arange(first, first + need) + 0.5) * (side / whole) - 0.5
    base = np.floor(place)
    distance = np.abs((place - base)[:, None] - np.arange(-1, 3))
    a = -0.75
    inner = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    outer = ((distance - 5) * distance + 8) * distance * a - 4 * a
    weights = np.where(distance <= 1, inner, outer).astype(np.float32)
    indices = np.clip(base[:, None].astype(np.intp) + np.arange(-1, 3), 0, side - 1)
    return indices, weights
