"""Anything that a user calls a picture → a Pillow image in mode "L" or "RGB", upright and opaque."""

from __future__ import annotations

import io
import logging
import os
import stat
from typing import Any, Iterator

import numpy as np
from PIL import Image, ImageFile, ImageOps

from ..errors import InputError
from ..files.bounded import TooMuch, mebibytes
from ..files.paths import path_text, shortened

__all__ = ["MAX_PIXELS", "as_uint8", "describe", "open_picture", "plain_array"]

_log = logging.getLogger(__name__)

MAX_PIXELS = 64 * 1024 * 1024
"""Larger pictures are refused before they are decoded."""

_MOST_FILE = 128 << 20
_MOST_SIDE = 0xFFFF  # as of a JPEG; lines cost time and memory, however short they are
_MOST_DECODED = 176 << 20  # bytes in Pillow's memory: 46 million pixels of colour
_DEEP = {"I": 8, "F": 8, "L": 1, "P": 1, "1": 1}  # bytes a pixel, with the copy that is looked at; 4 for others
_MOST_SCANNED = 1 << 30  # pixels times scans of a progressive JPEG, a second and a half
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MOST_TAGS = 8 << 20
_DRAFT = 1024
_STRIP = 1 << 18  # pixels that are computed at once: many bytes each
_ORIENTATION = 0x0112


def describe(source: Any) -> str:
    """Short name of a picture for messages."""
    if isinstance(source, (str, os.PathLike)):
        return shortened(repr(path_text(source, "picture {}: expected a path", InputError)))
    if isinstance(source, np.ndarray):
        return f"array of shape {source.shape} and dtype {source.dtype}"
    name = getattr(source, "name", None) or getattr(source, "filename", None)
    kind = type(source).__name__
    return f"{kind} {name!r}" if isinstance(name, str) and name else kind


def as_uint8(values: np.ndarray, name: str = "array") -> np.ndarray:
    """Pixels of any dtype as uint8.

    Parameters
    ----------
    values : array of any shape
        uint8 is taken as it is (no copy). bool: False 0, True 255. Other integers: 0..255.
        Floats: 0..1, where 1 is white; ``floor(255 * v + 0.5)``.

    Raises
    ------
    InputError
        NaN, infinite or out of range values, complex numbers, objects, texts.
    """
    kind = values.dtype.kind
    if values.dtype == np.uint8:
        return values
    if kind == "b":
        return values.astype(np.uint8) * np.uint8(255)
    if kind not in "iuf":
        raise InputError(
            f"{name}: pixels must be uint8, bool, integers in 0..255 or floats in 0..1, not dtype {values.dtype}"
        )
    if values.size == 0:
        return np.zeros(values.shape, np.uint8)
    low, high = values.min(), values.max()
    if kind in "iu":
        if low < 0 or high > 255:
            raise InputError(
                f"{name}: integer pixels must be in 0..255, got {low}..{high}: scale them and convert to uint8"
            )
        return values.astype(np.uint8)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"{name}: pixels must be finite, got NaN or infinity")
    if low < 0 or high > 1:
        raise InputError(
            f"{name}: float pixels must be in 0..1, got {float(low):g}..{float(high):g}: divide by the full scale, or "
            "give uint8 "
            "for pixels in 0..255"
        )
    return (values * 255 + 0.5).astype(np.uint8)


def plain_array(source: Any) -> Any:
    """Tensors, tables and subclasses of arrays as numpy's own array; what is no array as it is.

    Raises
    ------
    InputError
        Masked values, which have no colour, and objects that give no array.
    """
    if type(source) is np.ndarray or not hasattr(source, "__array__"):
        return source
    if isinstance(source, (str, bytes, Image.Image)) or hasattr(source, "read"):
        return source
    if isinstance(source, np.ma.MaskedArray) and b"\x01" in np.ma.getmaskarray(source).tobytes():
        raise InputError(f"masked {describe(source)}: fill the hidden values first, as by .filled(0)")
    try:
        return np.asarray(source)
    except Exception as error:  # whatever a foreign class raises
        raise InputError(f"{describe(source)} gives no array: {error}") from error


