"""Photographs in the size of a network: Pillow's filters, and the published rule of DoReFa-Net."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from qnn_pynq.networks import Crop
from qnn_pynq.pictures.cropping import crop_middle, cubic_middle, middle_part, resize_whole, whole_in_letterbox

FILTERS = {"lanczos": getattr(Image, "LANCZOS"), "bicubic": getattr(Image, "BICUBIC")}  # noqa: B009


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth colours and some noise."""
    rng = np.random.RandomState(seed)
    y, x = np.mgrid[:height, :width]
    waves = [127 + 80 * np.sin(y / (7.0 + k)) * np.cos(x / (5.0 + 2 * k)) for k in range(3)]
    return np.clip(np.stack(waves, 2) + rng.normal(0, 10, (height, width, 3)), 0, 255).astype(np.uint8)


def keys(distance: float, a: float = -0.75) -> float:
    """Cubic convolution (Keys 1981)."""
    x = abs(distance)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def slow_cubic(pixels: np.ndarray, size: int, short_side: int) -> np.ndarray:
    """The rule of the specs, one pixel at a time in double precision, the whole picture before the crop."""
    h, w = pixels.shape[:2]
    scale = short_side / min(h, w)
    wide, tall = (int(max(size, min(side, scale * side))) for side in (w, h))

    def along(values: np.ndarray, length: int) -> np.ndarray:
        ratio = values.shape[0] / length
        out = np.zeros((length,) + values.shape[1:])
        for i in range(length):
            place = (i + 0.5) * ratio - 0.5
            for tap in range(math.floor(place) - 1, math.floor(place) + 3):
                out[i] += keys(place - tap) * values[min(max(tap, 0), values.shape[0] - 1)]
        return out

    whole = along(along(pixels.astype(np.float64), tall).swapaxes(0, 1), wide).swapaxes(0, 1)
    top, left = int((tall - size) * 0.5), int((wide - size) * 0.5)
    return whole[top : top + size, left : left + size]


@pytest.mark.parametrize(
    "height, width", [(40, 61), (61, 40), (33, 33), (32, 50), (25, 19), (16, 17), (9, 40), (1, 1), (1, 30), (16, 16)]
)
def test_cubic_follows_the_rule_pixel_by_pixel(height, width):
    pixels = photo(height, width)
    found = cubic_middle(pixels, (16, 16), 20)
    assert found.dtype == np.float32 and found.shape == (16, 16, 3)
    assert np.abs(found - slow_cubic(pixels, 16, 20)).max() < 1e-3


def test_cubic_leaves_a_picture_below_the_short_side_as_it_is():
    pixels = photo(18, 19)
    assert np.array_equal(cubic_middle(pixels, (16, 16), 20), pixels[1:17, 1:17])


def test_cubic_takes_grey():
    pixels = photo(40, 30)
    grey = cubic_middle(np.ascontiguousarray(pixels[:, :, 1]), (16, 16), 20)
    assert np.array_equal(grey, cubic_middle(pixels, (16, 16), 20)[:, :, 1])


def test_cubic_of_one_colour_is_that_colour():
    assert (cubic_middle(np.full((50, 70, 3), 200, np.uint8), (16, 16), 20) == 200).all()


@pytest.mark.parametrize("kind", sorted(FILTERS))
@pytest.mark.parametrize("height, width", [(72, 72), (73, 75), (90, 131), (375, 500), (1000, 300), (40, 50)])
def test_the_middle_is_that_of_the_whole_picture_resized(kind, height, width):
    image = Image.fromarray(photo(height, width))
    scale = 72 / min(height, width)
    wide, tall = round(width * scale), round(height * scale)
    whole = np.asarray(image.resize((wide, tall), FILTERS[kind])).astype(int)
    top, left = (tall - 64) // 2, (wide - 64) // 2
    found = crop_middle(image, (64, 64), Crop(72, kind))
    assert found.dtype == np.uint8 and found.shape == (64, 64, 3)
    assert np.abs(found - whole[top : top + 64, left : left + 64]).max() <= 1


def test_a_picture_of_the_short_side_is_only_cropped():
    pixels = photo(73, 72)
    assert np.array_equal(crop_middle(Image.fromarray(pixels), (64, 64), Crop(72)), pixels[4:68, 4:68])


