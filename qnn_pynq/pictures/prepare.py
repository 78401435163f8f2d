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

A picture of exactly the network's size is not resampled: its polarity is looked at, and its grey levels are
stretched where the background is clearly not 0.

Networks of colour pictures, and those whose descriptor has a ``crop``, see photographs: there is no object to
find and no background. Grey pictures get three equal channels. With a ``crop`` the shorter side is brought to
so many pixels, smaller pictures being enlarged, and the middle is taken; with a ``letterbox`` the whole picture
lies on grey, its aspect kept; without either the whole picture is resized. See `cropping`.
"""

from __future__ import annotations

import logging
import os
from typing import Any, Iterable, Iterator, Union

import numpy as np
from PIL import Image

from ..contracts.network import InputSpec
from ..errors import InputError
from .cropping import crop_middle, resize_whole, whole_in_letterbox
from .framing import background, grey_levels, is_lighter, levels, object_in_frame, whole_in_frame
from .opening import as_uint8, describe, open_picture, plain_array

__all__ = ["Invert", "each", "is_batch", "pictures_to_maps", "prepare", "prepare_many"]

_log = logging.getLogger(__name__)

Invert = Union[bool, str]


def prepare(picture: Any, spec: InputSpec, invert: Invert = "auto") -> np.ndarray:
    """One picture as the network wants it; for encoding "codes" a map of codes, checked.

    Parameters
    ----------
    picture : path, PIL image, file object, bytes or array
        Arrays may be uint8, bool, integer (0..255) or float (0..1). One of the network's size is taken as it is:
        (H, W) or (H, W, 1), in colour (H, W, 3), or flat. Other arrays are treated like pictures. Tensors and
        tables are arrays too. For encoding "mean" a flat float array holds pixels 0..255, which is what this
        function gives.
    spec : InputSpec
        ``network.input``.
    invert : {"auto", True, False}
        Whether light and dark change places. "auto" decides by the border's brightness for grey pictures and
        changes nothing in colours and in arrays of the network's size.

    Returns
    -------
    uint8 array (H, W), in colour (H, W, 3), C order; float32 for encoding "mean". It may share memory with an
    array that was given.

    Raises
    ------
    InputError
        Naming the picture, what is wrong and what to do.
    """
    _check(invert, spec)
    if spec.encoding.kind == "codes":
        return _codes(picture, spec)
    height, width = spec.size
    shape = _shape(spec)
    picture = plain_array(picture)
    if isinstance(picture, np.ndarray):
        if picture.ndim == 1:
            if picture.size != spec.pixels:
                raise InputError(
                    "{}: a flat picture must have {} pixels ({})".format(
                        describe(picture), spec.pixels, " x ".join(str(side) for side in shape)
                    )
                )
            return _as_is(picture, spec, invert).reshape(shape)
        if picture.shape in (shape, shape + (1,)[: 3 - len(shape)]):
            return _as_is(picture, spec, invert).reshape(shape)
    if spec.channels != 1 or spec.crop is not None or spec.letterbox is not None:
        return _photograph(picture, spec, invert)
    image = open_picture(picture)
    exact = image.size == (width, height)
    grey = grey_levels(image, exact)
    ground = background(grey)
    lighter = is_lighter(grey, ground)
    if invert == "auto":
        flip = spec.polarity != "as-is" and lighter != (spec.polarity == "light-on-dark")
    else:
        flip = bool(invert)
    if flip:
        grey, ground, lighter = 255 - grey, 255 - ground, not lighter
    framing = spec.framing
    if framing is None:
        return grey if exact else whole_in_frame(grey, ground, (height, width))
    if spec.polarity != "as-is":  # so says the caller, or the line above made it so
        lighter = spec.polarity == "light-on-dark"
    if not lighter:
        grey, ground = 255 - grey, 255 - ground
    glyph = framing.centre == "mass"
    framed: np.ndarray | None
    if not exact:
        framed = object_in_frame(grey, ground, framing.object, (height, width), glyph)
    elif ground < 4 or invert != "auto":
        framed = grey
    else:
        level, gain = levels(grey, ground, glyph)
        framed = (level + 0.5).astype(np.uint8) if gain else None
    if framed is None:
        _log.warning("%s shows nothing: every pixel is background", describe(picture))
        framed = np.zeros((height, width), np.uint8)
    return framed if lighter else 255 - framed


def _photograph(picture: Any, spec: InputSpec, invert: Invert) -> np.ndarray:
    crop = spec.crop
    # A filter of four taps shows at what scale a picture was decoded; the others do not.
    published = (crop is not None and crop.filter == "opencv-cubic") or spec.letterbox is not None
    side = max(spec.size) if crop is None else crop.short_side
    image = open_picture(picture, None if published else max(1024, 4 * side))
    mode = "L" if spec.channels == 1 else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    if spec.letterbox is not None:
        pixels = whole_in_letterbox(np.asarray(image), spec.size, spec.letterbox.fill)
    elif image.size == (spec.size[1], spec.size[0]) and not published:
        pixels = np.array(image)  # it has the size already
    else:
        pixels = resize_whole(image, spec.size) if crop is None else crop_middle(image, spec.size, crop)
    if invert != "auto":
        flip = bool(invert)
    elif spec.channels != 1 or spec.polarity == "as-is":
        flip = False
    else:
        flip = is_lighter(pixels, background(pixels)) != (spec.polarity == "light-on-dark")
    if _is_float(spec):
        pixels = pixels.astype(np.float32, copy=False)
    return 255 - pixels if flip else pixels


def is_batch(pictures: Any, spec: InputSpec) -> bool:
    """Whether this is one array of the network's size: (n, pixels), (n, H, W), (n, H, W, 1) or (n, H, W, 3)."""
    if not isinstance(pictures, np.ndarray):
        return False
    one, shape = _shape(spec), pictures.shape
    return shape[1:] in ((spec.pixels,), one, one + (1,)[: 3 - len(one)]) and shape != one


