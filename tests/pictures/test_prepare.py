"""From pictures to the network's input: what stays as it is, polarity, framing, batches."""
from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
import small
import small_conv
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from qnn_pynq.catalogue import find_network
from qnn_pynq.errors import InputError
from qnn_pynq.networks import Crop, Encoding
from qnn_pynq.pictures.prepare import is_batch, pictures_to_maps, prepare, prepare_many


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


def test_what_is_no_spec_is_said():
    network = small.network()
    with pytest.raises(InputError, match="spec is of type Network: expected .*network.input"):
        prepare(np.zeros((28, 28), np.uint8), network)
    with pytest.raises(InputError, match="spec is of type int"):
        prepare_many([], 3)


@pytest.mark.parametrize("invert", ["yes", None, 1.5, 2])
def test_invert_takes_three_values(invert):
    with pytest.raises(InputError, match="invert"):
        prepare(np.zeros((28, 28), np.uint8), small.SPEC, invert=invert)


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


def test_lists_that_hold_themselves_are_refused():
    endless: list = []
    endless.append(endless)
    for pictures in (endless, [endless], (endless,)):
        with pytest.raises(InputError, match="nested lists must hold numbers"):
            prepare_many(pictures, small.SPEC)
    with pytest.raises(InputError, match="a picture must be"):
        prepare(endless, small.SPEC)


@pytest.mark.parametrize("single", ["a.png", b"abc", memoryview(np.zeros((64, 64, 3), "u1")), io.BytesIO(), _ring()])
def test_one_picture_instead_of_many_is_refused(single):
    with pytest.raises(InputError, match="list"):
        prepare_many(single, small.SPEC)


def test_matrices_of_another_width_are_refused():
    with pytest.raises(InputError, match="784"):
        prepare_many(np.zeros((5, 100), np.uint8), small.SPEC)
    with pytest.raises(InputError, match="NaN"):
        prepare_many(np.full((5, 784), np.nan), small.SPEC)


# -- colour ----------------------------------------------------------------------------------

COLOUR = small_conv.small_network().input
MEAN = np.full((16, 16, 3), (100, 110, 120), np.float32)
PUBLISHED = dataclasses.replace(
    COLOUR, crop=Crop(20, "opencv-cubic"), encoding=Encoding("mean", mean=MEAN, divisor=255.0, order="bgr")
)


def _photo(height=30, width=40, seed=3) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("shape", [(16, 16, 3), (768,)])
def test_colour_arrays_of_the_networks_size_are_taken_as_they_are(shape):
    pixels = np.arange(768, dtype=np.int64).astype(np.uint8).reshape(shape)
    result = prepare(pixels, COLOUR)
    assert result.shape == (16, 16, 3) and np.shares_memory(result, pixels)
    assert (result.ravel() == pixels.ravel()).all()
    assert (prepare(pixels, COLOUR, invert=True).ravel() == 255 - pixels.ravel()).all()


def test_colour_batches_are_not_copied():
    rows = np.zeros((5, 16, 16, 3), np.uint8)
    for batch in (rows, rows.reshape(5, 768)):
        assert is_batch(batch, COLOUR)
        found = prepare_many(batch, COLOUR)
        assert found.shape == (5, 768) and np.shares_memory(found, batch)
    assert not is_batch(rows[0], COLOUR) and not is_batch(np.zeros((5, 20, 20, 3), np.uint8), COLOUR)


def test_a_photograph_is_cropped_and_stays_rgb():
    pixels = _photo(18, 20)
    assert np.array_equal(prepare(pixels, COLOUR), pixels[1:17, 2:18])
    assert np.array_equal(prepare(Image.fromarray(pixels), COLOUR), pixels[1:17, 2:18])
    many = prepare_many(np.stack([pixels, pixels]), COLOUR)
    assert np.array_equal(many, np.stack([pixels[1:17, 2:18].ravel()] * 2))


def test_without_a_crop_the_whole_photograph_is_resized():
    spec = dataclasses.replace(COLOUR, crop=None)
    left = np.zeros((20, 60, 3), np.uint8)
    left[:, 30:] = (250, 0, 120)
    found = prepare(left, spec)
    assert found.shape == (16, 16, 3) and (found[:, -2:] == (250, 0, 120)).all() and not found[:, :2].any()


def test_grey_photographs_get_three_equal_channels():
    grey = _photo()[:, :, 0]
    found = prepare(grey, COLOUR)
    assert found.shape == (16, 16, 3) and (found == found[:, :, :1]).all()


