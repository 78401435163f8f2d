// Just enough of Vitis HLS's ap_fixed for the generated files under plain g++: written for these tests.
#ifndef STUB_AP_FIXED_H
#define STUB_AP_FIXED_H

#include "ap_int.h"
#include <cmath>
#include <type_traits>

enum ap_q_mode { AP_RND, AP_RND_ZERO, AP_RND_MIN_INF, AP_RND_INF, AP_RND_CONV, AP_TRN, AP_TRN_ZERO };
enum ap_o_mode { AP_SAT, AP_SAT_ZERO, AP_SAT_SYM, AP_WRAP };

template <int W, int I, bool SIGNED, ap_q_mode Q, ap_o_mode O> class stub_fixed {
    typedef typename std::conditional<SIGNED, ap_int<W>, ap_uint<W> >::type bits_type;
    bits_type bits;

    static long double rounded(long double value)
    {
        const long double low = std::floor(value), rest = value - low;
        if (Q == AP_TRN)
            return low;
        if (Q == AP_TRN_ZERO)
            return std::trunc(value);
        if (rest != 0.5L)
            return rest > 0.5L ? low + 1 : low;
        const bool up = Q == AP_RND || (Q == AP_RND_ZERO && value < 0) || (Q == AP_RND_INF && value > 0) ||
                        (Q == AP_RND_CONV && std::fmod(low, 2.0L) != 0);
        return up ? low + 1 : low;
    }

public:
    stub_fixed() {}
    stub_fixed(double value)
    {
        long double scaled = rounded(std::ldexp((long double)value, W - I));
        const long double high = std::ldexp(1.0L, W - SIGNED) - 1, low = SIGNED ? -high - 1 : 0;
        if (O == AP_SAT)
            scaled = scaled > high ? high : scaled < low ? low : scaled;
        scaled = std::fmod(scaled, std::ldexp(1.0L, 64));
        bits = scaled < 0 ? bits_type((long long)scaled) : bits_type((unsigned long long)scaled);
    }
    typename bits_type::part range(int hi, int lo) { return bits.range(hi, lo); }
    uint64_t range(int hi, int lo) const { return bits.range(hi, lo); }
    double to_double() const { return std::ldexp(bits.to_double(), I - W); }
};

template <int W, int I, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP> struct ap_fixed : stub_fixed<W, I, true, Q, O> {
    ap_fixed() {}
    ap_fixed(double value) : stub_fixed<W, I, true, Q, O>(value) {}
};
template <int W, int I, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP> struct ap_ufixed : stub_fixed<W, I, false, Q, O> {
    ap_ufixed() {}
    ap_ufixed(double value) : stub_fixed<W, I, false, Q, O>(value) {}
};

#endif
