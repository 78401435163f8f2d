// The engine in an xc7z020: PS7 with M_AXI_GP0 (registers), S_AXI_HP0 (memory), FCLK0, IRQ_F2P[0]. No pins.
`default_nettype none

module top #(parameter P = 32, V = 4, BLOCKS = 4, BUILD = 0) ();
    wire [3:0] clocks, resets;
    wire clk, irq;
    BUFG buffer (.I(clocks[0]), .O(clk));

    wire s_awvalid, s_awready, s_wvalid, s_wready, s_wlast, s_bvalid, s_bready;
    wire s_arvalid, s_arready, s_rvalid, s_rready, s_rlast;
    wire [31:0] s_awaddr, s_wdata, s_araddr, s_rdata;
    wire [11:0] s_awid, s_bid, s_arid, s_rid;
    wire [3:0] s_awlen, s_wstrb, s_arlen;
    wire [1:0] s_bresp, s_rresp;
    wire m_arvalid, m_arready, m_rvalid, m_rready, m_rlast, m_awvalid, m_awready, m_wvalid, m_wready, m_wlast;
    wire m_bvalid, m_bready;
    wire [31:0] m_araddr, m_awaddr;
    wire [3:0] m_arlen, m_awlen;
    wire [63:0] m_rdata, m_wdata;
    wire [1:0] m_rresp, m_bresp;

    engine #(.P(P), .V(V), .BLOCKS(BLOCKS), .BUILD(BUILD)) e (.clk(clk), .resetn(resets[0]), .irq(irq),
        .s_awvalid(s_awvalid), .s_awready(s_awready), .s_awaddr(s_awaddr), .s_awid(s_awid), .s_awlen(s_awlen),
        .s_wvalid(s_wvalid), .s_wready(s_wready), .s_wdata(s_wdata), .s_wstrb(s_wstrb), .s_wlast(s_wlast),
        .s_bvalid(s_bvalid), .s_bready(s_bready), .s_bid(s_bid), .s_bresp(s_bresp),
        .s_arvalid(s_arvalid), .s_arready(s_arready), .s_araddr(s_araddr), .s_arid(s_arid), .s_arlen(s_arlen),
        .s_rvalid(s_rvalid), .s_rready(s_rready), .s_rdata(s_rdata), .s_rid(s_rid), .s_rresp(s_rresp), .s_rlast(s_rlast),
        .m_arvalid(m_arvalid), .m_arready(m_arready), .m_araddr(m_araddr), .m_arlen(m_arlen),
        .m_rvalid(m_rvalid), .m_rready(m_rready), .m_rdata(m_rdata), .m_rresp(m_rresp), .m_rlast(m_rlast),
        .m_awvalid(m_awvalid), .m_awready(m_awready), .m_awaddr(m_awaddr), .m_awlen(m_awlen),
        .m_wvalid(m_wvalid), .m_wready(m_wready), .m_wdata(m_wdata), .m_wlast(m_wlast),
        .m_bvalid(m_bvalid), .m_bready(m_bready), .m_bresp(m_bresp));

    PS7 ps (
        .FCLKCLK(clocks), .FCLKRESETN(resets), .FPGAIDLEN(1'b1), .IRQF2P({19'd0, irq}),
        .MAXIGP0ACLK(clk),
        .MAXIGP0AWVALID(s_awvalid), .MAXIGP0AWREADY(s_awready), .MAXIGP0AWADDR(s_awaddr), .MAXIGP0AWID(s_awid),
        .MAXIGP0AWLEN(s_awlen), .MAXIGP0WVALID(s_wvalid), .MAXIGP0WREADY(s_wready), .MAXIGP0WDATA(s_wdata),
        .MAXIGP0WSTRB(s_wstrb), .MAXIGP0WLAST(s_wlast), .MAXIGP0BVALID(s_bvalid), .MAXIGP0BREADY(s_bready),
        .MAXIGP0BID(s_bid), .MAXIGP0BRESP(s_bresp), .MAXIGP0ARVALID(s_arvalid), .MAXIGP0ARREADY(s_arready),
        .MAXIGP0ARADDR(s_araddr), .MAXIGP0ARID(s_arid), .MAXIGP0ARLEN(s_arlen), .MAXIGP0RVALID(s_rvalid),
        .MAXIGP0RREADY(s_rready), .MAXIGP0RDATA(s_rdata), .MAXIGP0RID(s_rid), .MAXIGP0RRESP(s_rresp),
        .MAXIGP0RLAST(s_rlast),
        .SAXIHP0ACLK(clk), .SAXIHP0RDISSUECAP1EN(1'b0), .SAXIHP0WRISSUECAP1EN(1'b0),
        .SAXIHP0ARVALID(m_arvalid), .SAXIHP0ARREADY(m_arready), .SAXIHP0ARADDR(m_araddr), .SAXIHP0ARLEN(m_arlen),
        .SAXIHP0ARSIZE(2'd3), .SAXIHP0ARBURST(2'd1), .SAXIHP0ARID(6'd0), .SAXIHP0ARCACHE(4'd3), .SAXIHP0ARPROT(3'd0),
        .SAXIHP0ARLOCK(2'd0), .SAXIHP0ARQOS(4'd0), .SAXIHP0RVALID(m_rvalid), .SAXIHP0RREADY(m_rready),
        .SAXIHP0RDATA(m_rdata), .SAXIHP0RRESP(m_rresp), .SAXIHP0RLAST(m_rlast),
        .SAXIHP0AWVALID(m_awvalid), .SAXIHP0AWREADY(m_awready), .SAXIHP0AWADDR(m_awaddr), .SAXIHP0AWLEN(m_awlen),
        .SAXIHP0AWSIZE(2'd3), .SAXIHP0AWBURST(2'd1), .SAXIHP0AWID(6'd0), .SAXIHP0AWCACHE(4'd3), .SAXIHP0AWPROT(3'd0),
        .SAXIHP0AWLOCK(2'd0), .SAXIHP0AWQOS(4'd0), .SAXIHP0WVALID(m_wvalid), .SAXIHP0WREADY(m_wready),
        .SAXIHP0WDATA(m_wdata), .SAXIHP0WSTRB(8'hff), .SAXIHP0WLAST(m_wlast), .SAXIHP0WID(6'd0),
        .SAXIHP0BVALID(m_bvalid), .SAXIHP0BREADY(m_bready), .SAXIHP0BRESP(m_bresp));
endmodule

`default_nettype wire
