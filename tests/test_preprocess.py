"""From pictures to the network's input: what stays as it is, polarity, framing, batches."""
from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
import small
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from qnn_pynq.errors import InputError
from qnn_pynq.preprocess import is_batch, prepare, prepare_many


def _ring(size=(120, 160), ink=0, paper=255, place=(40, 30, 90, 110), width=12) -> Image.Image:
    """A ring of ink on paper; place = (left, top, right, bottom)."""
    image = Image.new("L", (size[1], size[0]), paper)
    ImageDraw.Draw(image).ellipse(place, outline=ink, width=width)
    return image


def _agreement(a: np.ndarray, b: np.ndarray) -> float:
    return float(((a >= 128) == (b >= 128)).mean())


# -- arrays of the network's size ------------------------------------------------------------


@pytest.mark.parametrize("shape", [(28, 28), (784,), (28, 28, 1)])
def test_arrays_of_the_networks_size_are_taken_as_they_are(shape):
    dark_on_light = np.random.RandomState(0).randint(200, 256, shape).astype(np.uint8)
    result = prepare(dark_on_light, small.SPEC)
    assert result.shape == (28, 28) and np.shares_memory(result, dark_on_light)
    assert (result.ravel() == dark_on_light.ravel()).all()
    assert (prepare(dark_on_light, small.SPEC, invert=True).ravel() == 255 - dark_on_light.ravel()).all()


def test_other_dtypes_of_the_networks_size_are_converted_only():
    values = np.arange(784) % 256
    for array in (values, values / 255.0, values.astype(np.float32) / 255):
        assert (prepare(array, small.SPEC).ravel() == values).all()
    assert (prepare(values > 100, small.SPEC).ravel() == np.where(values > 100, 255, 0)).all()


def test_result_is_contiguous_for_strided_input():
    values = np.arange(28 * 56, dtype=np.int64).astype(np.uint8).reshape(28, 56)[:, ::2]
    result = prepare(values, small.SPEC)
    assert result.flags.c_contiguous and (result == values).all()


def test_flat_arrays_of_another_length_are_refused():
    with pytest.raises(InputError, match="784"):
        prepare(np.zeros(783, np.uint8), small.SPEC)


@pytest.mark.parametrize("invert", ["yes", None, 1.5, 2])
def test_invert_takes_three_values(invert):
    with pytest.raises(InputError, match="invert"):
        prepare(np.zeros((28, 28), np.uint8), small.SPEC, invert=invert)


def test_colour_networks_are_refused():
    with pytest.raises(InputError, match="channels"):
        prepare(np.zeros((28, 28), np.uint8), dataclasses.replace(small.SPEC, channels=3))


# -- pictures of the network's size ----------------------------------------------------------


def test_a_picture_of_the_networks_size_keeps_its_pixels():
    pixels = np.zeros((28, 28), np.uint8)
    pixels[9:19, 12:16] = np.arange(40).reshape(10, 4) + 150
    assert (prepare(Image.fromarray(pixels), small.SPEC) == pixels).all()
    assert (prepare(Image.fromarray(255 - pixels), small.SPEC) == pixels).all()
    assert (prepare(Image.fromarray(255 - pixels), small.SPEC, invert=False) == 255 - pixels).all()
    assert (prepare(Image.fromarray(pixels), small.SPEC, invert=True) == 255 - pixels).all()


# -- polarity --------------------------------------------------------------------------------


@pytest.mark.parametrize("ink, paper", [(0, 255), (255, 0), (60, 200), (200, 60), (150, 240), (10, 100)])
def test_light_and_dark_pictures_give_the_same(ink, paper):
    wanted = prepare(_ring(), small.SPEC)
    assert _agreement(prepare(_ring(ink=ink, paper=paper), small.SPEC), wanted) > 0.99


