"""Find the object in a picture, and put it into the frame that a network was trained with."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

__all__ = ["background", "grey_levels", "is_lighter", "levels", "object_in_frame", "whole_in_frame"]

# Pillow 7 has no Image.Resampling, and later stubs know only that.
_AREA = getattr(Image, "BOX")  # noqa: B009
_BICUBIC = getattr(Image, "BICUBIC")  # noqa: B009

_WORKING_SIDE = 400  # longer pictures are reduced first; the networks see 28 pixels
_WEAK = 24  # grey levels: less contrast than this is noise, or colour only
_TRIM = 0.05  # less than this part of the full contrast is background: Fashion-MNIST's own figure
_TRIM_GLYPH = 0.3  # the same for the outline of ink
_STROKE = 0.085  # thinner strokes, as part of the object's longer side, are thickened (20 px box: 1.7 px)


# -- grey, background, polarity -------------------------------------------------------------------------


def grey_levels(image: Image.Image, exact: bool) -> np.ndarray:
    """uint8 (h, w), at most `_WORKING_SIDE` pixels a side."""
    longest = max(image.size)
    if longest > _WORKING_SIDE and not exact:
        width, height = (max(1, round(side * _WORKING_SIDE / longest)) for side in image.size)
        image = image.resize((width, height), _AREA)
    grey = np.array(image.convert("L"))
    if image.mode == "RGB" and np.percentile(np.abs(grey - float(background(grey))), 99) < _WEAK:
        colour = np.asarray(image)
        distance = np.abs(colour - np.median(_ring(colour), axis=0)).max(axis=2)
        if np.percentile(distance, 99) >= _WEAK:
            return distance.astype(np.uint8)  # the object differs in colour only
    return grey


def _ring(values: np.ndarray) -> np.ndarray:
    """Border pixels, (k,) or (k, channels)."""
    height, width = values.shape[:2]
    deep = max(1, round(min(height, width) / 50))
    if min(height, width) <= 2 * deep:
        return values.reshape((-1,) + values.shape[2:])
    parts = (values[:deep], values[-deep:], values[deep:-deep, :deep], values[deep:-deep, -deep:])
    return np.concatenate([part.reshape((-1,) + values.shape[2:]) for part in parts])


def background(grey: np.ndarray) -> int:
    """Grey level of the background: the median of the border."""
    return int(np.median(_ring(grey)))


def is_lighter(grey: np.ndarray, ground: int) -> bool:
    """Whether the object is lighter than the background."""
    deviation = grey.astype(np.int16) - ground
    total = int(deviation[np.abs(deviation) >= _WEAK].sum())
    return total > 0 if total else ground < 128


# -- framing --------------------------------------------------------------------------------------------


def whole_in_frame(grey: np.ndarray, ground: int, size: tuple[int, int]) -> np.ndarray:
    """The whole picture, its aspect kept, in a frame of `size` filled with the background."""
    scaled = _resize(grey, _fit(grey.shape, size))
    top, left = ((size[k] - scaled.shape[k]) // 2 for k in (0, 1))
    canvas = np.full(size, ground, np.uint8)
    canvas[top : top + scaled.shape[0], left : left + scaled.shape[1]] = scaled
    return canvas


def levels(grey: np.ndarray, ground: int, glyph: bool) -> tuple[np.ndarray, float]:
    """A light object on 0, up to 255, as float32, and the gain; gain 0 where every pixel is background."""
    raised = np.clip(grey.astype(np.float32) - ground, 0, None)
    peak = float(raised.max())
    if peak < 1:
        return raised, 0.0
    if glyph:  # ink or no ink: most of the stroke is full ink
        peak = float(np.percentile(raised[raised > _TRIM_GLYPH * peak], 90))
    return np.clip(raised * (255 / peak), 0, 255), 255 / peak


def object_in_frame(
    grey: np.ndarray, ground: int, box: tuple[int, int], size: tuple[int, int], glyph: bool
) -> np.ndarray | None:
    """The light object of a picture scaled to fit the box, in a frame of `size`; None where there is none.

    A glyph is placed by its mass, and what is weaker than the noise of the border is dropped; everything
    else is placed by its bounding box.
    """
    level, gain = levels(grey, ground, glyph)
    if not gain:
        return None
    noise = gain * 2.5 * float(np.median(np.abs(_ring(grey).astype(np.float32) - ground)))  # 1.7 sigma
    outline = min(max((_TRIM_GLYPH if glyph else _TRIM) * 255, 1.5 * noise), 128)
    mask = Image.fromarray(((level > outline) * 255).astype(np.uint8))
    if min(mask.size) > 100:
        mask = mask.filter(ImageFilter.MedianFilter(3))  # dust and JPEG noise
    left, top, right, bottom = mask.getbbox() or (0, 0, grey.shape[1], grey.shape[0])
    if glyph:
        level[level <= noise] = 0
    cut = (level[top:bottom, left:right] + 0.5).astype(np.uint8)
    return _place(_resize(_thicken(cut) if glyph else cut, _fit(cut.shape, box)), size, glyph)


def _thicken(cut: np.ndarray) -> np.ndarray:
    """Strokes made thick enough to survive the reduction."""
    ink = cut >= 128
    area = int(ink.sum())
    edge = int((ink[1:] != ink[:-1]).sum() + (ink[:, 1:] != ink[:, :-1]).sum())
    if not area or not edge:
        return cut
    # A long stroke of width w and length l has the area w*l; its edge, counted in pixel sides along both
    # axes, is 2*l*(|cos|+|sin|), 2*l*4/pi on average.
    width = area / edge * 8 / np.pi
    wanted = _STROKE * max(cut.shape)
    grow = int(round(wanted - width))
    if grow < 1:
        return cut
    padded = Image.fromarray(np.pad(cut, (grow + 1) // 2, mode="constant"))
    size = grow + 1 if grow % 2 == 0 else grow + 2
    return np.array(padded.filter(ImageFilter.MaxFilter(size)))


def _start(piece: np.ndarray, axis: int, size: int) -> float:
    """Where the piece begins when its mass is in the middle. MNIST's centre is pixel 14 of 28, not the corner
    between 13 and 14."""
    weight = piece.sum(axis=1 - axis, dtype=np.float64)
    total = float(weight.sum())
    centre = float((weight * np.arange(piece.shape[axis])).sum()) / total if total else piece.shape[axis] / 2
    return size / 2 - centre


def _place(piece: np.ndarray, size: tuple[int, int], by_mass: bool) -> np.ndarray:
    """The piece on a background of 0, its mass or its box in the middle, never cut off."""
    canvas = np.zeros(size, np.uint8)
    corner = []
    for axis in (0, 1):
        free = size[axis] - piece.shape[axis]
        start = _start(piece, axis, size[axis]) if by_mass else free / 2
        corner.append(min(max(int(np.floor(start + 0.5)), 0), free))
    canvas[corner[0] : corner[0] + piece.shape[0], corner[1] : corner[1] + piece.shape[1]] = piece
    return canvas


def _fit(shape: tuple[int, ...], box: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the shape scaled into the box, at least one pixel."""
    scale = min(box[0] / shape[0], box[1] / shape[1])
    return (
        min(box[0], max(1, int(round(shape[0] * scale)))),
        min(box[1], max(1, int(round(shape[1] * scale)))),
    )


def _resize(grey: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if grey.shape == size:
        return grey
    image = Image.fromarray(np.ascontiguousarray(grey))
    # Pillow's bicubic filter widens with the reduction, so nothing aliases.
    return np.array(image.resize((size[1], size[0]), _BICUBIC))
