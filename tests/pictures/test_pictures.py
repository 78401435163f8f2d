"""Opening whatever a user calls a picture: what is accepted, what is refused, and with which words."""
from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from qnn_pynq.errors import InputError
from qnn_pynq.pictures import opening as pictures
from qnn_pynq.pictures.opening import as_uint8, open_picture, plain_array


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _gradient() -> np.ndarray:
    return np.arange(256, dtype=np.uint8).reshape(16, 16)


# -- pixels ----------------------------------------------------------------------------------


def test_uint8_is_not_copied():
    values = _gradient()
    assert as_uint8(values) is values


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint16, np.int32, np.int64])
def test_integers_within_a_byte_are_taken(dtype):
    assert as_uint8(np.array([0, 100], dtype)).tolist() == [0, 100]


def test_floats_are_0_to_1_and_rounded():
    assert as_uint8(np.array([0, 0.5, 1.0, 0.999])).tolist() == [0, 128, 255, 255]
    every = np.arange(256)
    assert (as_uint8(every / 255.0) == every).all()
    assert (as_uint8((every / 255.0).astype(np.float32)) == every).all()


def test_bool_is_black_and_white():
    assert as_uint8(np.array([False, True])).tolist() == [0, 255]


@pytest.mark.parametrize("values, word", [
    (np.array([0.0, np.nan]), "NaN"),
    (np.array([0.0, np.inf]), "infinity"),
    (np.array([0.0, 255.0]), "divide"),
    (np.array([-0.1, 0.5]), "0..1"),
    (np.array([0, 256]), "0..255"),
    (np.array([-1, 3]), "0..255"),
    (np.array([1j]), "complex"),
    (np.array(["a"]), "dtype"),
    (np.array([None]), "object"),
])
def test_other_pixels_are_refused(values, word):
    with pytest.raises(InputError, match=word):
        as_uint8(values)


# -- sources ---------------------------------------------------------------------------------


def test_every_way_to_hand_in_a_picture_gives_the_same(tmp_path):
    image = Image.fromarray(_gradient())
    path = tmp_path / "picture.png"
    image.save(path)
    for source in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), image, _gradient(),
                   _gradient()[:, :, None], np.asfortranarray(_gradient())):
        opened = open_picture(source)
        assert opened.mode == "L" and (np.asarray(opened) == _gradient()).all()
    with open(path, "rb") as file:
        assert (np.asarray(open_picture(file)) == _gradient()).all()


def test_the_callers_image_is_not_changed():
    image = Image.fromarray(np.dstack([_gradient()] * 4), "RGBA")
    before = image.tobytes()
    open_picture(image)
    assert image.mode == "RGBA" and image.size == (16, 16) and image.tobytes() == before


def test_colour_stays_colour():
    assert open_picture(np.zeros((3, 5, 3), np.uint8)).mode == "RGB"


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F"])
def test_every_pillow_mode_opens(mode):
    grey = Image.fromarray(_gradient())
    image = grey.convert("RGB").convert(mode) if mode in ("HSV", "CMYK", "YCbCr") else grey.convert(mode)
    opened = open_picture(image)
    assert opened.mode in ("L", "RGB") and opened.size == (16, 16)
    if mode not in ("1", "YCbCr", "HSV", "CMYK"):
        assert (np.asarray(opened.convert("L")) == _gradient()).all()


def test_lab_opens_or_says_what_to_convert_it_to():
    # Pillow below 10 has no conversion from LAB.
    try:
        assert open_picture(Image.new("LAB", (16, 16))).mode == "RGB"
    except InputError as error:
        assert "convert it to RGB first" in str(error)


def test_sixteen_bit_png_is_reduced_to_its_upper_bits(tmp_path):
    deep = (_gradient().astype(np.uint16) * 257)
    path = tmp_path / "deep.png"
    Image.fromarray(deep).save(path)
    assert (np.asarray(open_picture(path)) == _gradient()).all()
    dim = np.full((4, 4), 200, np.uint16)  # nearly black, not 200 of 255
    Image.fromarray(dim).save(path)
    assert (np.asarray(open_picture(path)) == 1).all()


def test_one_bit_png(tmp_path):
    Image.fromarray(_gradient() >= 128).save(tmp_path / "bit.png")
    assert set(np.unique(np.asarray(open_picture(tmp_path / "bit.png")))) == {0, 255}


def test_transparency_is_laid_over_what_the_picture_is_not():
    for ink, ground in ((0, 255), (255, 0)):
        rgba = np.zeros((8, 8, 4), np.uint8)
        rgba[2:6, 2:6] = (ink, ink, ink, 255)
        opened = np.asarray(open_picture(rgba).convert("L"))
        assert opened[0, 0] == ground and opened[3, 3] == ink


