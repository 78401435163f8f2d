"""Pickled dicts of arrays: what is read, and that nothing in a hostile file runs or escapes as another error."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tracemalloc
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qnn_pynq.convert import pickled
from qnn_pynq.convert.pickled import read_pickled
from qnn_pynq.errors import DescriptorError

ARRAYS = {
    "conv0/T": np.array([0.75, 0.5, 0.25], np.float32),
    "conv0/W": np.asfortranarray(np.arange(24, dtype=np.float32).reshape(2, 3, 4)),
    "count": np.arange(5, dtype=np.int64),
    "one": np.full((1, 1), 9, np.uint8),
}
HEADER = b"\x93NUMPY\x01\x00F\x00" + b"{'descr': '|O', 'fortran_order': False, 'shape': (), }".ljust(69) + b"\n"
PROTO = HEADER + b"\x80\x02"


def boxed(value: object) -> np.ndarray:
    box = np.empty((), object)
    box[()] = value
    return box


def file_of(value: object, protocol: int = 2) -> bytes:
    """A .npy file as np.save writes it."""
    return HEADER + pickle.dumps(boxed(value), protocol)


REBUILD = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"


def python2(arrays: dict) -> bytes:
    """The same as Python 2 wrote it: data as 8-bit strings."""
    out = io.BytesIO()
    call, rest = b"K\x00K\x01\x87R(K\x03U\x01", b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK"
    out.write(b"\x80\x02" + REBUILD + b"(K\x01)cnumpy\ndtype\nU\x02O8" + call + b"|" + rest + b"?tb\x89](}(")
    for key, array in arrays.items():
        out.write(b"U" + bytes([len(key)]) + key.encode() + REBUILD + b"(K\x01(")
        for side in array.shape:
            out.write(b"\x8a\x04" + struct.pack("<i", side))
        code = array.dtype.str[1:].encode()
        out.write(b"tcnumpy\ndtype\nU" + bytes([len(code)]) + code + call + b"<" + rest + b"\x00tb")
        data = array.tobytes("F" if np.isfortran(array) else "C")
        out.write((b"\x88" if np.isfortran(array) else b"\x89") + b"T" + struct.pack("<I", len(data)) + data + b"tb")
    return HEADER + out.getvalue() + b"uetb."


def same(found: dict, wanted: dict) -> bool:
    return list(found) == list(wanted) and all(
        found[k].dtype == wanted[k].dtype and np.array_equal(found[k], wanted[k]) for k in wanted
    )


@pytest.fixture
def place(tmp_path) -> Path:
    return tmp_path / "arrays.npy"


def test_files_of_this_numpy(place):
    np.save(str(place), ARRAYS, allow_pickle=True)
    assert same(read_pickled(place), ARRAYS)


@pytest.mark.parametrize("protocol", [3, 4])
def test_other_protocols(place, protocol):
    place.write_bytes(file_of(ARRAYS, protocol))
    assert same(read_pickled(place), ARRAYS)


def test_files_of_python_2(place):
    content = python2(ARRAYS)
    place.write_bytes(content)
    found = read_pickled(place)
    assert same(found, ARRAYS) and not any(array.flags.writeable for array in found.values())


def test_the_published_file(golden):
    found = read_pickled(golden / "qnn-mo" / "params" / "dorefanet-conv0.npy")
    said = {name: (each.dtype.str, each.shape, sha256(each.tobytes()).hexdigest()) for name, each in found.items()}
    assert said == {  # as numpy reads them
        "conv0/T": ("<f4", (3,), "46c98ae18b5334c13847dbd6d5bcc41d715dc5b75e65daf998dfdeb32237208f"),
        "conv0/W": ("<f4", (68, 3, 12, 12), "731a29b89e8713e1d58eeff9a2ccd476e973d4fc854833fdf510d1c063719f39"),
    }


@pytest.mark.parametrize("order", ["C", "F"])
def test_large_arrays_stay_in_the_file(place, order):
    large = np.asarray(np.random.RandomState(0).rand(700, 500).astype(np.float32), order=order)
    place.write_bytes(python2({"small": np.ones(2, np.float32), "large": large}))
    found = read_pickled(place)
    assert np.array_equal(found["large"], large) and isinstance(found["large"].base, np.memmap)
    assert not found["large"].flags.writeable and not isinstance(found["small"].base, np.memmap)


# -- what is refused -------------------------------------------------------------------------------------


class Runs:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def run_text(path: Path) -> bytes:
    return b"cos\nmkdir\n(U" + bytes([len(str(path))]) + str(path).encode() + b"tR."


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_nothing_is_executed(place, tmp_path, protocol):
    runs = Runs(tmp_path / "ran")
    for value in ({"x": runs}, runs, {"x": ARRAYS["count"], "y": runs}):
        place.write_bytes(file_of(value, protocol))
        with pytest.raises(DescriptorError, match="arrays.npy"):
            read_pickled(place)
    place.write_bytes(PROTO + run_text(tmp_path / "ran"))
    with pytest.raises(DescriptorError, match="mkdir"):
        read_pickled(place)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "value",
    [
        {"x": 1}, {"x": None}, {1: ARRAYS["count"]}, [ARRAYS], "text", {"x": np.zeros(3, ">f4")},
        {"x": np.zeros((0, 3))}, {"x": boxed({})}, {"x": np.array(["a"])}, {"x": 1j},
        {"x": np.zeros(2, [("a", "i4")])}, {"x": np.float32(1)}, {"x": {"y": ARRAYS["count"]}},
    ],
)
def test_other_values_are_refused(place, value):
    place.write_bytes(file_of(value, 3))
    with pytest.raises(DescriptorError, match="arrays.npy"):
        read_pickled(place)


@pytest.mark.parametrize(
    "content, word",
    [
        (b"", "no .npy"),
        (b"BZh91AY", "bunzip2"),
        (b"\x93NUMPY\x01\x00\xff\xff{", "no .npy"),
        (HEADER, "cut off"),
        (PROTO + b"}.", "no dict"),
        (HEADER + b"\x80\x05.", "protocol 5"),
        (PROTO + b"U\xffabc.", "cut off"),
        (PROTO + b"h\x05.", "reference"),
        (PROTO + b"t.", "no beginning"),
        (PROTO + b"(.", "finds nothing"),
        (PROTO + b"(u.", "does not fit"),
        (PROTO + b"N" * 50000, "opcodes"),
        (PROTO + b"c" + b"a" * 9999, "without end"),
        (PROTO + b"\x8a\xff" + b"\xff" * 255 + b".", "255 bytes"),
        (PROTO + b"X\x01\x00\x00\x00\xff.", "UTF-8"),
    ],
)
def test_damaged_files_say_what_is_wrong(place, content, word):
    place.write_bytes(content)
    with pytest.raises(DescriptorError, match=word):
        read_pickled(place)


def test_plain_arrays_folders_and_missing_files(place, tmp_path):
    with pytest.raises(DescriptorError, match="not there"):
        read_pickled(place)
    with pytest.raises(DescriptorError, match="no regular file"):
        read_pickled(tmp_path)
    np.save(str(place), np.zeros(3))
    with pytest.raises(DescriptorError, match="float64"):
        read_pickled(place)


def test_something_behind_the_end(place):
    place.write_bytes(python2(ARRAYS) + b"N")
    with pytest.raises(DescriptorError, match="behind the end"):
        read_pickled(place)


def test_every_truncation_is_refused(place):
    content = python2({"a": ARRAYS["conv0/T"], "b": ARRAYS["count"]})
    for length in range(len(content)):
        place.write_bytes(content[:length])
        with pytest.raises(DescriptorError):
            read_pickled(place)


def _try(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        found = read_pickled(path)
    except DescriptorError:
        return
    assert all(isinstance(k, str) and v.dtype.kind in "fiu" and v.sum() is not None for k, v in found.items())


SAME_FILE = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SOME = b"\x80\x02.()]}NK\x00J\x85\x86\x87tRb\x89\x88hq\x8a\x94\x93\x8cXUTCBeausc\ncnumpy\nndarray\n0125"
OPCODES = st.sampled_from([SOME[k : k + 1] for k in range(len(SOME))])
DAMAGE = st.lists(st.tuples(st.integers(80, 700), st.integers(0, 255)), min_size=1, max_size=6)


@SAME_FILE
@given(DAMAGE, st.sampled_from([2, 3, 4]))
def test_damaged_bytes_give_only_our_error(place, damage, protocol):
    content = bytearray(python2(ARRAYS) if protocol == 2 else file_of(ARRAYS, protocol))
    for where, value in damage:
        content[where % len(content)] = value
    _try(place, bytes(content))


@SAME_FILE
@given(st.lists(st.one_of(OPCODES, st.binary(max_size=6)), max_size=60))
def test_any_opcodes_give_only_our_error(place, parts):
    _try(place, PROTO + b"".join(parts) + b".")


@SAME_FILE
@given(st.integers(80, 700), st.lists(OPCODES, min_size=1, max_size=8), st.integers(0, 8))
def test_spliced_opcodes_give_only_our_error(place, where, parts, cut):
    content = python2(ARRAYS)
    where %= len(content)
    _try(place, content[:where] + b"".join(parts) + content[where + cut :])


def test_shared_parts_do_not_grow(place):
    """A tuple of two of the last, a thousand times: 2**1000 elements if anybody looked at them all."""
    place.write_bytes(PROTO + b"}(" + b")" + b"q\x01h\x01\x86" * 1000 + b"Nu.")
    with pytest.raises(DescriptorError):
        read_pickled(place)


def repeated(array: np.ndarray, count: int) -> bytes:
    """`count` arrays that all get the state of the first, by a reference of five bytes."""
    content = python2({"0000": array})
    assert content.endswith(b"tbuetb.")
    others = b"".join(b"U\x04%04d" % index + REBUILD + b"h\x01b" for index in range(1, count))
    return content[: -len(b"tbuetb.")] + b"tq\x01b" + others + b"uetb."


@pytest.mark.parametrize("size", [1000, (1 << 20) - 1, 1 << 20])
def test_arrays_hold_no_more_than_the_file(place, size):
    """A file of 1 MB once became 2.4 GB: every array read the same data anew."""
    array = np.ones(size, np.int8)
    place.write_bytes(repeated(array, 1))
    assert same(read_pickled(place), {"0000": array})
    place.write_bytes(repeated(array, 2400))
    tracemalloc.start()
    try:
        with pytest.raises(DescriptorError, match="share, more than the whole file"):
            read_pickled(place)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * place.stat().st_size + (1 << 20)


def test_an_array_under_two_names_is_one(place):
    array = np.arange(9000.0)
    np.save(str(place), {"a": array, "b": array, "one": np.uint8([9]), "same": np.uint8([9])}, allow_pickle=True)
    found = read_pickled(place)
    assert np.array_equal(found["a"], array) and found["a"] is found["b"] and found["one"] == found["same"] == 9


def test_many_small_arrays_have_a_bound(place, monkeypatch):
    """A file may have 512 MiB, as much as a board has: only mapped arrays may be as large as the file."""
    monkeypatch.setattr(pickled, "_MOST_READ", 3000)
    place.write_bytes(python2({"a": np.zeros(1000, np.int8), "b": np.zeros(2000, np.int8), "c": np.zeros(1 << 20)}))
    assert list(read_pickled(place)) == ["a", "b", "c"]
    place.write_bytes(python2({"a": np.zeros(1000, np.int8), "b": np.zeros(2001, np.int8)}))
    with pytest.raises(DescriptorError, match="more than 3000 bytes in arrays that are not mapped"):
        read_pickled(place)
