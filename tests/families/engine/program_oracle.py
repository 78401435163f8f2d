"""Programs of the engine, word by word from its description: what they give, and that nothing is used too early.

Shares no code with compiler, driver or twin. Loads are taken to arrive as late as they may, results of a row group
some cycles after its last word, a store to read its words as late as it may: an instruction that uses, or overwrites,
what is under way fails.
"""

from __future__ import annotations

import numpy as np

LANES = 64
SLACK = 16  # cycles from the last word of a row group to its results, beside its steps and the clusters


class Broken(AssertionError):
    """A program that the circuit would not run as its author thought."""


def field(word, high, low):
    return int(word) >> low & ((1 << high - low + 1) - 1)


def signed(value, bits):
    return value - (1 << bits) if value >> bits - 1 else value


class Machine:
    """Memories and counters; `memory` is a dict of bytearrays by region."""

    def __init__(self, geometry, memory, strides=(0, 0, 0, 0)):
        self.g = geometry
        self.memory, self.strides = memory, strides
        self.weights = np.zeros((geometry["pe"], geometry["weight_words"]), np.uint64)
        self.thresholds = np.zeros((geometry["pe"] // 4, geometry["threshold_words"]), np.uint64)
        self.banks = np.zeros((geometry["vectors"], geometry["bank_words"]), np.uint64)
        self.loading, self.storing, self.flying = [], None, []
        self.time = self.layers = 0

    def run(self, words, groups):
        for group in range(groups):
            at = 0
            while True:
                head = words[at]
                op = field(head, 3, 0)
                if field(head, 15, 9):
                    raise Broken(f"word {at}: reserved bits")
                size = {1: 1, 2: 2, 3: 2, 4: 6, 5: 6}[op]
                q = words[at : at + size]
                at += size
                first, ahead = field(head, 4, 4), field(head, 5, 5)
                if op == 1:
                    break
                if first and group or ahead and group == groups - 1:
                    continue
                self.wait(field(head, 6, 6), field(head, 7, 7), field(head, 8, 8))
                {2: self.load, 3: self.store, 4: self.layer, 5: self.layer}[op](q, group + ahead)
        self.wait(True, True, True)

    def wait(self, load, store, drain):
        if load:
            self.loading = []
        if store:
            self.finish_store()
        if drain:
            self.layers += 1
            self.land(None)

    def land(self, moment):
        """Results that have come by then; without a moment all of earlier layers, which are waited for."""
        if moment is None:
            late = [one[0] for one in self.flying if one[2] != self.layers]
            self.time = max([self.time, *late])
            self.flying = [one for one in self.flying if one[2] == self.layers]
        else:
            self.flying = [one for one in self.flying if one[0] > moment]

    # -- memory

    def bytes_at(self, region, group, offset, nbytes):
        start = offset + (group * self.strides[region] if region in (1, 2) else 0)
        if offset % 128 or start + nbytes > len(self.memory[region]):
            raise Broken(f"region {region}: {start} + {nbytes} of {len(self.memory[region])}")
        return start

    @staticmethod
    def ring(pointer, ring, offsets):
        pointers = (pointer + offsets) % 4096
        if ring >= 12:
            return pointers
        mask = (1 << ring) - 1
        return pointer & ~mask | pointers & mask

    def load(self, q, group):
        target, region, to = field(q[0], 17, 16), field(q[0], 19, 18), field(q[0], 31, 20)
        offset, count, ring = field(q[0], 63, 32), field(q[1], 19, 0) + 1, field(q[1], 35, 32)
        start = self.bytes_at(region, group, offset, 8 * count)
        end = start + 8 * count
        if self.storing and self.storing[0] == region and start < self.storing[3] and self.storing[2] < end:
            raise Broken("a load reads what is being stored")
        data = np.frombuffer(bytes(self.memory[region][start : start + 8 * count]), "<u8")
        memory = (self.weights, self.thresholds, self.banks)[target]
        units = len(memory)
        rows = -(-count // units)
        addresses = self.ring(to, ring, np.arange(rows)) if target == 2 else to + np.arange(rows)
        if target == 2:
            self.check_written(set(addresses.tolist()), "a load")
        full = np.zeros(rows * units, np.uint64)
        full[:count] = data
        if addresses.max() >= memory.shape[1]:
            raise Broken(f"a load to {addresses.max()}")
        memory[:, addresses] = full.reshape(rows, units).T
        self.loading = [*self.loading[-1:], (target, set(addresses.tolist()))]  # a third one is held until one is over

    def store(self, q, group):
        region, source, offset = field(q[0], 19, 18), field(q[0], 31, 20), field(q[0], 63, 32)
        count, ring = field(q[1], 11, 0) + 1, field(q[1], 35, 32)
        self.finish_store()
        addresses = self.ring(source, ring, np.arange(count))
        nbytes = 8 * count * len(self.banks)
        self.storing = (region, addresses, self.bytes_at(region, group, offset, nbytes), 0)
        self.storing = (*self.storing[:3], self.storing[2] + nbytes)
        if any(target == 2 and there & set(addresses.tolist()) for target, there in self.loading):
            raise Broken("a store of what is being loaded")

    def finish_store(self):
        if self.storing:
            region, addresses, start, end = self.storing
            self.memory[region][start:end] = self.banks[:, addresses].T.astype("<u8").tobytes()
            self.storing = None

    def check_written(self, addresses, who):
        if self.storing and addresses & set(self.storing[1].tolist()):
            raise Broken(f"{who} overwrites what is being stored")
        if any(addresses & one[1] for one in self.flying):
            raise Broken(f"{who} overwrites results that are under way")

    # -- layers

    def layer(self, q, group):
        g, pool, P, V = self.g, field(q[0], 3, 0) == 5, self.g["pe"], self.g["vectors"]
        raw, wsh, levels = field(q[0], 16, 16), field(q[0], 17, 17), field(q[0], 21, 18) + 1
        ob, ab, wb = field(q[0], 23, 22) + 1, field(q[0], 26, 24) + 1, field(q[0], 29, 27) + 1
        stride = field(q[0], 31, 30) + 1
        beta, pad, safe, n0 = field(q[0], 39, 32), field(q[0], 47, 40), field(q[0], 55, 48), field(q[0], 63, 56) + 1
        ip, ir, kx = field(q[1], 11, 0), field(q[1], 27, 24), field(q[1], 30, 28) + 1
        op, orr, ky = field(q[1], 43, 32), field(q[1], 59, 56), field(q[1], 62, 60) + 1
        s0, skx, sky, spl, sgr = (field(q[2], b + 11, b) for b in (0, 12, 24, 36, 48))
        osub = field(q[2], 63, 60)
        sox, soy, sout, sopl = (field(q[3], b + 11, b) for b in (0, 12, 24, 36))
        ox, oy = field(q[3], 55, 48) + 1, field(q[3], 63, 56) + 1
        wbase, wrow, kw, tbase = field(q[4], 10, 0), field(q[4], 21, 11), field(q[4], 32, 22), field(q[4], 41, 33)
        rgs, groups = field(q[4], 49, 42) + 1, field(q[4], 57, 50) + 1
        ix0, iy0 = signed(field(q[5], 8, 0), 9), signed(field(q[5], 17, 9), 9)
        iw, ih = field(q[5], 25, 18) + 1, field(q[5], 33, 26) + 1
        if pool and n0 != ob:
            raise Broken("a pool of other planes")
        planes = [(0, 0)] if pool else [(i, s - i) for s in range(wb + ab - 2, -1, -1)
                                        for i in range(min(wb - 1, s), max(0, s - ab + 1) - 1, -1)]
        taps = [(y, x, n) for y in range(ky) for x in range(kx) for n in range(n0)]
        ty, tx, tn = (np.array(column) for column in zip(*taps))
        steps = ty * sky + tx * skx + tn * s0
        coming = {address for target, there in self.loading if target == 2 for address in there}
        arriving = [{address for target, there in self.loading if target == memory for address in there}
                    for memory in (0, 1)]
        self.layers += 1
        subs, outs = LANES // P, 4 * levels if raw else ob
        turns = 16 * levels if raw else 0 if pool else 4 * levels
        least = 0 if pool else turns if raw else max(turns, P // 4 + ob, 8)
        late = SLACK + turns + P // 4
        words = 0
        self.land(self.time)  # row groups of few words take longer than their words
        for pixel in range(oy * ox):
            y, x = divmod(pixel, ox)
            inside = (iy0 + y * stride + ty >= 0) & (iy0 + y * stride + ty < ih)
            inside &= (ix0 + x * stride + tx >= 0) & (ix0 + x * stride + tx < iw)
            for number in range(groups * rgs):
                begun = self.time
                base = y * soy + x * sox + number // rgs * sgr
                sums, offs = np.zeros((V, P), np.int64), np.zeros(V, np.int64)
                best = np.zeros((V, ky * kx, LANES), np.int64)
                for i, j in planes:
                    addresses = self.ring(ip, ir, base + steps + j * spl)
                    if safe < 255 and words <= safe < words + len(taps):
                        early = safe - words
                        self.check_read(addresses[:early][inside[:early]], coming)
                        self.land(None)
                        self.check_read(addresses[early:][inside[early:]], coming)
                    else:
                        self.check_read(addresses[inside], coming)
                    words += len(taps)
                    self.time += len(taps)
                    self.land(self.time)
                    fine = np.minimum(addresses, g["bank_words"] - 1)
                    read = np.where(inside & (addresses < g["bank_words"]), self.banks[:, fine], np.uint64(0))
                    if not pool and pad >> j & 1:
                        read = np.where(inside, read, ~np.uint64(0))
                    dots = np.unpackbits(np.ascontiguousarray(read).view(np.uint8), axis=1, bitorder="little")
                    if pool:
                        dots = dots.reshape(V, ky * kx, n0, LANES).astype(np.int64)
                        best = (dots << np.arange(n0 - 1, -1, -1)[:, None]).sum(axis=2)
                        continue
                    at = wbase + number * wrow + i * kw + np.arange(len(taps))
                    if at.max() >= g["weight_words"]:
                        raise Broken(f"weights at {at.max()}")
                    if arriving[0] & set(at.tolist()):
                        raise Broken("a layer while its weights come")
                    held = np.unpackbits(np.ascontiguousarray(self.weights[:, at]).view(np.uint8), axis=1,
                                         bitorder="little").astype(np.int64)
                    sums += (dots.astype(np.int64) @ held.T) << i + j
                    offs += (dots.sum(axis=1).astype(np.int64) * (beta >> i & 1)) << i + j
                if pool:
                    codes, width, place, sub = best.max(axis=1), LANES, number, 0
                else:
                    codes = ((sums << wsh) - offs[:, None]) % (1 << 24)
                    codes = np.where(codes >= 1 << 23, codes - (1 << 24), codes)
                    if not raw:
                        slots = 4 * -(-levels // 3)
                        if arriving[1] & set(range(tbase + number * slots, tbase + (number + 1) * slots)):
                            raise Broken("a layer while its thresholds come")
                        codes = self.codes(codes, tbase, number, levels)
                    width, (place, sub) = P, divmod(osub + number, subs)
                self.time = max(self.time, begun + least)
                there = self.ring(op, orr, pixel * sout + place + np.arange(outs) * sopl)
                self.write(codes, width, sub, there, coming, self.time + late)

    def codes(self, sums, tbase, number, levels):
        slots, found = -(-levels // 3), np.zeros(sums.shape, np.int64)
        for element in range(self.g["pe"]):
            for level in range(levels):
                at = tbase + (number * 4 + element % 4) * slots + level // 3
                word = int(self.thresholds[element // 4, at % 512])
                threshold = signed(field(word, 21 * (level % 3) + 20, 21 * (level % 3)), 21)
                found[:, element] += (sums[:, element] >= threshold) ^ (word >> 63)
        return found

    def check_read(self, addresses, coming):
        read = set(addresses.tolist())
        if read & coming:
            raise Broken("a layer reads what is being loaded")
        if any(read & one[1] for one in self.flying):
            raise Broken("a layer reads results that are under way")

    def write(self, codes, width, sub, addresses, coming, moment):
        written = set(addresses.tolist())
        if written & coming:
            raise Broken("a layer writes what is being loaded")
        if self.storing and written & set(self.storing[1].tolist()):
            raise Broken("a layer overwrites what is being stored")
        for plane, address in enumerate(addresses.tolist()):
            if address >= self.g["bank_words"]:
                raise Broken(f"results at {address}")
            bits = np.zeros((len(codes), LANES), np.uint8)
            bits[:, width * sub : width * (sub + 1)] = codes >> plane & 1
            new = np.packbits(bits, axis=1, bitorder="little").view("<u8")[:, 0]
            kept = np.uint64(0) if not sub else np.uint64((1 << width * sub) - 1)
            self.banks[:, address] = self.banks[:, address] & kept | new if sub else new
        self.flying.append((moment, written, self.layers))