def prepare_many(pictures: np.ndarray | Iterable[Any], spec: InputSpec, invert: Invert = "auto") -> np.ndarray:
    """Many pictures as one array.

    Parameters
    ----------
    pictures : array (n, pixels), (n, H, W), (n, H, W, 1) or (n, H, W, 3), or an iterable of pictures
        Arrays of the network's size are converted to uint8 at once and are not copied where they are uint8
        and in C order. Stacks of pictures of another size are prepared one by one.
    invert : {"auto", True, False}
        As in `prepare`.

    Returns
    -------
    uint8 or float32 array (n, pixels), C order.
    """
    _check(invert, spec)
    pixels = spec.pixels
    pictures = _plain(pictures)
    if is_batch(pictures, spec):
        assert isinstance(pictures, np.ndarray)
        return _checked(pictures, spec, invert).reshape(len(pictures), pixels)
    if isinstance(pictures, np.ndarray) and pictures.ndim < 3 and pictures.dtype != object:
        sides = _shape(spec)
        raise InputError(
            "{}: pictures of {} must come as (n, {}), (n, {}) or a list of pictures".format(
                describe(pictures), " x ".join(map(str, sides)), pixels, ", ".join(map(str, sides))
            )
        )
    if isinstance(pictures, np.ndarray) and pictures.ndim == 3 and pictures.shape[2] in (1, 3, 4, spec.channels):
        raise InputError(
            f"{describe(pictures)}: one picture where many were expected: put it into a list, or use classify()"
        )
    rows: list[np.ndarray] = [prepare(picture, spec, invert).reshape(pixels) for picture in each(pictures)]
    return np.stack(rows) if rows else np.zeros((0, pixels), np.float32 if _is_float(spec) else np.uint8)


def pictures_to_maps(pictures: np.ndarray, spec: InputSpec) -> np.ndarray:
    """Prepared pictures as the first layer on maps takes them.

    Parameters
    ----------
    pictures : uint8 or float32 array (N, ...)
        As many elements each as the network has pixels, 0..255, channels in the order red, green, blue.
    spec : InputSpec
        Its encoding of kind "pixels", "mean" or "codes".

    Returns
    -------
    (N, H, W, C). "pixels" and "codes": a view. "mean": float32, (pixel - mean) / divisor in the encoding's order.

    Raises
    ------
    InputError
        Pictures of another size, or an encoding that makes bits.
    """
    encoding = spec.encoding
    shape = (*spec.size, spec.channels)
    if pictures.size != len(pictures) * spec.pixels:
        raise InputError(f"{describe(pictures)}: expected pictures of shape {shape}")
    maps = pictures.reshape(len(pictures), *shape)
    if encoding.kind in ("pixels", "codes"):
        return maps
    if encoding.kind != "mean" or encoding.mean is None:
        raise InputError(f'encoding "{encoding.kind}" is not for convolutions: expected "pixels", "mean" or "codes"')
    ordered = maps[..., ::-1] if encoding.order == "bgr" else maps
    centred: np.ndarray = np.subtract(ordered, encoding.mean, dtype=np.float32, order="C")
    centred /= np.float32(encoding.divisor)
    return centred


