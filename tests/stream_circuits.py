"""Descriptions of circuits for the tests: every port, type and TLAST rule in some of them."""
from __future__ import annotations

from qnn_pynq.streams import describe


def stream(name, kind="ap_fixed<16,6>", shape=(3,), **more):
    return {"name": name, "type": kind, "shape": list(shape), **more}


EXAMPLES = {
    "loopback": describe("loopback", [stream("x")], [stream("y")]),
    "lanes": describe("lanes4", [stream("x", "ap_ufixed<8,0,AP_RND,AP_SAT>", (4, 6), lanes=8)],
                      [stream("y", "ap_ufixed<8,0>", (24,), lanes=2)]),
    "odd_widths": describe("odd", [stream("x", "ap_fixed<11,3>", (5,), tlast="sample")],
                           [stream("y", "ap_ufixed<27,20>", (2,), tlast="sample")]),
    "integers": describe("count", [stream("x", "ap_int<7>", ()), stream("z", "uint16", (2,), dma="axi_dma_1")],
                         [stream("y", "ap_uint<1>", (4,)), stream("v", "int64", (1,), dma="axi_dma_1")]),
    "floats": describe("floats", [stream("x", "float", (2, 2), lanes=4, tlast="never")],
                       [stream("y", "double", (3,), tlast="sample")],
                       dmas=[{"name": "axi_dma_0", "scatter_gather": True, "unaligned": True, "interrupt": True}]),
    "wide": describe("wide1", [stream("x", "ap_fixed<64,32>", (32,), lanes=16, raw=True)],
                     [stream("y", "ap_fixed<48,32,AP_RND_CONV,AP_SAT>", (16,), lanes=1)]),
    "started": describe("started", [stream("x"), stream("w", "ap_fixed<9,2>", (2, 5), port="axi-master")],
                        [stream("y", tlast="batch"), stream("m", "float", (4,), port="axi-master")], control="start"),
    "masters": describe("masters", [stream("a", "ap_int<12>", (6,), port="axi-master")],
                        [stream("b", "ap_int<12>", (6,), port="axi-master")], control="start"),
}
