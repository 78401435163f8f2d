// Just enough of Vitis HLS's ap_axi_sdata for the generated files under plain g++: written for these tests.
#ifndef STUB_AP_AXI_SDATA_H
#define STUB_AP_AXI_SDATA_H

#include "ap_int.h"

template <int D, int U, int TI, int TD> struct ap_axiu {
    ap_uint<D> data;
    ap_uint<(D + 7) / 8> keep, strb;
    ap_uint<1> last;
};

#endif
