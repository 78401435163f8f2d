"""Random programs of the engine that are right: each from one number, with all that they read and where they write.

A case is a few runs over one piece of DDR: the first fills the memories of the engine, the last stores the banks, so
that everything a program changed can be compared.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .fields import END, FIELDS, LAYER, LOAD, POOL, STORE, encode
from .hazards import conflict_free, fed_words, planes_apart, settle
from .oracle import Region

__all__ = ["CONFIGURATIONS", "Case", "Config", "Run", "make_case", "words_of"]


class Config(NamedTuple):
    """Of an engine."""

    P: int
    V: int
    blocks: int  # of 512 words of a bank


CONFIGURATIONS = (Config(4, 2, 4), Config(16, 4, 4), Config(32, 4, 4))


class Run(NamedTuple):
    """One start. Bases of regions count from the start of the case's memory."""

    name: str
    program: list[int]
    groups: int
    regions: tuple[Region, ...]
    watchdog: int | None = None
    absolute: int | None = None  # a region whose base is an address


class Case(NamedTuple):
    """`memory`: words of DDR before the first run. `layers`: LAYER and POOL instructions that are executed."""

    seed: int
    kind: str
    config: Config
    memory: np.ndarray
    runs: tuple[Run, ...]
    layers: int
    program: list[dict]  # of the run in the middle, for people


def words_of(program: list[dict]) -> list[int]:
    """Program words of instructions as the generator and `settle` hold them."""
    words = []
    for f in program:
        words += encode(
            f["op"], **{name: value for name, value in f.items() if name in FIELDS[f["op"]] and name != "op"}
        )
    return words


class _Signal(NamedTuple):
    """Activations in the banks: [pixel][plane][word]."""

    base: int
    alt: int
    height: int
    width: int
    bits: int
    words: int

    @property
    def size(self) -> int:
        return self.height * self.width * self.bits * self.words


