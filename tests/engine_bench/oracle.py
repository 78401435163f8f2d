"""What the engine computes, in plain Python and numpy: slow, obvious, and written from docs/engine.md alone.

Nothing of the package is imported. An instruction is finished before the next one begins: programs that need the
circuit's waits and have them give the same on the circuit.
"""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Sequence

import numpy as np

from .fields import END, LAYER, LENGTH, LOAD, POOL, RESERVED, STORE, decode

__all__ = ["AXI_READ", "AXI_WRITE", "BAD_PROGRAM", "Memory", "Oracle", "Outcome", "OUT_OF_RANGE", "Region", "WATCHDOG"]

BAD_PROGRAM, OUT_OF_RANGE, AXI_READ, AXI_WRITE, WATCHDOG = 1, 2, 3, 4, 5
LANES = 64
PROGRAM_WORDS = 1024
WEIGHT_WORDS, THRESHOLD_WORDS = 1536, 512
IMAGE, INPUT, OUTPUT, SCRATCH = 0, 1, 2, 3


class Region(NamedTuple):
    """Registers of a region."""

    base: int = 0
    size: int = 0
    stride: int = 0


class Outcome(NamedTuple):
    """Of a run. `code` 0: done. `word` is the program word of the instruction that ended it, None where it is open."""

    code: int
    word: int | None
    pictures: int
    fed: int  # words that went through the array
    read_bursts: int
    write_bursts: int


class Memory:
    """DDR: 64-bit words from a byte address on."""

    def __init__(self, origin: int, words: np.ndarray) -> None:
        self.origin, self.words = origin, words

    def place(self, address: int, count: int, code: int) -> int:
        index = (address - self.origin) // 8
        if address < self.origin or index + count > len(self.words):
            raise _Fault(code, None)
        return index


class _Fault(Exception):
    def __init__(self, code: int, word: int | None) -> None:
        super().__init__(code, word)
        self.code, self.word = code, word


def wrap(base: int, pointer: int, ring: int) -> int:
    """Address within the ring of 2**ring words that `base` lies in; a ring of 12 and above is all there is."""
    if ring >= 12:
        return pointer % 4096
    mask = (1 << ring) - 1
    return (base & ~mask & 4095) | (pointer & mask)


def signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def unpack(words: np.ndarray) -> np.ndarray:
    """(...) words -> (..., 64) of 0 and 1."""
    flat = np.ascontiguousarray(words, dtype="<u8").reshape(-1)
    return np.unpackbits(flat.view(np.uint8), bitorder="little").reshape(np.shape(words) + (LANES,))


def pack(bits: np.ndarray) -> int:
    """64 of 0 and 1 -> a word."""
    return int(np.packbits(np.asarray(bits, dtype=np.uint8), bitorder="little").view("<u8")[0])


