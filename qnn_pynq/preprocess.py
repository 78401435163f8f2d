"""Pictures and arrays → the network's input, as its descriptor says.

Arrays of the network's own size are data: they go through untouched. Everything else is a picture, seen
by a camera, a scanner or a drawing program, and is brought into the form of the training data:

1. grey (luma; where that shows next to no contrast, the distance from the background's colour);
2. polarity: the background is the median of the border, and what differs from it is the object. The
   picture is inverted where the object is on the wrong side of the background;
3. framing ``object``: background to 0, brightest part of the object to 255, crop to the object's bounding
   box, longest side to the box (area mean or bicubic), strokes that would vanish thickened before, centre
   by mass or by box. This is how MNIST (20 x 20, mass) and Fashion-MNIST (28 x 28, box) were made.
   Framing ``whole`` (none in the descriptor): keep the aspect, centre, fill with the background.

A picture file of exactly the network's size is not resampled: only its polarity is looked at.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Iterable, Iterator, Union

import numpy as np
from PIL import Image, ImageFilter

from .errors import InputError
from .pictures import as_uint8, describe, open_picture

if TYPE_CHECKING:
    from .network import InputSpec

__all__ = ["Invert", "each", "is_batch", "prepare", "prepare_many"]

_log = logging.getLogger(__name__)

Invert = Union[bool, str]

# Pillow 7 has no Image.Resampling, and later stubs know only that.
_AREA = getattr(Image, "BOX")  # noqa: B009
_BICUBIC = getattr(Image, "BICUBIC")  # noqa: B009

_WORKING_SIDE = 400  # longer pictures are reduced first; the networks see 28 pixels
_WEAK = 24  # grey levels: less contrast than this is noise, or colour only
_TRIM = 0.05  # less than this part of the full contrast is background: Fashion-MNIST's own figure
_TRIM_GLYPH = 0.3  # the same for the outline of ink
_STROKE = 0.085  # thinner strokes, as part of the object's longer side, are thickened (20 px box: 1.7 px)


def prepare(picture: Any, spec: InputSpec, invert: Invert = "auto") -> np.ndarray:
    """One picture as the network wants it.

    Parameters
    ----------
    picture : path, PIL image, file object, bytes or array
        Arrays may be uint8, bool, integer (0..255) or float (0..1). An array (H, W) or (H*W,) of the
        network's size is taken as it is; other sizes and colour arrays are framed like pictures.
    spec : InputSpec
        ``network.input``.
    invert : {"auto", True, False}
        Whether light and dark change places. "auto" decides by the border's brightness for pictures and
        changes nothing in arrays of the network's size.

    Returns
    -------
    uint8 array (H, W), C order. It may share memory with an array that was given.

    Raises
    ------
    InputError
        Naming the picture, what is wrong and what to do.
    """
    _check(spec, invert)
    height, width = spec.size
    if isinstance(picture, np.ndarray):
        name = describe(picture)
        if picture.ndim == 1:
            if picture.size != height * width:
                raise InputError(
                    "{}: a flat picture must have {} pixels ({} x {})".format(
                        name, height * width, height, width
                    )
                )
            return _as_is(picture.reshape(height, width), name, invert)
        if picture.shape in ((height, width), (height, width, 1)):
            return _as_is(picture.reshape(height, width), name, invert)
    image = open_picture(picture)
    exact = image.size == (width, height)
    grey = _grey(image, exact)
    ground = _background(grey)
    lighter = _lighter(grey, ground)
    if invert == "auto":
        flip = spec.polarity != "as-is" and lighter != (spec.polarity == "light-on-dark")
    else:
        flip = bool(invert)
    if flip:
        grey, ground, lighter = 255 - grey, 255 - ground, not lighter
    if exact:
        return grey
    framing = spec.framing
    if framing is None:
        return _whole(grey, ground, (height, width))
    if spec.polarity != "as-is":  # so says the caller, or the line above made it so
        lighter = spec.polarity == "light-on-dark"
    if not lighter:
        grey, ground = 255 - grey, 255 - ground
    glyph = framing.centre == "mass"
    box = _object(grey, ground, framing.object, glyph, describe(picture))
    placed = _place(box, (height, width), glyph)
    return placed if lighter else 255 - placed


def is_batch(pictures: Any, spec: InputSpec) -> bool:
    """Whether this is one array of the network's size: (n, H*W), (n, H, W) or (n, H, W, 1)."""
    if not isinstance(pictures, np.ndarray):
        return False
    height, width = spec.size
    shape = pictures.shape
    return shape[1:] in ((height * width,), (height, width), (height, width, 1)) and shape != (height, width)


