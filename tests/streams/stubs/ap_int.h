// Just enough of Vitis HLS's ap_int for the generated files under plain g++: written for these tests.
#ifndef STUB_AP_INT_H
#define STUB_AP_INT_H

#include <cassert>
#include <cstdint>
#include <cstring>

// W bits, in words of 64; ranges of up to 64 bits.
template <int W, bool SIGNED> class stub_integer {
    uint64_t words[(W + 63) / 64];

    uint64_t get(int hi, int lo) const
    {
        assert(hi < W && lo >= 0 && hi >= lo && hi - lo < 64);
        uint64_t found = 0;
        for (int bit = hi; bit >= lo; bit--)
            found = found << 1 | (words[bit / 64] >> (bit % 64) & 1);
        return found;
    }
    void set(int hi, int lo, uint64_t value)
    {
        assert(hi < W && lo >= 0 && hi >= lo && hi - lo < 64);
        for (int bit = lo; bit <= hi; bit++, value >>= 1)
            words[bit / 64] = (words[bit / 64] & ~(UINT64_C(1) << bit % 64)) | (value & 1) << bit % 64;
    }
    void fill(int64_t value)
    {
        for (int word = 0; word < (W + 63) / 64; word++)
            words[word] = word ? (SIGNED || value == -1) && value < 0 ? ~UINT64_C(0) : 0 : (uint64_t)value;
        if (W % 64)
            words[W / 64] &= ~UINT64_C(0) >> (64 - W % 64);
    }

public:
    class part {
        stub_integer &owner;
        int hi, lo;

    public:
        part(stub_integer &o, int h, int l) : owner(o), hi(h), lo(l) {}
        operator uint64_t() const { return owner.get(hi, lo); }
        part &operator=(uint64_t value) { owner.set(hi, lo, value); return *this; }
        part &operator=(const part &other) { owner.set(hi, lo, (uint64_t)other); return *this; }
    };

    stub_integer() { fill(0x5a5a5a5a5a5a5a5a); } // not 0: a forgotten assignment shows
    stub_integer(bool value) { fill(value); }
    stub_integer(int value) { fill(value); }
    stub_integer(unsigned value) { fill(value); }
    stub_integer(long value) { fill(value); }
    stub_integer(long long value) { fill(value); }
    stub_integer(unsigned long value) { fill((int64_t)value); }
    stub_integer(unsigned long long value) { fill((int64_t)value); }
    stub_integer(double value) { fill(value < 0 ? (int64_t)value : (int64_t)(uint64_t)value); }
    template <int W2, bool S2> stub_integer(const stub_integer<W2, S2> &other) { fill((int64_t)other.to_uint64()); }

    part range(int hi, int lo) { return part(*this, hi, lo); }
    uint64_t range(int hi, int lo) const { return get(hi, lo); }
    uint64_t to_uint64() const
    {
        uint64_t value = words[0];
        if (SIGNED && W < 64 && value >> (W - 1) & 1)
            value |= ~UINT64_C(0) << (W - 1);
        return value;
    }
    double to_double() const { return SIGNED ? (double)(int64_t)to_uint64() : (double)to_uint64(); }
    operator long long() const { return (long long)to_uint64(); }
    stub_integer operator++(int)
    {
        stub_integer before = *this;
        fill((int64_t)to_uint64() + 1);
        return before;
    }
};

template <int W> struct ap_int : stub_integer<W, true> {
    using stub_integer<W, true>::stub_integer;
    ap_int() {}
    ap_int(const stub_integer<W, true> &other) : stub_integer<W, true>(other) {}
};
template <int W> struct ap_uint : stub_integer<W, false> {
    using stub_integer<W, false>::stub_integer;
    ap_uint() {}
    ap_uint(const stub_integer<W, false> &other) : stub_integer<W, false>(other) {}
};

#endif