def test_light_and_dark_stay_in_colour_unless_asked_for():
    light = np.full((30, 30, 3), 250, np.uint8)
    light[10:20, 10:20] = 5
    spec = dataclasses.replace(COLOUR, polarity="light-on-dark")
    assert prepare(light, spec)[0, 0, 0] == 250
    assert prepare(light, spec, invert=True)[0, 0, 0] == 5


def test_a_grey_network_with_a_crop_heeds_the_polarity():
    spec = dataclasses.replace(small.SPEC, crop=Crop(30), framing=None)
    light = np.full((60, 60), 250, np.uint8)
    light[20:40, 20:40] = 5
    found = prepare(light, spec)
    assert found.shape == (28, 28) and found[0, 0] == 5 and found[14, 14] == 250
    assert prepare(light, dataclasses.replace(spec, polarity="as-is"))[0, 0] == 250


def test_published_pictures_stay_float_and_pass_twice():
    pixels = _photo(37, 53)
    one = prepare(pixels, PUBLISHED)
    assert one.dtype == np.float32 and one.shape == (16, 16, 3)
    rows = prepare_many([pixels, pixels], PUBLISHED)
    assert rows.dtype == np.float32 and rows.shape == (2, 768) and np.array_equal(rows[1], one.ravel())
    assert np.shares_memory(prepare_many(rows, PUBLISHED), rows)
    assert np.array_equal(prepare(rows[0], PUBLISHED), one)
    with pytest.raises(InputError, match="finite"):
        prepare(np.full(768, np.nan, np.float32), PUBLISHED)


def test_published_pictures_of_the_networks_size():
    pixels = _photo(16, 16)
    assert np.array_equal(prepare(pixels, PUBLISHED), pixels)
    assert np.array_equal(prepare(pixels / 255.0, PUBLISHED), pixels)
    rows = prepare_many(np.stack([pixels, pixels]), PUBLISHED)
    assert rows.dtype == np.float32 and np.array_equal(rows, np.stack([pixels.ravel()] * 2))
    assert prepare_many([], PUBLISHED).dtype == np.float32


def test_the_mean_is_taken_off_in_its_order():
    pixels = _photo(16, 16)[None]
    found = pictures_to_maps(pixels, PUBLISHED)
    assert found.dtype == np.float32 and found.flags.c_contiguous
    assert np.abs(found - (pixels[..., ::-1].astype(float) - MEAN) / 255).max() < 1e-6
    flat = pixels.reshape(1, -1)
    assert np.shares_memory(pictures_to_maps(flat, COLOUR), pixels)
    assert np.array_equal(pictures_to_maps(flat, COLOUR), pixels)


def test_pictures_of_another_size_do_not_meet_the_mean():
    with pytest.raises(InputError, match="16, 16, 3"):
        pictures_to_maps(np.zeros((1, 8, 8, 3), np.uint8), PUBLISHED)
    with pytest.raises(InputError, match="threshold"):
        pictures_to_maps(np.zeros((1, small.SPEC.pixels), np.uint8), small.SPEC)


@pytest.mark.parametrize("spec", [COLOUR, PUBLISHED], ids=["pixels", "mean"])
@pytest.mark.parametrize("size", [(1, 1), (5, 3), (15, 40), (17, 19)])
def test_photographs_smaller_than_the_crop_are_enlarged(spec, size):
    found = prepare(Image.new("RGB", size, (9, 90, 190)), spec)
    assert found.shape == (16, 16, 3) and (found == (9, 90, 190)).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F", "I;16"])
def test_every_pillow_mode_becomes_rgb(mode):
    source = Image.new("L", (30, 40), 200)
    image = Image.new("I;16", (30, 40), 200 * 257) if mode == "I;16" else source.convert(mode)
    found = prepare(image, COLOUR)
    assert found.dtype == np.uint8 and found.shape == (16, 16, 3)
    if mode != "1":  # dithered
        assert np.abs(found.astype(int) - 200).max() <= 3


def test_cmyk_jpeg_and_sixteen_bit_png(tmp_path):
    Image.new("CMYK", (30, 40), (0, 255, 255, 0)).save(str(tmp_path / "a.jpg"))
    red = prepare(tmp_path / "a.jpg", COLOUR)[8, 8]
    assert red[0] > 200 and red[1:].max() < 60
    Image.fromarray(np.full((40, 30), 51400, np.uint16)).save(str(tmp_path / "b.png"))
    assert (prepare(tmp_path / "b.png", COLOUR) == 200).all()


def test_the_first_frame_of_an_animated_photograph_counts():
    file = io.BytesIO()
    frames = [Image.new("RGB", (30, 30), colour) for colour in ((200, 10, 10), (10, 200, 10))]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    found = prepare(file.getvalue(), COLOUR)
    assert found[8, 8, 0] > 150 and found[8, 8, 1] < 60