def test_transparent_palette_colour():
    image = Image.fromarray((_gradient() >= 128).astype(np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 0, 0])
    data = io.BytesIO()
    image.save(data, "PNG", transparency=0)
    opened = np.asarray(open_picture(data.getvalue()))
    assert (opened[0, 0] == 255).all() and (opened[-1, -1] == 0).all()


def test_exif_orientation_is_applied():
    wide = Image.fromarray(np.repeat(_gradient(), 2, axis=1))
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees
    data = io.BytesIO()
    wide.save(data, "JPEG", exif=exif.tobytes())
    assert open_picture(data.getvalue()).size == (16, 32)


def test_first_frame_of_an_animation_counts():
    frames = [Image.new("L", (9, 9), value) for value in (10, 200)]
    data = io.BytesIO()
    frames[0].save(data, "GIF", save_all=True, append_images=frames[1:])
    assert np.asarray(open_picture(data.getvalue()).convert("L")).max() < 20


# -- refusals --------------------------------------------------------------------------------


def _bomb(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) + chunk(
        b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("content, word", [
    (b"", "empty"),
    (b"hello, no picture", "no picture"),
    (b"\x89PNG\r\n\x1a\n", "no picture"),
    (_png(Image.fromarray(np.random.RandomState(0).randint(0, 255, (64, 64)).astype(np.uint8)))[:2000], "cut off"),
    (_bomb(10000, 10000), "pixels"),
    (_bomb(100000, 100000), "pixels"),
])
def test_bad_files_are_named_with_the_reason(tmp_path, content, word):
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=word) as caught:
        open_picture(path)
    assert "bad.png" in str(caught.value)
    with pytest.raises(InputError, match=word):
        open_picture(content)


def test_every_truncation_of_a_jpeg_opens_or_is_refused():
    data = io.BytesIO()
    Image.fromarray(_gradient()).save(data, "JPEG")
    whole = data.getvalue()
    for length in range(0, len(whole), 7):
        try:
            open_picture(whole[:length])
        except InputError:
            pass


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        open_picture(tmp_path / "none.png")
    with pytest.raises(InputError, match="folder"):
        open_picture(tmp_path)
    with pytest.raises(InputError, match="path"):
        open_picture("a\0b")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_are_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(str(tmp_path / "pipe.png"))
    with pytest.raises(InputError, match="pipe.png' is no regular file"):
        open_picture(tmp_path / "pipe.png")
    with pytest.raises(InputError, match="/dev/null' is no regular file"):
        open_picture("/dev/null")


class NoPath:
    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return self.path


def test_paths_that_can_be_none():
    with pytest.raises(InputError, match=r"xxx\.\.\. \(5002 characters\) cannot be read: File name too long"):
        open_picture("x" * 5000)
    with pytest.raises(InputError, match="no usable path"):
        open_picture("\ud800")
    for path in (5, None, b"bytes.png"):
        with pytest.raises(InputError, match="NoPath .*: expected a path"):
            open_picture(NoPath(path))


@pytest.mark.parametrize("source", [None, 3, object(), {"a": 1}])
def test_other_things_are_refused(source):
    with pytest.raises(InputError, match="picture must be"):
        open_picture(source)


@pytest.mark.parametrize("shape", [(0, 5), (3, 3, 2), (2, 3, 4, 3), ()])
def test_arrays_of_other_shapes_are_refused(shape):
    with pytest.raises(InputError, match="array"):
        open_picture(np.zeros(shape, np.uint8))


# -- what is closed, hidden or foreign -------------------------------------------------------