def open_picture(source: Any, reduced: int | None = _DRAFT) -> Image.Image:
    """Open and normalise one picture; the caller's object is not changed.

    Parameters
    ----------
    source : path, file object, bytes, PIL image, or array (H, W), (H, W, 1), (H, W, 3), (H, W, 4)
        See `as_uint8` for the pixels of arrays. EXIF orientation is applied, transparency is laid over
        black or white, whichever differs more from the picture, and of several frames the first counts.
    reduced : int or None
        JPEGs are decoded at a reduced scale where that leaves at least this many pixels a side; None: never.

    Returns
    -------
    PIL.Image.Image
        Mode "L", or "RGB" where the picture has colour.

    Raises
    ------
    InputError
        Naming the source, what is wrong with it and what to do.
    """
    source = plain_array(source)
    name = describe(source)
    if isinstance(source, np.ndarray):
        return _opaque(_from_array(source, name))
    if isinstance(source, Image.Image):
        _check_size(source.size, name)
        return _normalise(source, name)
    if isinstance(source, (bytes, bytearray, memoryview)):
        try:
            data = bytes(source)
        except ValueError as error:
            raise InputError(f"{name} is released: give the bytes while they are there") from error
        return _from_file(io.BytesIO(data), name, len(data), reduced)
    if isinstance(source, (str, os.PathLike)):
        try:
            found = os.stat(source)
            if stat.S_ISDIR(found.st_mode):
                raise InputError(f"{name} is a folder: give the pictures in it one by one")
            if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for
                raise InputError(f"{name} is no regular file: give a picture file, or an open file")
            with open(source, "rb") as file:
                if found.st_size > _MOST_FILE:
                    problem = "{} has {} bytes: expected at most {}; scale the picture down first"
                    raise InputError(problem.format(name, found.st_size, mebibytes(_MOST_FILE)))
                return _from_file(file, name, found.st_size, reduced)
        except FileNotFoundError as error:
            raise InputError(f"{name} does not exist: check the path") from error
        except OSError as error:
            raise InputError(f"{name} cannot be read: {error.strerror or error}") from error
        except ValueError as error:  # a NUL in the path
            if isinstance(error, InputError):
                raise
            raise InputError(f"{name} is no usable path: {error}") from error
    if hasattr(source, "read"):
        return _from_file(source, name, None, reduced)
    raise InputError(
        f"a picture must be a path, a PIL image, a file object or an array, not {type(source).__name__}"
    )


def _check_size(size: tuple[int, int], name: str) -> None:
    if size[0] < 1 or size[1] < 1:
        raise InputError("{}: the picture is empty ({} x {} pixels)".format(name, *size))
    if size[0] * size[1] > MAX_PIXELS:
        raise InputError(
            f"{name}: {size[0]} x {size[1]} pixels are more than the {MAX_PIXELS} allowed: scale the picture down first"
        )


def _from_array(values: np.ndarray, name: str) -> Image.Image:
    if values.size == 0:
        raise InputError(f"{name}: the picture is empty")
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim != 2 and not (values.ndim == 3 and values.shape[2] in (3, 4)):
        raise InputError(f"{name}: a picture array must be (H, W), (H, W, 3) or (H, W, 4)")
    _check_size((values.shape[1], values.shape[0]), name)
    return Image.fromarray(np.ascontiguousarray(as_uint8(values, name)))


def _from_file(file: Any, name: str, size: int | None, reduced: int | None) -> Image.Image:
    if size == 0:
        raise InputError(f"{name} is empty (0 bytes): was it saved or copied completely?")
    if getattr(file, "closed", False):
        raise InputError(f"{name} is closed: open it again, or give its path")
    tags = _Tags(file)
    try:
        image = Image.open(tags)
        tags.opened = True
    except TooMuch as error:
        raise InputError(f"{name}: {error}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(
            f"{name}: too many pixels ({error}): scale the picture down first"
        ) from error
    except Exception as error:  # Pillow's plugins raise what they like on hostile files
        _log.debug("Pillow cannot open %s", name, exc_info=True)
        raise InputError(
            f"{name} is no picture that Pillow can read ({type(error).__name__}): give a PNG, JPEG, BMP, GIF, WebP or "
            "TIFF "
            "file"
        ) from error
    whole = image.size
    _check_size(whole, name)
    if reduced is not None and image.format == "JPEG" and min(image.size) >= 2 * reduced:
        image.draft(image.mode, (reduced, reduced))
    _check_memory(image, whole, name)
    return _normalise(image, name)


class _Tags:
    """A picture's file; a TIFF may have `_MOST_TAGS` read of it until it is open: Pillow makes numbers of them."""

    def __init__(self, file: Any) -> None:
        self._file, self._left, self._tiff = file, _MOST_TAGS, False
        self.opened = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, *count: int) -> bytes:
        found: bytes = self._file.read(*count)
        if not self.opened:
            self._tiff = self._tiff or found[:4] in _TIFF
            self._left -= len(found)
            if self._tiff and self._left < 0:
                problem = "its tags have more than {}: save the picture without layers and thumbnails"
                raise TooMuch(problem.format(mebibytes(_MOST_TAGS)))
        return found