@pytest.mark.parametrize("ink, paper", [
    ((200, 30, 30), (255, 255, 255)), ((20, 40, 160), (250, 246, 228)), ((250, 240, 60), (255, 255, 255)),
    ((255, 255, 255), (20, 80, 40)), ((255, 0, 0), (0, 129, 0)), ((76, 76, 76), (255, 0, 0)),
])
def test_colours_give_the_same(ink, paper):
    shape = np.asarray(_ring()) == 0
    picture = np.where(shape[:, :, None], ink, paper).astype(np.uint8)
    wanted = prepare(_ring(), small.SPEC)
    assert _agreement(prepare(picture, small.SPEC), wanted) > 0.99


def test_descriptors_polarity_decides():
    as_light = prepare(_ring(), small.SPEC)
    dark = dataclasses.replace(small.SPEC, polarity="dark-on-light")
    for picture in (_ring(), _ring(ink=255, paper=0)):
        assert (prepare(picture, dark) == 255 - as_light).all()
    as_is = dataclasses.replace(small.SPEC, polarity="as-is")
    assert (prepare(_ring(ink=255, paper=0), as_is) == as_light).all()
    assert (prepare(_ring(), as_is) == 255 - as_light).all()


# -- framing ---------------------------------------------------------------------------------


def _bounds(result: np.ndarray) -> tuple:
    rows, columns = np.nonzero(result.max(axis=1) > 60)[0], np.nonzero(result.max(axis=0) > 60)[0]
    return rows[0], rows[-1], columns[0], columns[-1]


def test_longest_side_fills_the_box_and_the_mass_is_in_the_middle():
    result = prepare(_ring(), small.SPEC)
    top, bottom, left, right = _bounds(result)
    assert bottom - top + 1 == 20 and 11 <= right - left + 1 <= 14
    assert result.max() > 240 and result[0].max() == 0
    rows = (result.sum(axis=1) * np.arange(28)).sum() / result.sum()
    columns = (result.sum(axis=0) * np.arange(28)).sum() / result.sum()
    assert abs(rows - 14) <= 0.5 and abs(columns - 14) <= 0.5


def test_box_framing_fills_the_picture():
    top, bottom, left, right = _bounds(prepare(_ring(), small.CLOTHES))
    assert (top, bottom) == (0, 27) and abs((left + right) / 2 - 13.5) <= 0.5


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([0.5, 1, 2, 4]))
def test_place_and_size_do_not_matter(x, y, scale):
    wanted = prepare(_ring(), small.SPEC)
    moved = _ring(size=(200, 200), place=(20 + x, 20 + y, 70 + x, 100 + y))
    size = (int(200 * scale), int(200 * scale))
    assert _agreement(prepare(moved.resize(size, Image.BICUBIC), small.SPEC), wanted) > 0.95


def test_large_photographs_are_no_problem():
    big = _ring().resize((3200, 2400), Image.BICUBIC)
    assert _agreement(prepare(big, small.SPEC), prepare(_ring(), small.SPEC)) > 0.97


def test_noise_and_uneven_light_are_ignored():
    rng = np.random.RandomState(0)
    picture = np.asarray(_ring(ink=40, paper=230)).astype(float)
    picture = picture * np.linspace(1, 0.85, 160)[None, :] + rng.normal(0, 5, picture.shape)
    noisy = np.clip(picture, 0, 255).astype(np.uint8)
    assert _agreement(prepare(noisy, small.SPEC), prepare(_ring(), small.SPEC)) > 0.97


def test_a_hair_line_survives():
    thin = _ring(size=(400, 400), place=(50, 50, 300, 350), width=3)
    assert (prepare(thin, small.SPEC) >= 128).sum() > 40


def test_whole_picture_keeps_its_aspect_on_its_own_background():
    wide = np.full((40, 80), 200, np.uint8)
    wide[10:30, 20:60] = 40
    result = prepare(wide, small.WHOLE)
    assert result.shape == (28, 28)
    assert (result[:6] == 55).all() and (result[-6:] == 55).all()
    assert result[13, 14] == 215


