"""Files that swell when they are read, or lie about their size; and what it takes to refuse them."""

from __future__ import annotations

import gc
import gzip
import io
import json
import os
import random
import resource
import struct
import time
import zipfile
import zlib
from functools import lru_cache
from typing import Any, Callable, NamedTuple, Sequence

import numpy as np

__all__ = ["MEMORY", "SECONDS", "Cost", "cost", "gzip_bomb", "npy_header", "png_bomb", "reset_peak", "swell", "used",
           "zip_bomb"]

SECONDS = 2.0  # of the processor, that a case may take
MEMORY = 200 * 10**6  # bytes that it may take beside what was there before
_CHUNK = 1 << 20
_MOST_CHUNKS = 512  # of a picture


class Cost(NamedTuple):
    """What a call took, and how it ended: the error's class and text, or the text of the result."""

    seconds: float
    memory: int
    kind: str
    text: str


def used() -> int:
    """The largest memory of this process so far, since `reset_peak` where the kernel has it; bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def reset_peak() -> int:
    """Begin anew with what is used now; returns it."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass
    return used()


def cost(run: Callable[[], Any]) -> Cost:
    """Call `run` in a process of its own, whose memory begins with what this one has."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        gc.freeze()  # what this process had is none of the reader's
        kind, text = "ended", "without a word"
        before, begun = reset_peak(), time.process_time()
        try:
            kind, text = "", str(run())
        except BaseException as error:
            kind, text = type(error).__name__, str(error)
        finally:
            found = Cost(time.process_time() - begun, used() - before, kind, text[:2000])
            with os.fdopen(writing, "w") as file:
                json.dump(found, file)
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        data = stream.read()
    os.waitpid(child, 0)
    return Cost(*json.loads(data)) if data else Cost(0.0, 0, "killed", "")


@lru_cache(maxsize=None)
def _zeros() -> bytes:
    """A mebibyte of zeros, deflated so that it can be repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(bytes(_CHUNK)) + packer.flush(zlib.Z_FULL_FLUSH)


def _deflated(head: bytes, mebibytes: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + mebibytes * _zeros() + b"\3\0"


def npy_header(shape: Sequence[int], dtype: Any = "u1") -> bytes:
    """The start of a `.npy` file of that shape."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": tuple(shape)})
    return stream.getvalue()


def gzip_bomb(head: bytes, mebibytes: int) -> bytes:
    """gzip of `head` and zeros behind it, with a wrong checksum."""
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + _deflated(head, mebibytes) + bytes(8)


def zip_bomb(members: dict[str, bytes], mebibytes: int, claims: int | None = None) -> bytes:
    """A zip of members, the last one with zeros behind it and a wrong checksum.

    `claims`: the size that the archive says of the last one; by default the true one.
    """
    found, directory, last = bytearray(), bytearray(), list(members)[-1]
    for name, data in members.items():
        packed = _deflated(data, mebibytes if name == last else 0)
        size = len(data) + (mebibytes * _CHUNK if name == last else 0)
        said = claims if claims is not None and name == last else size
        extra = b""
        if said >= 1 << 32:
            extra, said = struct.pack("<HHQ", 1, 8, said), 0xFFFFFFFF
        crc = 0 if name == last else zlib.crc32(data)
        entry = struct.pack("<HHHHHIIIHH", 45, 0, 8, 0, 33, crc, len(packed), said, len(name), len(extra))
        directory += b"PK\1\2" + struct.pack("<H", 45) + entry + struct.pack("<HHHII", 0, 0, 0, 0, len(found))
        directory += name.encode() + extra
        found += b"PK\3\4" + entry + name.encode() + extra + packed
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(found), 0)
    return bytes(found + directory + b"PK\5\6" + end)


def png_bomb(width: int, height: int, colour: int, missing: int) -> bytes:
    """A PNG of zeros, 8 bits a channel, without the last `missing` bytes of its data."""
    line = 1 + width * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    packed = b"\x78\xda" + _deflated(b"", min(_MOST_CHUNKS, -(-line * height // _CHUNK))) + bytes(4)

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
    palette = chunk(b"PLTE", bytes(768)) if colour == 3 else b""
    return b"\x89PNG\r\n\x1a\n" + head + palette + chunk(b"IDAT", packed[: len(packed) - missing]) + chunk(b"IEND", b"")


def swell(dice: random.Random, data: bytes) -> bytes | None:
    """`data` with something in it made large, or said to be; None for a file that knows no such thing."""
    mebibytes = dice.choice((0, 1, 16, 100, 170, 180, 400))
    if data[:6] == b"\x93NUMPY":
        version, length = dice.choice(((b"\2\0", "<I"), (b"\1\0", "<H")))
        return data[:6] + version + struct.pack(length, dice.choice((4097, 0xFFFF))) + data[8:]
    if data[:2] == b"\x1f\x8b":
        try:
            return gzip_bomb(_grown(dice, gzip.decompress(data)[:4096], mebibytes), mebibytes)
        except (OSError, EOFError, zlib.error):
            return None
    if data[:4] == b"\x89PNG":
        return png_bomb(*dice.choice(((9000, 9000), (8000, 8000), (6700, 6700), (1, 1 << 26), (30, 30))),
                        dice.choice((0, 2, 3, 4, 6)), dice.choice((0, 2, 3000)))
    if data[:4] != b"PK\3\4":
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {info.filename: archive.read(info) for info in archive.infolist() if info.file_size < _CHUNK}
        name = dice.choice(sorted(members))
        stream = io.BytesIO(members.pop(name))
        np.lib.format.read_magic(stream)
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        rest = dice.choice(((), shape[1:], (1,)))
        each = int(np.prod(rest, dtype=np.int64)) * dtype.itemsize or 1
        members[name] = npy_header((mebibytes * _CHUNK // each, *rest), dtype)
        claims = dice.choice((None, None, None, 1, 1 << 31, 1 << 50, len(members[name]) + mebibytes * _CHUNK))
    except (OSError, ValueError, IndexError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        return None
    return zip_bomb(members, mebibytes, claims)


def _grown(dice: random.Random, head: bytes, mebibytes: int) -> bytes:
    """An idx header that says as much as there is, or another number."""
    if head[:3] == b"\0\0\x08" and 0 < head[3] < 5 and dice.random() < 0.8:
        count = dice.choice((mebibytes * _CHUNK, 0xFFFFFFFF))
        return head[:4] + struct.pack(">I", count) + b"\0\0\0\1" * (head[3] - 1)
    return head
