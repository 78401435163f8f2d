"""Programs of the engine by hand, and the engine in plain numpy, one row group after the other.

Both are written from the description of the circuit, and share nothing with the package.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qnn_pynq.boards.emulated import EmulatedBoard
from qnn_pynq.contracts.overlay import Ip, Overlay
from qnn_pynq.families.engine.twin import EngineTwin

MAGIC, VERSION, BUILD, CAPS0, CAPS1, CAPS2, SCRATCH = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x18
CONTROL, STATUS, IRQ_ENABLE, IRQ_STATUS, GROUPS, PICTURES, WATCHDOG = 0x1C, 0x20, 0x24, 0x28, 0x2C, 0x30, 0x34
CYCLES, BUSY, WAIT_LOAD, WAIT_STORE, WAIT_DRAIN = 0x38, 0x3C, 0x40, 0x44, 0x48
START, ABORT, RESET = 1, 2, 4
BAD_PROGRAM, OUT_OF_RANGE, AXI_READ, AXI_WRITE, EXPIRED = 1, 2, 3, 4, 5
IMAGE, INPUT, OUTPUT, SCRATCH_REGION = 0, 1, 2, 3
DEPTHS = {2: 2048, 4: 2048, 6: 1536, 8: 1024}


def overlay(pe=4, vectors=2):
    geometry = {"pe": pe, "vectors": vectors, "lanes": 64, "weight_words": 1536, "bank_words": DEPTHS[vectors],
                "threshold_words": 512, "program_words": 1024, "accumulator_bits": 24}
    timing = {"model": True, "source": "test", "write_access_ns": 100, "read_access_ns": 150}
    ip = Ip("engine_0", "qnn-pynq:rtl:engine:1.0", 0x43C00000, 0x10000)
    return Overlay("engine-test", "engine", "engine", ("Pynq-Z1",), ip, 100.0, {}, geometry, timing, {}, {}, Path())


# -- words of a program -------------------------------------------------------------------------------------


def place(*fields):
    """A word of fields (lowest bit, bits, value); a value that does not fit is a mistake in the test."""
    word = 0
    for low, bits, value in fields:
        assert 0 <= value < 1 << bits, (low, bits, value)
        word |= value << low
    return word


def head(op, flags=""):
    """Flags: f first, n next, l wait_load, s wait_store, d wait_drain."""
    return op | sum(1 << 4 + "fnlsd".index(flag) for flag in flags)


def end(flags=""):
    return [head(1, flags)]


def load(target, region, to, offset, words, alt=0, ring=15, flags=""):
    return [head(2, flags) | place((16, 2, target), (18, 2, region), (20, 12, to), (32, 32, offset)),
            place((0, 20, words - 1), (20, 12, alt), (32, 4, ring))]


def store(region, source, offset, words, alt=0, ring=15, flags=""):
    return [head(3, flags) | place((18, 2, region), (20, 12, source), (32, 32, offset)),
            place((0, 12, words - 1), (20, 12, alt), (32, 4, ring))]


DEFAULTS = {
    "raw": 0, "wsh": 0, "nt": 1, "ob": 1, "ab": 1, "wb": 1, "stride": 1, "beta": 0, "pad": 0, "safe": 0, "n0": 1,
    "in_ptr": 0, "in_alt": 0, "in_ring": 15, "kx": 1, "out_ptr": 0, "out_alt": 0, "out_ring": 15, "ky": 1,
    "st_0": 1, "st_kx": 0, "st_ky": 0, "st_plane": 0, "st_group": 0, "out_sub": 0,
    "st_ox": 0, "st_oy": 0, "st_out": 0, "st_oplane": 0, "ox": 1, "oy": 1,
    "w_base": 0, "wrow": 0, "kw": 0, "t_base": 0, "rgs": 1, "groups": 1, "ix0": 0, "iy0": 0, "in_w": 256, "in_h": 256,
}


def layer(pool=False, flags="", **fields):
    f = dict(DEFAULTS, **fields)
    assert set(f) == set(DEFAULTS)
    return [
        head(5 if pool else 4, flags) | place(
            (16, 1, f["raw"]), (17, 1, f["wsh"]), (18, 4, f["nt"] - 1), (22, 2, f["ob"] - 1), (24, 3, f["ab"] - 1),
            (27, 3, f["wb"] - 1), (30, 2, f["stride"] - 1), (32, 8, f["beta"]), (40, 8, f["pad"]), (48, 8, f["safe"]),
            (56, 8, f["n0"] - 1)),
        place((0, 12, f["in_ptr"]), (12, 12, f["in_alt"]), (24, 4, f["in_ring"]), (28, 3, f["kx"] - 1),
              (32, 12, f["out_ptr"]), (44, 12, f["out_alt"]), (56, 4, f["out_ring"]), (60, 3, f["ky"] - 1)),
        place((0, 12, f["st_0"]), (12, 12, f["st_kx"]), (24, 12, f["st_ky"]), (36, 12, f["st_plane"]),
              (48, 12, f["st_group"]), (60, 4, f["out_sub"])),
        place((0, 12, f["st_ox"]), (12, 12, f["st_oy"]), (24, 12, f["st_out"]), (36, 12, f["st_oplane"]),
              (48, 8, f["ox"] - 1), (56, 8, f["oy"] - 1)),
        place((0, 11, f["w_base"]), (11, 11, f["wrow"]), (22, 11, f["kw"]), (33, 9, f["t_base"]),
              (42, 8, f["rgs"] - 1), (50, 8, f["groups"] - 1)),
        place((0, 9, f["ix0"] & 511), (9, 9, f["iy0"] & 511), (18, 8, f["in_w"] - 1), (26, 8, f["in_h"] - 1)),
    ]


# -- the circuit in plain numpy -----------------------------------------------------------------------------


def dots_of(word):
    return np.array([int(word) >> bit & 1 for bit in range(64)])


class Circuit:
    """Memories as lists of words, and what instructions do to them."""

    def __init__(self, pe, vectors, seed=None):
        rng = np.random.default_rng(seed)
        self.pe, self.vectors, self.depth = pe, vectors, DEPTHS[vectors]

        def words(*shape):
            if seed is None:
                return np.zeros(shape, np.uint64)
            return rng.integers(0, 1 << 64, shape, np.uint64)

        self.weights, self.thresholds = words(pe, 1536), words(pe // 4, 512)
        self.banks = words(vectors, self.depth)

    def give_to(self, twin):
        twin.memories.weights[:], twin.memories.thresholds[:] = self.weights, self.thresholds
        twin.memories.banks[:] = self.banks
        twin.memories.version += 1

    def agrees_with(self, twin):
        return (np.array_equal(self.banks, twin.memories.banks) and np.array_equal(self.weights, twin.memories.weights)
                and np.array_equal(self.thresholds, twin.memories.thresholds))

    def load(self, target, to, data, alt=0, ring=15, odd=False):
        memory, space = {0: (self.weights, 2048), 1: (self.thresholds, 512), 2: (self.banks, 4096)}[target]
        base = to ^ alt if odd else to
        for number, word in enumerate(data):
            unit, pointer = number % len(memory), base + number // len(memory)
            address = self.ringed(base, ring, pointer) if target == 2 else pointer % space
            if address < memory.shape[1]:
                memory[unit, address] = word

    def stored(self, source, words, alt=0, ring=15, odd=False):
        base = source ^ alt if odd else source
        return [self.bank_word(v, self.ringed(base, ring, base + k)) for k in range(words) for v in range(self.vectors)]

    @staticmethod
    def ringed(base, ring, pointer):
        pointer &= 4095
        if ring >= 12:
            return pointer
        size = 1 << ring
        return base // size * size + pointer % size

    def bank_word(self, vector, address):
        return int(self.banks[vector, address]) if address < self.depth else 0

    def run(self, pool=False, odd=False, flags="", **fields):
        """One layer, row group by row group."""
        f = dict(DEFAULTS, **fields)
        self._f = f
        self._base = f["in_ptr"] ^ f["in_alt"] if odd else f["in_ptr"]
        self._out = f["out_ptr"] ^ f["out_alt"] if odd else f["out_ptr"]
        for pixel in range(f["oy"] * f["ox"]):
            for group in range(f["groups"]):
                for row in range(f["rgs"]):
                    (self._pool if pool else self._layer)(pixel, group, group * f["rgs"] + row)

    def _word(self, vector, pixel, group, plane, ky, kx, n, pad):
        f = self._f
        oy, ox = divmod(pixel, f["ox"])
        iy, ix = (f["iy0"] + oy * f["stride"] + ky) % 512, (f["ix0"] + ox * f["stride"] + kx) % 512
        if iy >= f["in_h"] or ix >= f["in_w"]:
            return 2**64 - 1 if pad else 0
        pointer = (self._base + oy * f["st_oy"] + ox * f["st_ox"] + group * f["st_group"] + plane * f["st_plane"]
                   + ky * f["st_ky"] + kx * f["st_kx"] + n * f["st_0"])
        return self.bank_word(vector, self.ringed(self._base, f["in_ring"], pointer))

    def _write(self, vector, pointer, sub, width, value):
        address = self.ringed(self._out, self._f["out_ring"], pointer)
        if address >= self.depth:
            return
        old = int(self.banks[vector, address])
        keep = 0 if sub == 0 else old & ~(((1 << width) - 1) << width * sub)
        self.banks[vector, address] = keep | value << width * sub

    def _layer(self, pixel, group, number):
        f, pe = self._f, self.pe
        taps = [(ky, kx, n) for ky in range(f["ky"]) for kx in range(f["kx"]) for n in range(f["n0"])]
        found = np.zeros((self.vectors, pe), np.int64)
        for vector in range(self.vectors):
            sums, offset = [0] * pe, 0
            for tap, (ky, kx, n) in enumerate(taps):
                codes = sum(dots_of(self._word(vector, pixel, group, j, ky, kx, n, f["pad"] >> j & 1)) << j
                            for j in range(f["ab"]))
                offset += int(codes.sum()) * (f["beta"] % 2 ** f["wb"])
                for p in range(pe):
                    weights = 0
                    for i in range(f["wb"]):
                        address = (f["w_base"] + number * f["wrow"] + i * f["kw"] + tap) % 2048
                        weights = weights + (dots_of(self.weights[p, address] if address < 1536 else 0) << i)
                    sums[p] += int((weights * codes).sum())
            found[vector] = [((s << f["wsh"]) - offset + 2**23) % 2**24 - 2**23 for s in sums]
        subs = 64 // pe
        word, sub = divmod(f["out_sub"] + number, subs)
        planes = 4 * f["nt"] if f["raw"] else f["ob"]
        for vector in range(self.vectors):
            values = [int(d) if f["raw"] else self._code(int(d), number, p) for p, d in enumerate(found[vector])]
            for b in range(planes):
                value = sum((v >> b & 1) << p for p, v in enumerate(values))
                self._write(vector, self._out + pixel * f["st_out"] + word + b * f["st_oplane"], sub, pe, value)

    def _code(self, value, number, p):
        f, code = self._f, 0
        for i in range(f["nt"]):
            address = f["t_base"] + (number * 4 + p % 4) * -(-f["nt"] // 3) + i // 3
            word = int(self.thresholds[p // 4, address % 512])
            level = word >> 21 * (i % 3) & 0x1FFFFF
            level -= level >> 20 << 21
            code += (value >= level) != bool(word >> 63)
        return code

    def _pool(self, pixel, group, number):
        f = self._f
        for vector in range(self.vectors):
            best = np.zeros(64, int)
            for ky in range(f["ky"]):
                for kx in range(f["kx"]):
                    code = np.zeros(64, int)
                    for n in range(f["n0"]):
                        code = code * 2 + dots_of(self._word(vector, pixel, group, 0, ky, kx, n, 0))
                    best = np.maximum(best, code)
            for b in range(f["ob"]):
                value = sum(int(c) >> b & 1 << 0 and 1 << lane for lane, c in enumerate(best))
                self._write(vector, self._out + pixel * f["st_out"] + number + b * f["st_oplane"], 0, 64, value)


# -- a programmer -------------------------------------------------------------------------------------------


class Rig:
    """A twin on an emulated board's memory, with one buffer of 64 KiB a region."""

    def __init__(self, pe=4, vectors=2, nbytes=1 << 16, **options):
        self.board = EmulatedBoard(**options)
        self.twin = EngineTwin(overlay(pe, vectors), self.board.memory, self.board.clock)
        self.twin.faults = self.board.faults
        self.clock = self.board.clock
        found = [self.board.memory.allocate(nbytes) for _ in range(4)]
        self.bases = [address for address, _ in found]
        self.regions = [block.view("<u8") for _, block in found]
        for number, base in enumerate(self.bases):
            self.region(number, base, nbytes)

    def region(self, number, base, size, stride=0):
        for field, value in enumerate((base, size, stride)):
            self.twin.write(0x50 + 16 * number + 4 * field, value)

    def write_program(self, *instructions):
        for number, word in enumerate(word for instruction in instructions for word in instruction):
            self.twin.write(0x4000 + 8 * number, word & 0xFFFFFFFF)
            self.twin.write(0x4004 + 8 * number, word >> 32)

    def start(self, *instructions, groups=1):
        if instructions:
            self.write_program(*instructions)
        self.twin.write(GROUPS, groups)
        self.twin.write(CONTROL, START)

    def finish(self):
        """Wait for the end; the status register."""
        for _ in range(3):  # once more where an error waits for the ports
            if self.twin.busy_until is not None:
                self.clock.sleep_until(self.twin.busy_until)
            status = self.twin.read(STATUS)
            if not status & 1:
                return status
        raise AssertionError(hex(status))

    def run(self, *instructions, groups=1):
        self.start(*instructions, groups=groups)
        return self.finish()