def each(pictures: Any) -> Iterator[Any]:
    """Iterator over pictures; InputError for one picture, or for something that holds none."""
    single = (str, bytes, bytearray, memoryview, os.PathLike, Image.Image)
    if isinstance(pictures, single) or hasattr(pictures, "read"):
        raise InputError("one picture where many were expected: put it into a list, or use classify()")
    try:
        return iter(pictures)
    except TypeError as error:
        raise InputError(
            f"expected an iterable of pictures, not {type(pictures).__name__}"
        ) from error


def _plain(pictures: Any) -> Any:
    """Tables (pandas, torch) and nested lists of numbers → arrays; everything else as it is."""
    if isinstance(pictures, (list, tuple)) and pictures and isinstance(pictures[0], (list, tuple)):
        try:
            return np.array(pictures, dtype=float if _has_floats(pictures[0]) else int)
        except (TypeError, ValueError, OverflowError, RecursionError, np.ma.MaskError) as error:
            raise InputError(
                f"nested lists must hold numbers, with rows of one length: {error}"
            ) from error
    return plain_array(pictures)


def _has_floats(row: Any) -> bool:
    return any(_has_floats(v) if isinstance(v, (list, tuple)) else isinstance(v, float) for v in row)


def _check(invert: Invert, spec: InputSpec) -> None:
    if not isinstance(spec, InputSpec):
        raise InputError(f"spec is of type {type(spec).__name__}: expected what a network takes, network.input")
    if not (isinstance(invert, (bool, np.bool_)) or invert == "auto"):
        raise InputError(f'invert must be True, False or "auto", not {invert!r}')


def _shape(spec: InputSpec) -> tuple[int, ...]:
    return spec.size if spec.channels == 1 else spec.size + (spec.channels,)


def _is_float(spec: InputSpec) -> bool:
    return spec.encoding.kind == "mean"


def _checked(values: np.ndarray, spec: InputSpec, invert: Invert) -> np.ndarray:
    return _as_codes(values, spec) if spec.encoding.kind == "codes" else _as_is(values, spec, invert)


def _codes(values: Any, spec: InputSpec) -> np.ndarray:
    """One map of codes in the shape (H, W, C), or (H, W) of one channel."""
    found, shape = plain_array(values), _shape(spec)
    right = isinstance(found, np.ndarray) and found.shape in (shape, (spec.pixels,), (*spec.size, spec.channels))
    if not right:
        wanted = " x ".join(map(str, (*spec.size, spec.channels)))
        problem = f"{describe(values)}: the network takes no pictures but codes: expected an integer array of {wanted}"
        raise InputError(f"{problem}, each from 0 to {spec.encoding.levels - 1}")
    return _as_codes(found, spec).reshape(shape)


def _as_codes(values: np.ndarray, spec: InputSpec) -> np.ndarray:
    most = spec.encoding.levels - 1
    if values.dtype.kind not in "iu":
        raise InputError(f"{describe(values)}: codes must be integers from 0 to {most}, not dtype {values.dtype}")
    if values.size and not 0 <= int(values.min()) <= int(values.max()) <= most:
        found = f"{values.min()}..{values.max()}"
        raise InputError(f"{describe(values)}: codes must be from 0 to {most}, got {found}")
    return np.ascontiguousarray(values, np.uint8)


def _as_is(values: np.ndarray, spec: InputSpec, invert: Invert) -> np.ndarray:
    """Arrays of the network's size: one or many pictures, in any of the allowed shapes."""
    if _is_float(spec) and values.dtype.kind == "f" and values.shape[-1:] == (spec.pixels,):
        pixels = np.ascontiguousarray(values, np.float32)
        if not np.isfinite(pixels).all():
            raise InputError(f"{describe(values)}: pixels must be finite, got NaN or infinity")
    else:
        pixels = values if values.dtype == np.uint8 else as_uint8(values, describe(values))
        pixels = np.ascontiguousarray(pixels, np.float32 if _is_float(spec) else np.uint8)
    return pixels if invert == "auto" or not invert else 255 - pixels