def test_large_jpegs_are_exact_for_the_published_rule(tmp_path):
    """Decoding at a reduced scale would show through a filter of four taps."""
    path = tmp_path / "large.jpg"
    Image.fromarray(np.kron(_photo(82, 90), np.ones((32, 32, 1), np.uint8))).save(str(path))
    with Image.open(str(path)) as image:
        whole = np.asarray(image.convert("RGB"))
    assert np.array_equal(prepare(path, PUBLISHED), prepare(whole, PUBLISHED))


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5, 2), np.uint8), np.zeros(767, np.uint8),
        np.full((20, 20, 3), 300), np.full((20, 20, 3), np.nan), b"", b"no picture", "missing.jpg", 7,
    ],
)
@pytest.mark.parametrize("spec", [COLOUR, PUBLISHED], ids=["pixels", "mean"])
def test_bad_colour_pictures_are_refused(bad, spec):
    with pytest.raises(InputError):
        prepare(bad, spec)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(0, 70), max_size=4), st.sampled_from(["u1", "b1", "i4", "f4", "f8", "c8", "O", "U1"]),
    st.sampled_from([COLOUR, PUBLISHED, dataclasses.replace(COLOUR, crop=None)]), st.booleans(),
    st.sampled_from([0, 1, 255, -1, 256]),
)
def test_any_array_is_prepared_or_refused(shape, kind, spec, last, value):
    """What comes out has the network's size and dtype; what goes wrong is our error."""
    array = np.full(tuple(shape) + ((3,) if last else ()), value).astype(kind)
    wanted = np.float32 if spec is PUBLISHED else np.uint8
    try:
        found = prepare(array, spec)
        assert found.shape == (16, 16, 3) and found.dtype == wanted
    except InputError:
        pass
    try:
        rows = prepare_many(array, spec)
        assert rows.ndim == 2 and rows.shape[1] == 768 and rows.dtype == wanted
    except InputError:
        pass


def test_pictures_of_the_shipped_network_are_those_of_its_evaluation(shared_data):
    """The test pictures have 72 x 72 pixels; the training looked at their middle."""
    network = find_network("dorefa-w1a2-imagenette")
    with np.load(str(shared_data / "imagenette72" / "val.npz"), allow_pickle=False) as pack:
        blob, offsets = pack["blob"], pack["offsets"]
    for start, stop in list(zip(offsets[:-1], offsets[1:]))[::40]:
        data = blob[start:stop].tobytes()
        whole = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        assert np.array_equal(prepare(data, network.input), whole[4:68, 4:68])


# -- arrays that are not numpy's own ---------------------------------------------------------


class Tensor:
    """Stands for an array of another library."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return self.values if dtype is None else self.values.astype(dtype)


@pytest.mark.parametrize("spec, shape", [(small.SPEC, (28, 28)), (small.SPEC, (784,)), (COLOUR, (16, 16, 3))])
def test_tensors_are_taken_like_arrays(spec, shape):
    """Dark on light, which would be inverted in a picture."""
    values = np.random.RandomState(0).randint(200, 256, shape).astype(np.uint8)
    wanted = prepare(values, spec)
    assert np.array_equal(prepare(Tensor(values), spec), wanted)
    for many in ([Tensor(values)], Tensor(values[None])):
        assert np.array_equal(prepare_many(many, spec), wanted.reshape(1, -1))


@pytest.mark.parametrize("spec", [small.SPEC, COLOUR, PUBLISHED])
@pytest.mark.parametrize("dtype", ["u1", "f4", "?"])
def test_hidden_values_are_never_looked_at(spec, dtype):
    size = spec.size if spec.channels == 1 else spec.size + (3,)
    for shape in (size, (spec.pixels,), (40, 50) + size[2:]):
        picture = np.ma.masked_array(np.zeros(shape, dtype), np.arange(np.prod(shape)).reshape(shape) == 7)
        stack = np.ma.masked_array([picture.data], [picture.mask])
        for call, hidden in ((prepare, picture), (prepare_many, [picture]), (prepare_many, stack)):
            with pytest.raises(InputError, match="masked array"):
                call(hidden, spec)
        shown = np.ma.masked_array(picture.data)
        assert np.array_equal(prepare(shown, spec), prepare(picture.data, spec))
    row = [0] * 27 + [np.ma.masked]
    with pytest.raises(InputError, match="nested lists"):
        prepare_many([[row] * 28], small.SPEC)
