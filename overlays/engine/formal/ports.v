// Rules of the bus for the engine's ports, whatever the other side does: proved by induction (tests/test_engine_formal.py).
`default_nettype none

// A payload that is offered stays as it is until it is taken.
module stays #(parameter WIDTH = 1) (input wire clk, input wire reset, input wire valid, input wire ready, input wire [WIDTH-1:0] payload);
    reg offered = 1'b0;
    reg [WIDTH-1:0] before;
    always @(posedge clk) begin
        offered <= valid & ~ready & ~reset;
        before <= payload;
        if (offered) begin
            assert (valid);
            assert (payload == before);
        end
    end
endmodule

module loader_ports (
    input wire clk, reset, stop, order, m_arready, m_rvalid, m_rlast, held,
    input wire [31:0] o_address, input wire [19:0] o_words, input wire [1:0] o_target, input wire [11:0] o_pointer, o_mask,
    input wire [63:0] m_rdata, input wire [1:0] m_rresp
);
    wire m_arvalid, m_rready, room, idle, quiet, progress, failed;
    wire [31:0] m_araddr;
    wire [3:0] m_arlen;
    wire [82:0] load;
    wire [3:0] write;
    wire [11:0] write_address;
    wire [63:0] data;
    loader #(.P(32), .V(4)) l (.*);
    stays #(.WIDTH(36)) ar (.clk(clk), .reset(reset), .valid(m_arvalid), .ready(m_arready), .payload({m_araddr, m_arlen}));
    reg begun = 1'b0;
    always @(posedge clk) begin
        begun <= 1'b1;
        assume (begun | reset);
        assume (o_address[6:0] == 0);  // the sequencer refuses others
        if (begun) begin
            assert (m_rready);
            assert (~m_arvalid | m_araddr[6:0] == 0);  // bursts of at most 128 bytes: none crosses 4 KB
        end
    end
endmodule

module storer_ports (
    input wire clk, reset, stop, order, stolen, m_awready, m_wready, m_bvalid,
    input wire [31:0] o_address, input wire [11:0] o_words, o_pointer, o_mask, input wire [7:0] begun, written,
    input wire [255:0] x, input wire [1:0] m_bresp
);
    wire idle, quiet, progress, failed, steal, m_awvalid, m_wvalid, m_wlast, m_bready;
    wire [11:0] address;
    wire [31:0] m_awaddr;
    wire [3:0] m_awlen;
    wire [63:0] m_wdata;
    storer #(.V(4)) s (.*);
    stays #(.WIDTH(36)) aw (.clk(clk), .reset(reset), .valid(m_awvalid), .ready(m_awready), .payload({m_awaddr, m_awlen}));
    stays #(.WIDTH(65)) wd (.clk(clk), .reset(reset), .valid(m_wvalid), .ready(m_wready), .payload({m_wdata, m_wlast}));
    reg started = 1'b0;
    always @(posedge clk) begin
        started <= 1'b1;
        assume (started | reset);
        assume (o_address[6:0] == 0);
        if (started) begin
            assert (m_bready);
            assert (~m_awvalid | m_awaddr[6:0] == 0);
        end
    end
endmodule

module register_ports (
    input wire clk, reset, s_awvalid, s_wvalid, s_wlast, s_bready, s_arvalid, s_rready,
    input wire [31:0] s_awaddr, s_wdata, s_araddr, input wire [11:0] s_awid, s_arid, input wire [3:0] s_awlen, s_wstrb, s_arlen,
    input wire busy, done, failed, aborted, finished, shown, waits_load, waits_store, waits_drain,
    input wire [7:0] code, input wire [9:0] at, input wire [31:0] pictures
);
    wire s_awready, s_wready, s_bvalid, s_arready, s_rvalid, s_rlast, irq, start, abort, soft_reset, p_write;
    wire [11:0] s_bid, s_rid;
    wire [1:0] s_bresp, s_rresp;
    wire [31:0] s_rdata, limit;
    wire [15:0] groups;
    wire [127:0] bases, sizes, strides;
    wire [9:0] p_address;
    wire [63:0] p_data;
    registers r (.*);
    stays #(.WIDTH(14)) b (.clk(clk), .reset(reset), .valid(s_bvalid), .ready(s_bready), .payload({s_bid, s_bresp}));
    stays #(.WIDTH(47)) d (.clk(clk), .reset(reset), .valid(s_rvalid), .ready(s_rready), .payload({s_rdata, s_rid, s_rresp, s_rlast}));
    // a beat is taken only while it is offered
    reg begun = 1'b0;
    reg aw_waits = 1'b0, w_waits = 1'b0, ar_waits = 1'b0;
    always @(posedge clk) begin
        begun <= 1'b1;
        assume (begun | reset);
        aw_waits <= s_awvalid & ~s_awready & ~reset;
        w_waits <= s_wvalid & ~s_wready & ~reset;
        ar_waits <= s_arvalid & ~s_arready & ~reset;
        if (aw_waits) assume (s_awvalid);  // the master's side of the same rule
        if (w_waits) assume (s_wvalid);
        if (ar_waits) assume (s_arvalid);
        if (begun & ~reset) begin
            assert (~s_awready | s_awvalid);
            assert (~s_wready | s_wvalid);
            assert (~s_arready | s_arvalid);
            assert (~(start & abort));
        end
    end
endmodule

`default_nettype wire