@pytest.mark.parametrize("value", [0, 128, 255])
def test_blank_pictures_give_background(value, caplog):
    assert (prepare(np.full((50, 60), value, np.uint8), small.SPEC) == 0).all()
    assert "nothing" in caplog.text


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 2), (3, 5), (29, 28), (27, 28)])
@pytest.mark.parametrize("spec", [small.SPEC, small.CLOTHES, small.WHOLE])
def test_every_shape_works(shape, spec):
    picture = np.random.RandomState(1).randint(0, 256, shape).astype(np.uint8)
    result = prepare(picture, spec)
    assert result.shape == (28, 28) and result.dtype == np.uint8


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**31), st.sampled_from(["mass", "box"]),
       st.sampled_from(["auto", True, False]))
def test_any_pixels_give_a_picture_of_the_networks_size(height, width, seed, centre, invert):
    rng = np.random.RandomState(seed)
    picture = rng.randint(0, 256, (height, width, 3)).astype(np.uint8)
    spec = small.SPEC if centre == "mass" else small.CLOTHES
    before = picture.copy()
    assert prepare(picture, spec, invert).shape == (28, 28)
    assert (picture == before).all()


# -- many ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 784), (5, 28, 28), (5, 28, 28, 1), (0, 784), (1, 28, 28), (28, 784)])
def test_batches_are_not_copied(shape):
    batch = np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)
    rows = prepare_many(batch, small.SPEC)
    assert rows.shape == (shape[0], 784) and (rows.ravel() == batch.ravel()).all()
    assert not batch.size or np.shares_memory(rows, batch)


def test_one_picture_is_no_batch():
    assert not is_batch(np.zeros((28, 28), np.uint8), small.SPEC)
    assert is_batch(np.zeros((784, 784), np.uint8), small.SPEC)


def test_iterables_of_anything(tmp_path):
    ring = _ring()
    ring.save(tmp_path / "ring.png")
    array = np.zeros((28, 28), np.uint8)
    rows = prepare_many((p for p in (ring, tmp_path / "ring.png", array)), small.SPEC)
    assert rows.shape == (3, 784) and (rows[0] == rows[1]).all() and not rows[2].any()
    assert prepare_many([], small.SPEC).shape == (0, 784)
    stack = np.stack([np.asarray(ring)] * 2)
    assert (prepare_many(stack, small.SPEC)[0] == rows[0]).all()


def test_lists_of_numbers_and_tables():
    rows = [[float(k % 2) for k in range(784)]] * 2
    assert prepare_many(rows, small.SPEC).max() == 255
    assert prepare_many([[k % 256 for k in range(784)]], small.SPEC)[0, 255] == 255

    class Table:
        def __array__(self, dtype=None, copy=None):
            return np.zeros((3, 784), np.uint8)

    assert prepare_many(Table(), small.SPEC).shape == (3, 784)
    with pytest.raises(InputError, match="lists"):
        prepare_many([[1, 2], [1]], small.SPEC)


def test_out_is_filled():
    out = np.empty((2, 784), np.uint8)
    assert prepare_many([np.zeros(784, np.uint8)] * 2, small.SPEC, out=out) is out and not out.any()
    assert prepare_many(np.ones((2, 784), np.uint8), small.SPEC, out=out) is out and out.all()
    with pytest.raises(InputError, match="out"):
        prepare_many(np.ones((3, 784), np.uint8), small.SPEC, out=out)


@pytest.mark.parametrize("single", ["a.png", b"abc", io.BytesIO(), _ring()])
def test_one_picture_instead_of_many_is_refused(single):
    with pytest.raises(InputError, match="list"):
        prepare_many(single, small.SPEC)


def test_matrices_of_another_width_are_refused():
    with pytest.raises(InputError, match="784"):
        prepare_many(np.zeros((5, 100), np.uint8), small.SPEC)
    with pytest.raises(InputError, match="NaN"):
        prepare_many(np.full((5, 784), np.nan), small.SPEC)