def test_the_middle_part_of_pixels_is_that_of_one_picture_or_many():
    pixels = np.arange(2 * 7 * 8 * 3).reshape(2, 7, 8, 3)
    rows, columns = (1, 2, 3, 4), (1, 2, 3, 4, 5)
    expected = [[[pixels[n, row, column].tolist() for column in columns] for row in rows] for n in (0, 1)]
    assert middle_part(pixels, (4, 5)).tolist() == expected
    assert middle_part(pixels[1], (4, 5)).tolist() == expected[1]
    assert middle_part(pixels, (4, 5)).flags.c_contiguous
    assert np.array_equal(middle_part(pixels, (7, 8)), pixels)


def test_a_picture_of_the_networks_size_stays():
    pixels = photo(64, 64)
    assert np.array_equal(crop_middle(Image.fromarray(pixels), (64, 64), Crop(72)), pixels)
    assert np.array_equal(resize_whole(Image.fromarray(pixels), (64, 64)), pixels)


@pytest.mark.parametrize("kind", ["lanczos", "bicubic", "opencv-cubic"])
@pytest.mark.parametrize("size", [(1, 1), (1, 60000), (60000, 1), (2, 3), (3, 5000)])
def test_tiny_and_narrow_pictures_fill_the_network_without_their_full_enlargement(kind, size):
    image = Image.new("RGB", size, (10, 200, 30))
    found = crop_middle(image, (24, 32), Crop(40, kind))
    assert found.shape == (24, 32, 3) and np.abs(found - (10.0, 200.0, 30.0)).max() < 1e-3


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 200), st.integers(1, 200), st.integers(1, 40), st.integers(1, 40), st.integers(0, 60),
    st.sampled_from(["lanczos", "bicubic", "opencv-cubic"]), st.sampled_from(["L", "RGB"]),
)
def test_every_size_gives_the_networks_size(height, width, rows, columns, more, kind, mode):
    image = Image.fromarray(photo(height, width)).convert(mode)
    found = crop_middle(image, (rows, columns), Crop(max(rows, columns) + more, kind))
    assert found.shape[:2] == (rows, columns) and np.isfinite(found).all()


def test_the_whole_picture_loses_its_aspect():
    image = Image.new("RGB", (60, 30), (0, 0, 0))
    image.paste((255, 255, 255), (30, 0, 60, 30))
    found = resize_whole(image, (20, 20))
    assert found.shape == (20, 20, 3) and found[:, :8].max() < 20 and found[:, 12:].min() > 235


def darknets_letterbox(pixels, height, width, fill):
    """The rule of the specs, one pixel at a time, in double precision."""
    tall, wide, channels = pixels.shape
    if width / wide < height / tall:
        new_wide, new_tall = width, tall * width // wide
    else:
        new_wide, new_tall = wide * height // tall, height
    across = np.zeros((tall, new_wide, channels))
    for x in range(new_wide):
        place = x * (wide - 1) / (new_wide - 1) if new_wide > 1 else 0
        if x == new_wide - 1 or wide == 1:
            across[:, x] = pixels[:, wide - 1]
        else:
            across[:, x] = (1 - place % 1) * pixels[:, int(place)] + place % 1 * pixels[:, int(place) + 1]
    found = np.full((height, width, channels), float(fill))
    left, top = (width - new_wide) // 2, (height - new_tall) // 2
    for y in range(new_tall):
        place = y * (tall - 1) / (new_tall - 1) if new_tall > 1 else 0
        line = across[tall - 1] if y == new_tall - 1 or tall == 1 else None
        if line is None:
            line = (1 - place % 1) * across[int(place)] + place % 1 * across[int(place) + 1]
        found[top + y, left : left + new_wide] = line
    return found


@pytest.mark.parametrize(
    ("tall", "wide", "size"),
    [(30, 50, (40, 40)), (50, 30, (40, 40)), (41, 41, (40, 40)), (40, 40, (40, 40)), (7, 5, (24, 33)), (1, 9, (20, 20)),
     (90, 9, (20, 31))],
)
def test_a_letterbox_is_darknets(tall, wide, size):
    # A smooth picture: where a place falls beside a pixel by rounding, nothing jumps.
    y, x = np.mgrid[:tall, :wide]
    pixels = np.stack([4 * y % 256, 255 - 4 * x % 256, (y + x) % 256], axis=2).astype(np.uint8)
    found = whole_in_letterbox(pixels, size, 127.5)
    assert found.shape == size + (3,) and found.dtype == np.float32
    assert np.abs(found - darknets_letterbox(pixels.astype(np.float64), *size, 127.5)).max() < 0.05


def test_a_letterbox_of_a_line_keeps_a_pixel():
    found = whole_in_letterbox(np.full((1, 500), 9, np.uint8), (20, 20), 3.0)
    assert (found == 9).sum() == 20 and (found == 3).sum() == 380
