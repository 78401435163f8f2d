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
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Iterable, Iterator, Union

import numpy as np
from PIL import Image

from .errors import InputError
from .framing import background, grey_levels, is_lighter, levels, object_in_frame, whole_in_frame
from .pictures import as_uint8, describe, open_picture

if TYPE_CHECKING:
    from .network import Encoding, InputSpec

__all__ = ["Invert", "each", "first_layer_input", "is_batch", "prepare", "prepare_many"]

_log = logging.getLogger(__name__)

Invert = Union[bool, str]


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
        if picture.ndim == 1:
            if picture.size != height * width:
                raise InputError(
                    "{}: a flat picture must have {} pixels ({} x {})".format(
                        describe(picture), height * width, height, width
                    )
                )
            return _as_is(picture.reshape(height, width), invert)
        if picture.shape in ((height, width), (height, width, 1)):
            return _as_is(picture.reshape(height, width), invert)
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
        flat = _as_is(pictures, invert).reshape(len(pictures), pixels)
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
    if isinstance(pictures, np.ndarray) and pictures.ndim == 3 and pictures.shape[2] in (1, 3, 4):
        raise InputError(
            "{}: one picture where many were expected: put it into a list, or use classify()".format(describe(pictures))
        )
    rows: list[np.ndarray] = [prepare(picture, spec, invert).reshape(pixels) for picture in each(pictures)]
    if out is not None:
        _fits(out, (len(rows), pixels))
    elif not rows:
        return np.zeros((0, pixels), np.uint8)
    return np.stack(rows, out=out)


def first_layer_input(pictures: np.ndarray, encoding: Encoding) -> np.ndarray:
    """Prepared pictures as the first convolution takes them.

    Parameters
    ----------
    pictures : uint8 or float32 array (N, H, W, C)
        Pixels 0..255, channels in the order red, green, blue.
    encoding : Encoding
        Of kind "pixels" or "mean".

    Returns
    -------
    "pixels": the same array. "mean": float32 (N, H, W, C), (pixel - mean) / divisor in the encoding's order.
    """
    if encoding.kind == "pixels":
        return pictures
    if encoding.kind != "mean" or encoding.mean is None:
        raise InputError('encoding "{}" is not for convolutions: expected "pixels" or "mean"'.format(encoding.kind))
    if pictures.shape[1:] != encoding.mean.shape:
        raise InputError("{}: expected pictures of shape {}".format(describe(pictures), encoding.mean.shape))
    ordered = pictures[..., ::-1] if encoding.order == "bgr" else pictures
    centred: np.ndarray = np.subtract(ordered, encoding.mean, dtype=np.float32, order="C")
    centred /= np.float32(encoding.divisor)
    return centred


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
        except (TypeError, ValueError, OverflowError) as error:
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


def _as_is(values: np.ndarray, invert: Invert) -> np.ndarray:
    pixels = values if values.dtype == np.uint8 else as_uint8(values, describe(values))
    pixels = np.ascontiguousarray(pixels)
    return pixels if invert == "auto" or not invert else 255 - pixels