def _check_memory(image: ImageFile.ImageFile, size: tuple[int, int], name: str) -> None:
    """Refuse what takes too much memory or time to decode; `size` is what the file has, `image.size` what is made."""
    if max(size) > _MOST_SIDE:
        problem = "{}: {} x {} pixels: expected at most {} a side; scale the picture down first"
        raise InputError(problem.format(name, *size, _MOST_SIDE))
    needed = image.size[0] * image.size[1] * _DEEP.get(image.mode, 4)
    if image.format == "JPEG" and image.info.get("progressive"):  # all coefficients are held, 2 bytes each
        layers = [(each[1], each[2]) for each in getattr(image, "layer", ())]
        largest = max([1, *(across for across, _ in layers)]) * max([1, *(down for _, down in layers)])
        needed += sum(2 * size[0] * size[1] * across * down // largest for across, down in layers)
        scans = _count_scans(image)
        if scans * size[0] * size[1] > _MOST_SCANNED:
            problem = "{}: {} scans of {} x {} pixels are too many: save the picture as a JPEG that is not progressive"
            raise InputError(problem.format(name, scans, *size))
    if needed > _MOST_DECODED:
        problem = "{}: {} x {} pixels of mode {} take {} bytes: expected at most {}; scale the picture down first"
        raise InputError(problem.format(name, *size, image.mode, needed, mebibytes(_MOST_DECODED)))


def _check_copies(image: Image.Image, name: str) -> None:
    """Refuse a large picture that takes two copies: one upright, and one opaque or in RGB."""
    pixels = image.size[0] * image.size[1]
    if image.mode not in ("L", "RGB") and 3 * pixels * _DEEP.get(image.mode, 4) > 2 * _MOST_DECODED:
        problem = "{}: {} x {} pixels of mode {} are too many to be turned as its EXIF data says; scale it down first"
        raise InputError(problem.format(name, *image.size, image.mode))


def _count_scans(image: ImageFile.ImageFile) -> int:
    file: Any = image.fp
    place, count, last = file.tell(), 1, b""
    for _ in range(_MOST_FILE >> 20):
        block = file.read(1 << 20)
        if not block:
            break
        count += (last + block).count(b"\xff\xda")
        last = block[-1:]
    file.seek(place)
    return count


def _normalise(image: Image.Image, name: str) -> Image.Image:
    closed = _is_closed(image)
    try:
        image.load()
    except Exception as error:
        if closed or "closed image" in str(error):
            problem = "{} or the file behind it is closed: open it again, or load() it before that file is closed"
            raise InputError(problem.format(name)) from error
        raise InputError(f"{name} is damaged or cut off ({error}): get the file again") from error
    # Older Pillow opens 16-bit grey PNG files as mode "I".
    wide = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG")
    upright = image
    try:
        if image.getexif().get(_ORIENTATION, 1) != 1:  # else it would be copied
            _check_copies(image, name)
            upright = ImageOps.exif_transpose(image) or image
    except InputError:
        raise
    except Exception:  # broken EXIF data says nothing about the pixels
        _log.debug("unusable EXIF data in %s", name, exc_info=True)
    try:
        return _opaque(upright, wide)
    except (ValueError, OSError) as error:
        raise InputError(
            f"{name}: pictures of mode {image.mode!r} cannot be used ({error}): convert it to RGB first"
        ) from error


def _is_closed(image: Image.Image) -> bool:
    """Whether pixels that are not there yet cannot come any more."""
    file = image.fp if isinstance(image, ImageFile.ImageFile) else image
    return file is None or bool(getattr(file, "closed", False))


def _opaque(image: Image.Image, wide: bool = False) -> Image.Image:
    """Mode "L" or "RGB"; a new image or the one given, never a changed one."""
    mode = image.mode
    if mode in ("L", "RGB"):
        if "transparency" not in image.info:
            return image
    elif mode.startswith("I") or mode == "F":
        return _deep(image, wide)
    if mode == "1":
        return image.convert("L")
    if not (mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info):
        grey = mode == "P" and _grey_palette(image)
        return image.convert("L" if grey else "RGB")
    opaque, weight, total = True, 0, 0
    for _, strip in _strips(image):
        alpha = np.asarray(strip)[:, :, 3].astype(np.int64)
        opaque = opaque and int(alpha.min()) == 255
        weight += int(alpha.sum())
        total += int((np.asarray(strip.convert("RGB").convert("L")) * alpha).sum())
    ground = (0, 0, 0, 255) if weight and total / weight >= 128 else (255, 255, 255, 255)
    laid = Image.new("RGB", image.size)
    for top, strip in _strips(image):
        if not opaque:
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, ground), strip)
        laid.paste(strip.convert("RGB"), (0, top))
    return laid


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """(first line, its part in mode "RGBA") of the full width: the whole in that mode would be one copy more."""
    width, height = image.size
    lines = max(1, _STRIP // width)
    for top in range(0, height, lines):
        yield top, image.crop((0, top, width, min(height, top + lines))).convert("RGBA")


def _grey_palette(image: Image.Image) -> bool:
    palette = np.array(image.getpalette() or [], np.uint8)
    palette = palette[: len(palette) // 3 * 3].reshape(-1, 3)
    used = palette[: int(np.asarray(image).max()) + 1]
    return bool((used[:, :1] == used).all())


def _deep(image: Image.Image, wide: bool) -> Image.Image:
    """16-bit and float images: 16 bits are reduced to their upper eight, floats are 0..1 or 0..255."""
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)) or low < 0 or high > 65535:
        raise ValueError(f"pixels from {low:g} to {high:g}")
    if image.mode == "F":
        if high > 255:
            raise ValueError(f"float pixels up to {high:g}")
        gain, loss = 255 if high <= 1 else 1, 1
    else:
        gain, loss = 1, 257 if wide or high > 255 else 1
    found = np.empty(values.shape, np.uint8)
    lines = max(1, _STRIP // values.shape[1])
    for top in range(0, len(values), lines):
        found[top : top + lines] = values[top : top + lines].astype(np.float64) * gain / loss + 0.5
    return Image.fromarray(found)