class Oracle:
    """The engine's memories, and what a run makes of them and of DDR.

    Parameters
    ----------
    P, V, blocks : int
        Processing elements, vectors, blocks of 512 words of a bank.
    """

    def __init__(self, P: int, V: int, blocks: int) -> None:
        self.P, self.V, self.depth = P, V, 512 * blocks
        self.banks = np.zeros((V, self.depth), dtype=np.uint64)
        self.weights = np.zeros((P, WEIGHT_WORDS), dtype=np.uint64)
        self.thresholds = np.zeros((P // 4, THRESHOLD_WORDS), dtype=np.uint64)

    # -- a run ----------------------------------------------------------------------------------------------------
    def run(
        self,
        program: Sequence[int],
        groups: int,
        regions: Sequence[Region],
        memory: Memory,
        fed_limit: int | None = None,
    ) -> Outcome:
        """Run a program, zeros behind it, over a number of groups.

        `fed_limit`: words through the array after which the run is not worth following (OverflowError).
        """
        words = [int(word) for word in program] + [0] * (PROGRAM_WORDS - len(program))
        self.regions, self.memory, self.fed, self.limit = regions, memory, 0, fed_limit
        self.bursts = [0, 0]
        pictures = 0
        try:
            if groups == 0:
                raise _Fault(BAD_PROGRAM, 0)
            for group in range(groups):
                self._group(words, group, group == groups - 1)
                pictures += self.V
        except _Fault as fault:
            return Outcome(fault.code, fault.word, pictures, self.fed, *self.bursts)
        return Outcome(0, None, pictures, self.fed, *self.bursts)

    def _group(self, words: list[int], group: int, last: bool) -> None:
        at = 0
        while True:
            if at >= PROGRAM_WORDS:
                raise _Fault(BAD_PROGRAM, None)
            op = words[at] & 15
            if op not in LENGTH or at + LENGTH[op] > PROGRAM_WORDS:
                raise _Fault(BAD_PROGRAM, at)
            instruction = words[at : at + LENGTH[op]]
            if any(instruction[word] >> low & ((1 << bits) - 1) for word, low, bits in RESERVED[op]):
                raise _Fault(BAD_PROGRAM, at)
            f = decode(instruction)
            if self._contradicts(f):
                raise _Fault(BAD_PROGRAM, at)
            if not (f["first"] and group) and not (op == LOAD and f["next"] and last):
                try:
                    if op == END:
                        return
                    if op == LOAD:
                        self._load(f, group + 1 if f["next"] else group)
                    elif op == STORE:
                        self._store(f, group)
                    elif op == LAYER:
                        self._layer(f, group)
                    else:
                        self._pool(f, group)
                except _Fault as fault:
                    raise _Fault(fault.code, at if fault.code in (BAD_PROGRAM, OUT_OF_RANGE) else None) from None
            at += LENGTH[op]

    @staticmethod
    def _contradicts(f: Mapping[str, int]) -> bool:
        """Whether fields exclude one another; looked at before an instruction is skipped."""
        op = f["op"]
        if op == LOAD and f["target"] == 3 or op != LOAD and f["next"] or op == END and f["first"]:
            return True
        if op in (LAYER, POOL) and f["levels"] > (8 if f["raw"] else 15):
            return True
        return op == POOL and (
            f["n0"] != f["out_bits"] or f["raw"] or f["act_bits"] > 1 or f["weight_bits"] > 1 or f["rgs"] > 1
        )

    # -- memory ---------------------------------------------------------------------------------------------------
    def _address(self, region: int, offset: int, nbytes: int, group: int) -> int:
        base, size, stride = self.regions[region]
        moved = group * stride if region in (INPUT, OUTPUT) else 0
        if base % 128 or (moved + offset) % 128 or moved + offset + nbytes > size:
            raise _Fault(OUT_OF_RANGE, None)
        return base + moved + offset

    def _load(self, f: Mapping[str, int], group: int) -> None:
        start = self._address(f["region"], f["offset"], 8 * f["words"], group)
        first = self.memory.place(start, f["words"], AXI_READ)
        self.bursts[0] += -(-f["words"] // 16)
        dst = f["dst"] ^ (f["alt"] if group % 2 else 0)
        target = (self.weights, self.thresholds, self.banks)[f["target"]]
        for i in range(f["words"]):
            which, step = i % len(target), i // len(target)
            if f["target"] == 0:
                address = (dst + step) % 2048
            elif f["target"] == 1:
                address = (dst + step) % THRESHOLD_WORDS
            else:
                address = wrap(dst, dst + step, f["ring"])
            if address < target.shape[1]:
                target[which, address] = self.memory.words[first + i]

    def _store(self, f: Mapping[str, int], group: int) -> None:
        if f["region"] not in (OUTPUT, SCRATCH):
            raise _Fault(OUT_OF_RANGE, None)
        count = f["words"] * self.V
        start = self._address(f["region"], f["offset"], 8 * count, group)
        first = self.memory.place(start, count, AXI_WRITE)
        self.bursts[1] += -(-count // 16)
        src = f["src"] ^ (f["alt"] if group % 2 else 0)
        for k in range(f["words"]):
            address = wrap(src, src + k, f["ring"])
            for v in range(self.V):
                self.memory.words[first + k * self.V + v] = self.banks[v, address] if address < self.depth else 0

    # -- the array ------------------------------------------------------------------------------------------------
    def _feed(self, words: int) -> None:
        self.fed += words
        if self.limit is not None and self.fed > self.limit:
            raise OverflowError(f"{self.fed} words fed")

    def _inside(self, f: Mapping[str, int], oy: int, ox: int, ky: int, kx: int) -> bool:
        iy = signed(f["iy0"] + oy * f["stride"] + ky, 9)
        ix = signed(f["ix0"] + ox * f["stride"] + kx, 9)
        return 0 <= iy < f["in_h"] and 0 <= ix < f["in_w"]

    def _read(self, address: int) -> np.ndarray:
        """Words of all banks."""
        return self.banks[:, address] if address < self.depth else np.zeros(self.V, dtype=np.uint64)

    def _window(self, f: Mapping[str, int], in_ptr: int, oy: int, ox: int, group: int) -> np.ndarray:
        """Stored values of a pixel's window: (V, taps * 64)."""
        rows = []
        for ky in range(f["ky"]):
            for kx in range(f["kx"]):
                inside = self._inside(f, oy, ox, ky, kx)
                for n in range(f["n0"]):
                    value = np.zeros((self.V, LANES), dtype=np.int64)
                    for j in range(f["act_bits"]):
                        pointer = (
                            in_ptr
                            + oy * f["st_oy"]
                            + ox * f["st_ox"]
                            + group * f["st_group"]
                            + j * f["st_plane"]
                            + ky * f["st_ky"]
                            + kx * f["st_kx"]
                            + n * f["st_0"]
                        )
                        if inside:
                            word = self._read(wrap(in_ptr, pointer, f["in_ring"]))
                        else:
                            word = np.full(self.V, 2**64 - 1 if f["pad"] >> j & 1 else 0, dtype=np.uint64)
                        value += unpack(word).astype(np.int64) << j
                    rows.append(value)
        return np.concatenate(rows, axis=1)

    def _weight_rows(self, f: Mapping[str, int], rowindex: int, taps: int) -> np.ndarray:
        """Stored weights of a row group: (P, taps * 64)."""
        value = np.zeros((self.P, taps, LANES), dtype=np.int64)
        for i in range(f["weight_bits"]):
            for tap in range(taps):
                address = (f["w_base"] + rowindex * f["wrow"] + i * f["kw"] + tap) % 2048
                if address < WEIGHT_WORDS:
                    value[:, tap] += unpack(self.weights[:, address]).astype(np.int64) << i
        return value.reshape(self.P, taps * LANES)

    def _code(self, f: Mapping[str, int], row: int, rowindex: int, total: int) -> int:
        """Code of a sum: how many thresholds it meets."""
        words_each = (f["levels"] + 2) // 3
        code = 0
        for i in range(f["levels"]):
            address = (f["t_base"] + (rowindex * 4 + row % 4) * words_each + i // 3) % THRESHOLD_WORDS
            word = int(self.thresholds[row // 4, address])
            level = signed(word >> 21 * (i % 3), 21)
            code += (total >= level) ^ (word >> 63)
        return code

    def _layer(self, f: Mapping[str, int], group: int) -> None:
        in_ptr = f["in_ptr"] ^ (f["in_alt"] if group % 2 else 0)
        out_ptr = f["out_ptr"] ^ (f["out_alt"] if group % 2 else 0)
        taps = f["ky"] * f["kx"] * f["n0"]
        planes = 4 * f["levels"] if f["raw"] else f["out_bits"]
        offset = f["beta"] & ((1 << f["weight_bits"]) - 1)
        weights: dict[int, np.ndarray] = {}
        pixel = 0
        for oy in range(f["oy"]):
            for ox in range(f["ox"]):
                for inner in range(f["groups"]):
                    values: Any = None
                    for g in range(f["rgs"]):
                        self._feed(taps * f["weight_bits"] * f["act_bits"])
                        if values is None:
                            values = self._window(f, in_ptr, oy, ox, inner)
                        rowindex = inner * f["rgs"] + g
                        if rowindex not in weights:
                            weights[rowindex] = self._weight_rows(f, rowindex, taps).astype(np.float64)
                        # Exact: every product of two bytes, and fewer than 2**20 of them.
                        counts = (values.astype(np.float64) @ weights[rowindex].T).astype(np.int64)
                        sums = offset * values.sum(axis=1)
                        for v in range(self.V):
                            results = []
                            for row in range(self.P):
                                total = signed((int(counts[v, row]) << f["wsh"]) - int(sums[v]), 24)
                                results.append(total if f["raw"] else self._code(f, row, rowindex, total))
                            self._put_rows(f, v, out_ptr, pixel, rowindex, results, planes)
                pixel += 1

    def _put_rows(
        self, f: Mapping[str, int], v: int, out_ptr: int, pixel: int, rowindex: int, results: Sequence[int], planes: int
    ) -> None:
        per_word = LANES // self.P
        word, sub = divmod(f["out_sub"] + rowindex, per_word)
        for b in range(planes):
            address = wrap(out_ptr, out_ptr + pixel * f["st_out"] + word + b * f["st_oplane"], f["out_ring"])
            bits = 0
            for row, result in enumerate(results):
                bits |= (result >> b & 1) << (sub * self.P + row)
            if address < self.depth:
                old = 0
                if sub:
                    old = int(self.banks[v, address]) & ~(((1 << self.P) - 1) << (sub * self.P))
                self.banks[v, address] = old | bits

    def _pool(self, f: Mapping[str, int], group: int) -> None:
        in_ptr = f["in_ptr"] ^ (f["in_alt"] if group % 2 else 0)
        out_ptr = f["out_ptr"] ^ (f["out_alt"] if group % 2 else 0)
        planes = f["out_bits"]
        pixel = 0
        for oy in range(f["oy"]):
            for ox in range(f["ox"]):
                for word in range(f["groups"]):
                    self._feed(f["ky"] * f["kx"] * f["n0"])
                    best = np.zeros((self.V, LANES), dtype=np.int64)
                    for ky in range(f["ky"]):
                        for kx in range(f["kx"]):
                            if not self._inside(f, oy, ox, ky, kx):
                                continue
                            code = np.zeros((self.V, LANES), dtype=np.int64)
                            for n in range(f["n0"]):
                                pointer = (
                                    in_ptr
                                    + oy * f["st_oy"]
                                    + ox * f["st_ox"]
                                    + word * f["st_group"]
                                    + ky * f["st_ky"]
                                    + kx * f["st_kx"]
                                    + n * f["st_0"]
                                )
                                code = 2 * code + unpack(self._read(wrap(in_ptr, pointer, f["in_ring"])))
                            best = np.maximum(best, code)
                    for b in range(planes):
                        address = wrap(
                            out_ptr, out_ptr + pixel * f["st_out"] + word + b * f["st_oplane"], f["out_ring"]
                        )
                        if address < self.depth:
                            for v in range(self.V):
                                self.banks[v, address] = pack(best[v] >> b & 1)
                pixel += 1