def prepare_many(
    pictures: np.ndarray | Iterable[Any],
    spec: InputSpec,
    invert: Invert = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Many pictures as one array.

    Parameters
    ----------
    pictures : array (n, H*W), (n, H, W) or (n, H, W, 1), or an iterable of pictures
        Arrays are converted to uint8 at once and are not copied where they are uint8 and in C order.
        A stack of pictures of another size, (n, h, w) or (n, h, w, 3 or 4), is framed one by one.
    invert : {"auto", True, False}
        As in `prepare`.
    out : uint8 array (n, H*W), optional
        Filled and returned, for iterables whose length is known.

    Returns
    -------
    uint8 array (n, H*W), C order.
    """
    _check(spec, invert)
    pixels = spec.size[0] * spec.size[1]
    pictures = _plain(pictures)
    if is_batch(pictures, spec):
        assert isinstance(pictures, np.ndarray)
        flat = _as_is(pictures, describe(pictures), invert).reshape(len(pictures), pixels)
        if out is None:
            return flat
        _fits(out, flat.shape)
        out[...] = flat
        return out
    if isinstance(pictures, np.ndarray) and pictures.ndim < 3 and pictures.dtype != object:
        raise InputError(
            "{}: pictures of {} x {} must come as (n, {}), (n, {}, {}) or a list of pictures".format(
                describe(pictures), spec.size[0], spec.size[1], pixels, spec.size[0], spec.size[1]
            )
        )
    rows: list[np.ndarray] = [prepare(picture, spec, invert).reshape(pixels) for picture in each(pictures)]
    if out is not None:
        _fits(out, (len(rows), pixels))
    elif not rows:
        return np.zeros((0, pixels), np.uint8)
    return np.stack(rows, out=out)


def each(pictures: Any) -> Iterator[Any]:
    """Iterator over pictures; InputError for one picture, or for something that holds none."""
    single = (str, bytes, bytearray, os.PathLike, Image.Image)
    if isinstance(pictures, single) or hasattr(pictures, "read"):
        raise InputError("one picture where many were expected: put it into a list, or use classify()")
    try:
        return iter(pictures)
    except TypeError as error:
        raise InputError(
            "expected an iterable of pictures, not {}".format(type(pictures).__name__)
        ) from error


def _plain(pictures: Any) -> Any:
    """Tables (pandas, torch) and nested lists of numbers → arrays; everything else as it is."""
    if isinstance(pictures, (np.ndarray, Image.Image)):
        return pictures
    if hasattr(pictures, "__array__"):
        return np.asarray(pictures)
    if isinstance(pictures, (list, tuple)) and pictures and isinstance(pictures[0], (list, tuple)):
        try:
            return np.array(pictures, dtype=float if _has_floats(pictures[0]) else int)
        except (TypeError, ValueError) as error:
            raise InputError(
                "nested lists must hold numbers, with rows of one length: {}".format(error)
            ) from error
    return pictures


def _has_floats(row: Any) -> bool:
    return any(_has_floats(v) if isinstance(v, (list, tuple)) else isinstance(v, float) for v in row)


def _fits(out: np.ndarray, shape: tuple[int, ...]) -> None:
    if out.shape != shape or out.dtype != np.uint8:
        raise InputError("out must be uint8 {}, got {} {}".format(shape, out.dtype, out.shape))


def _check(spec: InputSpec, invert: Invert) -> None:
    if not (isinstance(invert, (bool, np.bool_)) or invert == "auto"):
        raise InputError('invert must be True, False or "auto", not {!r}'.format(invert))
    if spec.channels != 1:
        raise InputError(
            "networks with {} channels have no picture preprocessing: give arrays".format(spec.channels)
        )


def _as_is(values: np.ndarray, name: str, invert: Invert) -> np.ndarray:
    pixels = np.ascontiguousarray(as_uint8(values, name))
    return 255 - pixels if invert is True or isinstance(invert, np.bool_) and invert else pixels


# -- grey, background, polarity -------------------------------------------------------------------------


def _grey(image: Image.Image, exact: bool) -> np.ndarray:
    """uint8 (h, w), at most `_WORKING_SIDE` pixels a side."""
    longest = max(image.size)
    if longest > _WORKING_SIDE and not exact:
        width, height = (max(1, round(side * _WORKING_SIDE / longest)) for side in image.size)
        image = image.resize((width, height), _AREA)
    grey = np.array(image.convert("L"))
    if image.mode == "RGB" and np.percentile(np.abs(grey - float(_background(grey))), 99) < _WEAK:
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


def _background(grey: np.ndarray) -> int:
    return int(np.median(_ring(grey)))


def _lighter(grey: np.ndarray, ground: int) -> bool:
    """Whether the object is lighter than the background."""
    deviation = grey.astype(np.int16) - ground
    total = int(deviation[np.abs(deviation) >= _WEAK].sum())
    return total > 0 if total else ground < 128


# -- framing --------------------------------------------------------------------------------------------


def _whole(grey: np.ndarray, ground: int, size: tuple[int, int]) -> np.ndarray:
    scaled = _resize(grey, _fit(grey.shape, size))
    top, left = ((size[k] - scaled.shape[k]) // 2 for k in (0, 1))
    canvas = np.full(size, ground, np.uint8)
    canvas[top : top + scaled.shape[0], left : left + scaled.shape[1]] = scaled
    return canvas


def _object(grey: np.ndarray, ground: int, box: tuple[int, int], glyph: bool, name: str) -> np.ndarray:
    """The light object of a picture, on 0, up to 255, scaled to fit the box."""
    raised = np.clip(grey.astype(np.float32) - ground, 0, None)
    peak = float(raised.max())
    if peak < 1:
        _log.warning("%s shows nothing: every pixel is background", name)
        return np.zeros((1, 1), np.uint8)
    trim = _TRIM_GLYPH if glyph else _TRIM
    if glyph:  # ink or no ink: most of the stroke is full ink
        peak = float(np.percentile(raised[raised > trim * peak], 90))
    level = np.clip(raised * (255 / peak), 0, 255)
    noise = float(np.percentile(np.abs(_ring(grey).astype(np.float32) - ground), 90)) * 255 / peak
    mask = Image.fromarray(((level > min(max(trim * 255, 1.5 * noise), 128)) * 255).astype(np.uint8))
    if min(mask.size) > 100:
        mask = mask.filter(ImageFilter.MedianFilter(3))  # dust and JPEG noise
    left, top, right, bottom = mask.getbbox() or (0, 0, grey.shape[1], grey.shape[0])
    if glyph:
        level[level <= noise] = 0
    cut = (level[top:bottom, left:right] + 0.5).astype(np.uint8)
    return _resize(_thicken(cut) if glyph else cut, _fit(cut.shape, box))


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


def _place(piece: np.ndarray, size: tuple[int, int], by_mass: bool) -> np.ndarray:
    """The piece on a background of 0, its mass or its box in the middle, never cut off."""
    canvas = np.zeros(size, np.uint8)
    corner = []
    for axis in (0, 1):
        length = piece.shape[axis]
        start = (size[axis] - length) / 2
        if by_mass:
            weight = piece.sum(axis=1 - axis, dtype=np.float64)
            if weight.sum():
                # MNIST's centre is pixel 14, not the corner between 13 and 14.
                start = size[axis] / 2 - float((weight * np.arange(length)).sum() / weight.sum())
        corner.append(min(max(int(np.floor(start + 0.5)), 0), size[axis] - length))
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