def test_closed_files_are_said_to_be_closed(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(_png(Image.fromarray(_gradient())))
    on_disk, in_memory = path.open("rb"), io.BytesIO(path.read_bytes())
    on_disk.close()
    in_memory.close()
    for source in (on_disk, in_memory):
        with pytest.raises(InputError, match="is closed: open it again"):
            open_picture(source)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF"])
def test_closed_images_are_said_to_be_closed(tmp_path, kind):
    path = tmp_path / "picture"
    Image.fromarray(_gradient()).save(path, kind)
    lazy, loaded, left, drawn = Image.open(path), Image.open(path), Image.open(path), Image.new("L", (16, 16))
    loaded.load()
    for image in (lazy, loaded, drawn):
        image.close()
    with left:
        pass
    with path.open("rb") as file:
        orphan = Image.open(file)
    for image in (lazy, loaded, left, drawn, orphan):
        with pytest.raises(InputError, match="closed: open it again, or load"):
            open_picture(image)


def test_images_that_were_loaded_before_their_file_was_closed_are_taken():
    with io.BytesIO(_png(Image.fromarray(_gradient()))) as file:
        image = Image.open(file)
        image.load()
    assert (np.asarray(open_picture(image)) == _gradient()).all()


def test_images_of_damaged_files_are_not_said_to_be_closed():
    noise = np.random.RandomState(0).randint(0, 255, (64, 64)).astype(np.uint8)
    image = Image.open(io.BytesIO(_png(Image.fromarray(noise))[:2000]))
    with pytest.raises(InputError, match="damaged or cut off"):
        open_picture(image)


def test_views_of_bytes():
    data = _png(Image.fromarray(_gradient()))
    apart = memoryview(bytes(byte for byte in data for _ in range(2)))[::2]
    for view in (memoryview(data), apart):
        assert (np.asarray(open_picture(view)) == _gradient()).all()
    released = memoryview(data)
    released.release()
    with pytest.raises(InputError, match="memoryview is no picture"):
        open_picture(memoryview(np.zeros((4, 4))[::2]))
    with pytest.raises(InputError, match="released"):
        open_picture(released)


@pytest.mark.parametrize("dtype", ["u1", "i8", "f4", "f8", "?", "O", "u1,u1"])
def test_arrays_with_hidden_values_are_refused(dtype):
    values = np.ma.masked_array(np.zeros((16, 16), dtype))
    values[3, 4] = np.ma.masked
    with pytest.raises(InputError, match="masked array .*filled"):
        plain_array(values)
    with pytest.raises(InputError, match="masked array .*filled"):
        open_picture(values)


def test_subclasses_of_arrays_without_hidden_values_are_taken():
    masked = np.ma.masked_array(_gradient())
    other = _gradient().view(np.recarray)
    for values in (masked, other):
        assert type(plain_array(values)) is np.ndarray and np.shares_memory(plain_array(values), values)
        assert (np.asarray(open_picture(values)) == _gradient()).all()


def test_objects_that_give_no_array_are_refused():
    class OnAnotherDevice:
        def __array__(self, *args, **kwargs):
            raise RuntimeError("copy it to the host first")

    with pytest.raises(InputError, match="OnAnotherDevice gives no array: copy it"):
        open_picture(OnAnotherDevice())


# -- memory ----------------------------------------------------------------------------------


def _noise(mode: str, size: tuple = (150, 90)) -> Image.Image:
    """Wide and tall enough for several strips, none of which is the last by chance."""
    rng = np.random.RandomState(3)
    shape = size[::-1]
    if mode == "F":
        return Image.fromarray(rng.rand(*shape).astype(np.float32))
    if mode == "I":
        return Image.fromarray(rng.randint(0, 65536, shape).astype(np.int32))
    if mode == "I;16":
        return Image.fromarray(rng.randint(0, 65536, shape).astype(np.uint16))
    return Image.frombytes(mode, size, rng.bytes(len(mode) * size[0] * size[1]))


@pytest.mark.parametrize("mode", ["F", "I", "I;16", "LA", "RGBA"])
def test_strips_leave_no_seam(monkeypatch, mode):
    image = _noise(mode)
    whole = np.asarray(open_picture(image))
    monkeypatch.setattr(pictures, "_STRIP", 7 * 150 + 3)
    assert np.array_equal(np.asarray(open_picture(image)), whole)
    if mode in ("LA", "RGBA"):
        wide = np.asarray(image.convert("RGBA")).astype(float)
        alpha = wide[:, :, 3:] / 255
        luma = np.asarray(image.convert("RGB").convert("L")).astype(float)
        ground = 0 if (luma * alpha[:, :, 0]).sum() / alpha.sum() >= 128 else 255
        assert np.abs(wide[:, :, :3] * alpha + ground * (1 - alpha) - whole).max() <= 1
    else:
        values = np.asarray(image).astype(float)
        assert np.array_equal(whole, np.floor((values * 255 if mode == "F" else values / 257) + 0.5))


@pytest.mark.parametrize("mode", ["F", "I;16", "LA", "RGBA"])
def test_a_small_file_with_many_pixels_does_not_fill_the_memory(mode):
    """8000 x 8000 transparent pixels, a file of 264 kB, once took 2.2 GB."""
    image = _noise(mode, (2000, 2000))
    open_picture(image.crop((0, 0, 9, 9)))  # what is loaded once
    tracemalloc.start()
    try:
        open_picture(image)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 * 2000 * 2000