class _Builder:
    def __init__(self, seed: int, config: Config) -> None:
        self.rng = np.random.default_rng(seed)
        self.config = config
        self.P, self.V, self.blocks = config
        self.depth = 512 * self.blocks
        self.subs = 64 // self.P
        self.groups = int(self.rng.integers(1, 5))
        self.program: list[dict] = []
        self.image: list[int] = []  # sizes of what lies in IMAGE, behind the setup
        self.image_words = self.scratch = self.out_window = self.in_window = 0
        self.weight_top = 0
        self.levels = self.rng.integers(0, 2**64, (self.P // 4, 512), dtype=np.uint64)

    # -- dice -----------------------------------------------------------------------------------------------------
    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def pick(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def between(self, low: int, high: int) -> int:
        """Both ends included."""
        return int(self.rng.integers(low, high + 1))

    # -- DDR ------------------------------------------------------------------------------------------------------
    def in_image(self, words: int) -> int:
        """Byte offset of words in IMAGE."""
        if self.image_words and self.chance(0.2) and self.image_words > words:
            return 128 * self.between(0, (self.image_words - words) // 16)
        offset = self.image_words
        self.image_words += -(-words // 16) * 16
        return 8 * offset

    def in_input(self, words: int) -> int:
        offset = 128 * self.between(0, 3)
        self.in_window = max(self.in_window, offset + 8 * words)
        return offset

    def in_output(self, words: int) -> int:
        offset = 128 * self.between(0, 3) if self.chance(0.3) else -(-self.out_window // 128) * 128
        self.out_window = max(self.out_window, offset + 8 * words)
        return offset

    def in_scratch(self, words: int) -> int:
        if self.scratch and self.chance(0.2) and self.scratch > words:
            return 128 * self.between(0, (self.scratch - words) // 16)
        offset = self.scratch
        self.scratch += -(-words // 16) * 16
        return 8 * offset

    # -- instructions ---------------------------------------------------------------------------------------------
    def add(self, op: int, **fields: int) -> dict:
        f: dict = {"op": op, **fields}
        if op in (LAYER, POOL):
            f["subs"] = self.subs
            f["planes"] = f["out_bits"] if op == POOL or not f["raw"] else 4 * f["levels"]
        if op in (STORE, LAYER, POOL) and self.chance(0.04):
            f["first"] = 1
        for flag in ("wait_load", "wait_store", "wait_drain"):
            if self.chance(0.08):
                f[flag] = 1
        self.program.append(f)
        return f

    def load(self, signal_words: int, dst: int, alt: int, ring: int, region: int, offset: int, **flags: int) -> dict:
        return self.add(
            LOAD, target=2, region=region, dst=dst, words=signal_words, alt=alt, ring=ring, offset=offset, **flags
        )

    def load_weights(self, dst: int, words: int) -> None:
        """Weights in between, of all elements, sometimes not a whole number of rows."""
        count = max(1, words * self.P - (self.between(0, self.P - 1) if self.chance(0.2) else 0))
        self.weight_top = max(self.weight_top, 0)
        self.add(
            LOAD,
            target=0,
            region=0,
            dst=dst,
            words=count,
            offset=self.in_image(count),
            first=int(self.chance(0.3)),
            alt=0,
            ring=self.between(0, 15),
        )

    def load_levels(self) -> None:
        """Thresholds in between."""
        count = self.between(1, 64) * self.P // 4
        self.add(
            LOAD,
            target=1,
            region=0,
            dst=self.between(0, 511),
            words=count,
            offset=self.in_image(count),
            first=int(self.chance(0.3)),
            alt=self.pick(0, 0, 64),
            ring=self.between(0, 15),
        )

    # -- arithmetic -----------------------------------------------------------------------------------------------
    def coding(self, weight_bits: int) -> tuple[int, int]:
        """beta, wsh."""
        top = 2**weight_bits - 1
        return self.pick(
            (2 ** (weight_bits - 1), 0), (top, 1), (0, 0), (self.between(0, top), 0), (self.between(0, top), 1)
        )

    def write_levels(self, f: dict) -> None:
        """Thresholds near what the sums of a layer are, of either direction, in order and not."""
        lanes = f["ky"] * f["kx"] * f["n0"] * 64
        w, a = 2 ** f["weight_bits"] - 1, 2 ** f["act_bits"] - 1
        mean = lanes * a / 2 * (w / 2 * (1 << f["wsh"]) - f["beta"])
        spread = (lanes**0.5) * (w + 1) * (a + 1) / 3 * (1 << f["wsh"]) / 2
        mean = (mean + 2**23) % 2**24 - 2**23
        each = (f["levels"] + 2) // 3
        ordered = self.chance(0.6)
        one_way = self.chance(0.6)
        for row in range(min(f["groups"] * f["rgs"], 128) * 4):
            for cluster in range(self.P // 4):
                values = np.clip(self.rng.normal(mean, spread, 3 * each), -(2**20), 2**20 - 1).astype(np.int64)
                if ordered:
                    values.sort()
                direction = self.between(0, 1)
                for k in range(each):
                    word = 0
                    for slot in range(3):
                        word |= int(values[3 * k + slot] & 0x1FFFFF) << (21 * slot)
                    word |= (direction if one_way else self.between(0, 1)) << 63
                    self.levels[cluster, (f["t_base"] + row * each + k) % 512] = word

    # -- layers ---------------------------------------------------------------------------------------------------
    def budget(self) -> int:
        """Words that a layer may feed."""
        return int(10 ** self.rng.uniform(1.0, 3.7))

    def outputs(self, f: dict, signal_h: int, signal_w: int, pad: int) -> tuple[int, int]:
        h = (signal_h + 2 * pad - f["ky"]) // f["stride"] + 1
        w = (signal_w + 2 * pad - f["kx"]) // f["stride"] + 1
        return max(1, h), max(1, w)

    def random_layer(self, words: int, bits: int, kernel: int | None = None) -> dict:
        """Arithmetic, kernel and sizes of a layer on pixels of `words` words and `bits` planes; no addresses."""
        budget = self.budget()
        f: dict = {"op": LAYER, "act_bits": bits, "raw": int(self.chance(0.25))}
        f["weight_bits"] = min(8, 1 + int(self.rng.exponential(1.5))) if self.chance(0.7) else self.between(1, 8)
        k = kernel if kernel is not None else self.pick(1, 1, 2, 3, 3, 4, 5, 6, 7)
        f["ky"], f["kx"] = (k, k) if self.chance(0.85) else (self.between(1, 7), self.between(1, 7))
        f["stride"] = self.pick(1, 1, 1, 2, 2, 3, 4)
        f["beta"], f["wsh"] = self.coding(f["weight_bits"])
        f["pad"] = self.pick(0, 0, (1 << bits) - 1, 1 << (bits - 1), self.between(0, 255))
        f["levels"] = self.between(1, 8) if f["raw"] else self.pick(1, 1, 3, 7, 15, self.between(1, 15))
        f["out_bits"] = max(1, min(4, f["levels"].bit_length())) if self.chance(0.85) else self.between(1, 4)
        split = self.pick(1, 1, 1, words, 2)
        f["groups"] = split if words % split == 0 else 1
        f["n0"] = words // f["groups"]
        f["rgs"] = self.between(1, 3) if self.chance(0.5) else self.between(1, 2 * self.subs)
        f["out_sub"] = 0 if self.chance(0.7) else self.between(0, 15)
        while fed_words({**f, "oy": 1, "ox": 1}) > max(budget, 64) and (
            f["rgs"] > 1 or f["weight_bits"] > 1 or f["kx"] > 1
        ):
            if f["rgs"] > 1 and self.chance(0.5):
                f["rgs"] = (f["rgs"] + 1) // 2
            elif f["weight_bits"] > 1 and self.chance(0.5):
                f["weight_bits"] -= 1
                f["beta"] &= (1 << f["weight_bits"]) - 1
            else:
                f["kx"], f["ky"] = max(1, f["kx"] - 1), max(1, f["ky"] - 1)
        f["pixels"] = max(1, budget // fed_words({**f, "oy": 1, "ox": 1}))
        return f

    def place_weights(self, f: dict) -> None:
        taps = f["ky"] * f["kx"] * f["n0"]
        f["kw"] = taps if self.chance(0.8) else self.between(0, 2 * taps) % 2048
        f["wrow"] = (f["kw"] * f["weight_bits"]) % 2048 if self.chance(0.8) else self.between(0, 100)
        span = (f["groups"] * f["rgs"] - 1) * f["wrow"] + (f["weight_bits"] - 1) * f["kw"] + taps
        # Where it fits, else anywhere: addresses go round at 2,048, and behind 1,536 there is nothing.
        f["w_base"] = self.between(0, 1536 - span) if span <= 1536 else self.between(0, 2047)
        f["t_base"] = self.between(0, 511)
        if span <= 256 and self.chance(0.3):
            self.load_weights(f["w_base"], span)
        if f["raw"] == 0:
            self.write_levels(f)

    def place_output(self, f: dict, height: int, width: int) -> _Signal | None:
        """Where results go: somewhere that the layer does not read; None where there is no room."""
        rows = f["groups"] * (f["rgs"] if f["op"] == LAYER else 1)
        words = (f["out_sub"] + rows - 1) // self.subs + 1 if f["op"] == LAYER else rows
        planes = f["out_bits"] if f["op"] == POOL or not f["raw"] else 4 * f["levels"]
        f["subs"], f["planes"] = self.subs, planes
        f["st_oplane"], f["st_out"] = words, words * planes
        size = height * width * words * planes
        for _ in range(40):
            if size > self.depth:
                return None
            f["out_ptr"] = self.between(0, self.depth - size)
            f["out_alt"] = self.pick(0, 0, 1 << self.between(0, 10), self.between(0, 2047))
            f["out_ring"] = self.pick(12, 13, 14, 15)
            if conflict_free(f, self.groups):
                return _Signal(f["out_ptr"], f["out_alt"], height, width, planes, words)
        return None

    def follow(self, signal: _Signal) -> _Signal | None:
        """One more layer or pool on a signal, and where its results are; None if they fit nowhere."""
        pool = signal.bits <= 4 and signal.height * signal.width > 1 and self.chance(0.3)
        if pool:
            k = self.pick(2, 2, 3, 3, self.between(1, 7))
            f: dict = {
                "op": POOL,
                "raw": 0,
                "wsh": self.between(0, 1),
                "levels": 1,
                "out_bits": signal.bits,
                "act_bits": 1,
                "weight_bits": 1,
                "stride": self.pick(1, 2, 2, self.between(1, 4)),
                "beta": self.between(0, 255),
                "pad": self.between(0, 255),
                "n0": signal.bits,
                "kx": k,
                "ky": k,
                "groups": signal.words,
                "rgs": 1,
                "out_sub": 0,
                "w_base": 0,
                "wrow": 0,
                "kw": 0,
                "t_base": 0,
                "pixels": 1 << 16,
            }
        elif signal.bits > 8:
            signal = signal._replace(bits=8)  # the lower planes of sums
            f = self.random_layer(signal.words, 8)
            f["wide"] = 1
        else:
            f = self.random_layer(signal.words, signal.bits)
        bits = signal.bits
        pixel = signal.words * bits
        pad = 0 if f["kx"] == f["ky"] == 1 and self.chance(0.8) else self.between(0, 3)
        h, w = self.outputs(f, signal.height, signal.width, pad)
        while h * w > f["pixels"]:
            if h >= w:
                h = max(1, h // 2)
            else:
                w = max(1, w // 2)
        f.update(
            oy=h,
            ox=w,
            iy0=-pad,
            ix0=-pad,
            in_h=signal.height,
            in_w=signal.width,
            st_kx=pixel,
            st_ky=pixel * signal.width,
            st_ox=pixel * f["stride"],
            st_oy=pixel * signal.width * f["stride"],
            in_alt=signal.alt,
            in_ring=self.pick(12, 13, 14, 15),
        )
        corner = signal.base - pad * pixel * (signal.width + 1)
        if pool:
            f.update(in_ptr=corner + (bits - 1) * signal.words, st_0=-signal.words, st_group=1, st_plane=0)
        else:
            f.update(in_ptr=corner, st_0=1, st_plane=signal.words, st_group=f["n0"])
        f["in_ptr"] %= 4096
        out = self.place_output(f, h, w)
        if out is None:
            return None
        self.finish(f)
        return out

    def finish(self, f: dict) -> dict:
        """Weights and thresholds for a layer that has its place, and the instruction itself."""
        if f["op"] == LAYER:
            self.place_weights(f)
        for name in ("pixels", "wide", "subs", "planes"):
            f.pop(name, None)
        return self.add(f.pop("op"), **f)

    def chain(self) -> None:
        """Resident activations from INPUT to OUTPUT, layer by layer."""
        bits, words = self.pick(1, 1, 2, 2, 3, 4, 8, self.between(1, 8)), self.between(1, 4)
        side = self.between(1, 12) if self.chance(0.7) else 1
        height, width = (side, side) if self.chance(0.7) else (self.between(1, 9), self.between(1, 9))
        while height * width * bits * words > self.depth // 2:
            height, width = (height + 1) // 2, (width + 1) // 2
        size = height * width * bits * words
        base = self.between(0, self.depth - size)
        signal = _Signal(
            base, self.pick(0, 1 << self.between(0, 10), self.between(0, 2047)), height, width, bits, words
        )
        if self.chance(0.4) and self.groups > 1:  # a group ahead
            offset = self.in_input(size * self.V)
            self.load(size * self.V, base, signal.alt, 12, 1, offset, first=1)
            self.load(size * self.V, base, signal.alt, 12, 1, offset, next=1)
        else:
            self.load(size * self.V, base, signal.alt, 12, 1, self.in_input(size * self.V))
        for _ in range(self.between(1, 6)):
            following = self.follow(signal)
            if following is None:
                break
            if self.chance(0.15):
                self.load_levels()
            if self.chance(0.15) and following.size <= 512:
                following = self.detour(following)
            if following.size <= 1024 and self.chance(0.2):
                self.store(following)
            if not self.chance(0.15):  # else two layers of one signal
                signal = following
        self.store(signal)

    def store(self, signal: _Signal, region: int | None = None) -> int:
        region = self.pick(2, 2, 3) if region is None else region
        words = min(signal.size, 1024)
        offset = (self.in_output if region == 2 else self.in_scratch)(words * self.V)
        self.add(STORE, region=region, src=signal.base, words=words, alt=signal.alt, ring=12, offset=offset)
        return offset

    def detour(self, signal: _Signal) -> _Signal:
        """A signal through memory to another place in the banks."""
        region = self.pick(2, 3, 3)
        offset = self.store(signal, region)
        base = self.between(0, self.depth - signal.size)
        self.load(signal.size * self.V, base, 0, 12, region, offset)
        return signal._replace(base=base, alt=0)

    # -- strips ---------------------------------------------------------------------------------------------------
    def strips(self) -> None:
        """A map that comes row by row into a ring; what is made of it goes to another ring, a pool, or memory."""
        bits, words = self.between(1, 4), self.between(1, 2)
        height, width = self.between(4, 14), self.between(2, 8)
        row = width * bits * words
        f = self.random_layer(words, bits, self.pick(1, 2, 3, 3, 5))
        f["raw"] = 0
        f["levels"], f["out_bits"] = self.pick((1, 1), (3, 2), (7, 3), (15, 4))
        f["out_sub"] = 0
        f["stride"] = self.pick(1, 1, 2)
        pad = self.between(0, f["ky"] // 2)
        rows_out, columns = self.outputs(f, height, width, pad)
        strip = self.between(1, min(3, rows_out))
        ring = max(1, (((strip - 1) * f["stride"] + f["ky"] + 1) * row - 1).bit_length())
        out_words = (f["groups"] * f["rgs"] - 1) // self.subs + 1
        out_row = columns * f["out_bits"] * out_words
        out_ring = max(1, ((strip + 3) * out_row - 1).bit_length())
        fed = columns * rows_out * fed_words({**f, "oy": 1, "ox": 1})
        if self.depth < 1536 or ring > 9 or out_ring > 9 or fed > 12000:
            return self.chain()
        places = self.rng.permutation(self.depth // 512)[:3]
        base, out_base, pool_base = (
            int(place) * 512 + self.between(0, (512 >> bits_of) - 1) * (1 << bits_of)
            for place, bits_of in zip(places, (ring, out_ring, 9))
        )
        pitch = -(-row * self.V * 8 // 128) * 128  # of a row in memory
        window = self.in_input(pitch // 8 * height)
        loaded = pooled = 0
        pool = rows_out >= 2 and self.chance(0.6)
        template: dict | None = None
        for start in range(0, rows_out, strip):
            count = min(strip, rows_out - start)
            need = min(height, (start + count - 1) * f["stride"] + f["ky"] - pad)
            for y in range(loaded, max(loaded, need)):
                self.load(row * self.V, base + (y * row & ((1 << ring) - 1)), 0, ring, 1, window + y * pitch)
            loaded = max(loaded, need)
            top = start * f["stride"] - pad
            g = dict(
                f,
                oy=count,
                ox=columns,
                iy0=top,
                ix0=-pad,
                in_h=height,
                in_w=width,
                in_alt=0,
                in_ring=ring,
                in_ptr=base + ((top * row - pad * bits * words) & ((1 << ring) - 1)),
                st_0=1,
                st_plane=words,
                st_group=f["n0"],
                st_kx=bits * words,
                st_ky=row,
                st_ox=bits * words * f["stride"],
                st_oy=row * f["stride"],
                out_ptr=out_base + (start * out_row & ((1 << out_ring) - 1)),
                out_alt=0,
                out_ring=out_ring,
                st_out=f["out_bits"] * out_words,
                st_oplane=out_words,
            )
            if template is None:
                template = self.finish(g)
            else:
                g.update({name: template[name] for name in ("w_base", "t_base", "kw", "wrow")})
                for name in ("pixels", "wide"):
                    g.pop(name, None)
                self.add(g.pop("op"), **g)
            if pool:
                while (
                    2 * pooled + 2 <= start + count
                    and (pooled + 1) * (columns // 2 or 1) * f["out_bits"] * out_words <= 512
                ):
                    y, side = 2 * pooled, 2 if columns >= 2 else 1
                    pooled_row = (columns // side) * f["out_bits"] * out_words
                    self.add(
                        POOL,
                        raw=0,
                        wsh=0,
                        levels=1,
                        out_bits=f["out_bits"],
                        act_bits=1,
                        weight_bits=1,
                        stride=2,
                        beta=0,
                        pad=0,
                        n0=f["out_bits"],
                        kx=side,
                        ky=2,
                        groups=out_words,
                        rgs=1,
                        out_sub=0,
                        w_base=0,
                        wrow=0,
                        kw=0,
                        t_base=0,
                        in_alt=0,
                        in_ring=out_ring,
                        oy=1,
                        ox=columns // side,
                        iy0=y,
                        ix0=0,
                        in_h=rows_out,
                        in_w=columns,
                        in_ptr=out_base + ((y * out_row + (f["out_bits"] - 1) * out_words) & ((1 << out_ring) - 1)),
                        st_0=-out_words,
                        st_group=1,
                        st_plane=0,
                        st_kx=f["out_bits"] * out_words,
                        st_ky=out_row,
                        st_ox=side * f["out_bits"] * out_words,
                        st_oy=2 * out_row,
                        out_ptr=(pool_base & ~511) + pooled * pooled_row,
                        out_alt=0,
                        out_ring=12,
                        st_out=f["out_bits"] * out_words,
                        st_oplane=out_words,
                    )
                    pooled += 1
            elif count * out_row <= 1024:
                moved = count * out_row
                region = self.pick(2, 3)
                offset = (self.in_output if region == 2 else self.in_scratch)(moved * self.V)
                self.add(
                    STORE,
                    region=region,
                    src=out_base + (start * out_row & ((1 << out_ring) - 1)),
                    words=moved,
                    alt=0,
                    ring=out_ring,
                    offset=offset,
                )
                if region == 3 and moved <= 256 and self.chance(0.5):
                    self.load(moved * self.V, pool_base & ~511, 0, 12, 3, offset)
        self.store(_Signal(pool_base & ~511, 0, 1, 1, 1, 512))
        return None

    # -- anything goes --------------------------------------------------------------------------------------------
    def wild(self) -> None:
        """Fields from the whole of their range; only the number of words, and where results go, are held in."""
        for _ in range(self.between(1, 6)):
            kind = self.pick("layer", "layer", "layer", "pool", "load", "store", "weights", "levels")
            if kind == "load":
                words = self.between(1, 300)
                region = self.pick(0, 1, 1)
                self.load(
                    words,
                    self.between(0, 4095),
                    self.between(0, 4095),
                    self.between(0, 15),
                    region,
                    (self.in_image if region == 0 else self.in_input)(words),
                    first=int(self.chance(0.2)),
                    next=int(self.chance(0.3)),
                )
            elif kind == "store":
                words = self.between(1, 200)
                region = self.pick(2, 3)
                self.add(
                    STORE,
                    region=region,
                    src=self.between(0, 4095),
                    alt=self.between(0, 4095),
                    ring=self.between(0, 15),
                    words=words,
                    offset=(self.in_output if region == 2 else self.in_scratch)(words * self.V),
                    first=int(self.chance(0.1)),
                )
            elif kind == "weights":
                self.load_weights(self.between(0, 1535), self.between(1, 40))
            elif kind == "levels":
                self.load_levels()
            else:
                self.wild_layer(kind == "pool")
        if not any(f["op"] in (LAYER, POOL) for f in self.program):
            self.wild_layer(False)

    def wild_layer(self, pool: bool) -> None:
        budget = self.budget()
        for _ in range(200):
            f = {
                name: self.between(0, 4095)
                for name in (
                    "in_ptr",
                    "in_alt",
                    "out_ptr",
                    "out_alt",
                    "st_0",
                    "st_kx",
                    "st_ky",
                    "st_plane",
                    "st_group",
                    "st_ox",
                    "st_oy",
                    "st_out",
                    "st_oplane",
                )
            }
            for name in f:
                if name.startswith("st") and self.chance(0.6):
                    f[name] = self.pick(0, 1, 2, self.between(0, 20), -self.between(1, 20)) % 4096
            f.update(
                in_ring=self.between(0, 15),
                out_ring=self.between(0, 15),
                beta=self.between(0, 255),
                pad=self.between(0, 255),
                wsh=self.between(0, 1),
                raw=int(self.chance(0.3)),
                weight_bits=self.between(1, 8),
                act_bits=self.between(1, 8),
                stride=self.between(1, 4),
                n0=min(256, 1 + int(self.rng.exponential(4))),
                kx=self.between(1, 7),
                ky=self.between(1, 7),
                out_sub=self.between(0, 15),
                ox=min(256, 1 + int(self.rng.exponential(3))),
                oy=min(256, 1 + int(self.rng.exponential(3))),
                rgs=min(256, 1 + int(self.rng.exponential(2))),
                groups=min(256, 1 + int(self.rng.exponential(1))),
                ix0=self.between(0, 511),
                iy0=self.between(0, 511),
                in_w=self.between(1, 256),
                in_h=self.between(1, 256),
                w_base=self.between(0, 2047),
                wrow=self.between(0, 2047),
                kw=self.between(0, 2047),
                t_base=self.between(0, 511),
            )
            if self.chance(0.7):
                f["ix0"], f["iy0"] = self.between(-3, 3), self.between(-3, 3)
            f["beta"] &= (1 << f["weight_bits"]) - 1
            f["levels"] = self.between(1, 8 if f["raw"] else 15)
            f["out_bits"] = self.between(1, 4)
            f["op"] = POOL if pool else LAYER
            if pool:
                f.update(raw=0, weight_bits=1, act_bits=1, rgs=1, out_sub=0, n0=f["out_bits"])
            f["subs"], f["planes"] = self.subs, f["out_bits"] if not f["raw"] else 4 * f["levels"]
            if fed_words(f) <= budget + 50 and planes_apart(f) and conflict_free(f, self.groups):
                if not pool and not f["raw"]:
                    self.write_levels(f)
                for name in ("subs", "planes"):
                    f.pop(name)
                self.add(f.pop("op"), **f)
                return

    # -- the whole ------------------------------------------------------------------------------------------------
    def build(self, seed: int) -> Case:
        kind = self.pick("chain", "chain", "strips", "wild")
        getattr(self, kind)()
        self.add(END)
        gap = [int(self.rng.integers(1, 5)) * 16 for _ in range(6)]
        stride_in = self.pick(0, 1) * self.between(0, 4) * 128 or -(-self.in_window // 128) * 128
        whole = -(-self.out_window // 128) * 128
        stride_out = whole if self.chance(0.8) else self.pick(0, 128, whole + 256)
        strides = (0, stride_in, stride_out, 0)
        settle(self.program, self.groups, (self.P, self.V), strides, self.rng)
        # Setup: everything that a program could read is filled.
        fills = [(2, self.V * self.depth), (1, self.P // 4 * 512), (0, self.P * 1536)]
        setup, setup_words = [], 0
        starts = {}
        for target, total in (fills[i] for i in self.rng.permutation(3)):
            size = (self.P, self.P // 4, self.V)[target]
            cuts = sorted({0, total} | {int(c) * size for c in self.rng.integers(0, total // size, self.between(0, 3))})
            starts[target] = setup_words
            for low, high in zip(cuts, cuts[1:]):
                at = setup_words + (-setup_words) % 16
                if low == 0:
                    starts[target] = at
                setup.append((target, low, high, at))
                setup_words = at + high - low
        setup_words += -setup_words % 16
        # DDR: setup, IMAGE, INPUT, OUTPUT, SCRATCH, dump, with words between them that nobody may touch.
        tight = self.chance(0.5)
        sizes = [
            8 * setup_words,
            8 * self.image_words,
            self.in_window + (self.groups - 1) * stride_in,
            self.out_window + (self.groups - 1) * stride_out,
            8 * self.scratch,
            8 * self.V * self.depth,
        ]
        bases, at = [], 16 * self.between(0, 4)
        for size, space in zip(sizes, gap):
            bases.append(8 * at)
            at += -(-size // 128) * 16 + space
        memory = self.rng.integers(0, 2**64, at, dtype=np.uint64)
        program = []
        for target, low, high, word in setup:
            if target == 1:
                flat = self.levels.T.ravel()
                memory[bases[0] // 8 + word : bases[0] // 8 + word + high - low] = flat[low:high]
            size = (self.P, self.P // 4, self.V)[target]
            program.append(
                {
                    "op": LOAD,
                    "target": target,
                    "region": 0,
                    "dst": low // size,
                    "words": high - low,
                    "offset": 8 * word,
                    "ring": 12,
                }
            )
        program.append({"op": END})
        none = Region()
        extra = 0 if tight else 256
        regions = tuple(
            Region(base, size + extra, stride) for base, size, stride in zip(bases[1:5], sizes[1:5], strides)
        )
        dump = [{"op": STORE, "region": 2, "src": 0, "words": self.depth, "offset": 0, "ring": 12}, {"op": END}]
        runs = (
            Run("setup", words_of(program), 1, (Region(bases[0], sizes[0]), none, none, none)),
            Run("run", words_of(self.program), self.groups, regions),
            Run("dump", words_of(dump), 1, (none, none, Region(bases[5], sizes[5]), none)),
        )
        layers = sum(self.groups if not f.get("first") else 1 for f in self.program if f["op"] in (LAYER, POOL))
        return Case(seed, kind, self.config, memory, runs, layers, self.program)


def make_case(seed: int, config: Config) -> Case:
    """The random case of a number."""
    for attempt in range(20):
        case = _Builder(seed + (attempt << 32), config).build(seed)
        if len(case.runs[1].program) <= 1024 and case.layers:
            return case
    raise AssertionError(f"no case of number {seed}")
