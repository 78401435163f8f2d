// The engine: a bit-serial array of P processing elements x V vectors x 64 lanes, and what feeds it.
// docs/engine.md describes registers, programs and arithmetic.
`default_nettype none

module engine #(parameter P = 32, V = 4, BLOCKS = 4, BUILD = 0) (
    input  wire        clk,
    input  wire        resetn,
    output wire        irq,
    // registers: AXI3 slave
    input  wire        s_awvalid,
    output wire        s_awready,
    input  wire [31:0] s_awaddr,
    input  wire [11:0] s_awid,
    input  wire [3:0]  s_awlen,
    input  wire        s_wvalid,
    output wire        s_wready,
    input  wire [31:0] s_wdata,
    input  wire [3:0]  s_wstrb,
    input  wire        s_wlast,
    output wire        s_bvalid,
    input  wire        s_bready,
    output wire [11:0] s_bid,
    output wire [1:0]  s_bresp,
    input  wire        s_arvalid,
    output wire        s_arready,
    input  wire [31:0] s_araddr,
    input  wire [11:0] s_arid,
    input  wire [3:0]  s_arlen,
    output wire        s_rvalid,
    input  wire        s_rready,
    output wire [31:0] s_rdata,
    output wire [11:0] s_rid,
    output wire [1:0]  s_rresp,
    output wire        s_rlast,
    // memory: AXI3 master, 64 bits
    output wire        m_arvalid,
    input  wire        m_arready,
    output wire [31:0] m_araddr,
    output wire [3:0]  m_arlen,
    input  wire        m_rvalid,
    output wire        m_rready,
    input  wire [63:0] m_rdata,
    input  wire [1:0]  m_rresp,
    input  wire        m_rlast,
    output wire        m_awvalid,
    input  wire        m_awready,
    output wire [31:0] m_awaddr,
    output wire [3:0]  m_awlen,
    output wire        m_wvalid,
    input  wire        m_wready,
    output wire [63:0] m_wdata,
    output wire        m_wlast,
    input  wire        m_bvalid,
    output wire        m_bready,
    input  wire [1:0]  m_bresp
);
    localparam AW = 24, SUBS = 64 / P;

    // asynchronous reset of the chip, in step with the clock
    (* ASYNC_REG = "TRUE" *) reg [3:0] quiet = 4'd0;
    reg reset = 1'b1;
    always @(posedge clk) begin
        quiet <= {quiet[2:0], resetn};
        reset <= ~quiet[3];
    end

    wire start, abort, soft_reset, busy, done, failed, aborted, finished, stop, clear;
    wire [7:0] code;
    wire [9:0] at;
    wire [31:0] pictures, limit;
    wire [15:0] groups;
    wire [127:0] bases, sizes, strides;
    wire p_write, shown, waits_load, waits_store, waits_drain;
    wire [9:0] p_address;
    wire [63:0] p_data;
    wire n_waiting;
    registers #(.P(P), .V(V), .AW(AW), .BLOCKS(BLOCKS), .BUILD(BUILD)) r (.clk(clk), .reset(reset),
        .s_awvalid(s_awvalid), .s_awready(s_awready), .s_awaddr(s_awaddr), .s_awid(s_awid), .s_awlen(s_awlen),
        .s_wvalid(s_wvalid), .s_wready(s_wready), .s_wdata(s_wdata), .s_wstrb(s_wstrb), .s_wlast(s_wlast),
        .s_bvalid(s_bvalid), .s_bready(s_bready), .s_bid(s_bid), .s_bresp(s_bresp),
        .s_arvalid(s_arvalid), .s_arready(s_arready), .s_araddr(s_araddr), .s_arid(s_arid), .s_arlen(s_arlen),
        .s_rvalid(s_rvalid), .s_rready(s_rready), .s_rdata(s_rdata), .s_rid(s_rid), .s_rresp(s_rresp), .s_rlast(s_rlast),
        .irq(irq), .start(start), .abort(abort), .soft_reset(soft_reset), .busy(busy), .done(done), .failed(failed),
        .aborted(aborted), .code(code), .at(at), .finished(finished), .pictures(pictures), .groups(groups), .limit(limit),
        .bases(bases), .sizes(sizes), .strides(strides), .p_write(p_write), .p_address(p_address), .p_data(p_data),
        .shown(shown), .waits_load(waits_load), .waits_store(waits_store | steal), .waits_drain(waits_drain | n_waiting));

    // ---- what to do
    wire n_start, n_pooling, n_busy, l_order, s_order, l_room, l_idle, l_quiet, s_idle, s_quiet;
    wire l_failed, s_failed, l_progress, s_progress;
    wire [383:0] q;
    wire [11:0] n_in, n_in_top, n_in_mask, n_out, n_out_top, n_out_mask, o_pointer, o_mask;
    wire [10:0] n_w_top;
    wire [7:0] n_period, n_final, begun, written;
    wire [31:0] o_address;
    wire [19:0] o_words;
    wire [1:0] o_target;
    sequencer #(.P(P), .V(V)) s (.clk(clk), .reset(reset | soft_reset), .start(start), .abort(abort), .busy(busy), .done(done),
        .failed(failed), .aborted(aborted), .code(code), .at(at), .finished(finished), .pictures(pictures), .groups(groups),
        .limit(limit), .bases(bases), .sizes(sizes), .strides(strides),
        .p_write(p_write), .p_address(p_address), .p_data(p_data),
        .n_start(n_start), .q(q), .n_pooling(n_pooling), .n_in(n_in), .n_in_top(n_in_top), .n_in_mask(n_in_mask),
        .n_out(n_out), .n_out_top(n_out_top), .n_out_mask(n_out_mask), .n_w_top(n_w_top), .n_period(n_period), .n_final(n_final),
        .n_busy(n_busy), .begun(begun), .written(written), .writing(writing), .l_order(l_order), .s_order(s_order), .o_address(o_address),
        .o_words(o_words), .o_target(o_target), .o_pointer(o_pointer), .o_mask(o_mask), .l_room(l_room), .l_idle(l_idle),
        .l_quiet(l_quiet), .s_idle(s_idle), .s_quiet(s_quiet), .l_failed(l_failed), .s_failed(s_failed),
        .progress(l_progress | s_progress), .stop(stop), .clear(clear),
        .waits_load(waits_load), .waits_store(waits_store), .waits_drain(waits_drain));

    // ---- which word
    wire steal, stolen, zeros, ones, first, shl, offset, last, pooled, pixel_first, plane_first, window_last;
    wire [11:0] steal_address, read, o_word, o_step, o_base, o_ring;
    wire [10:0] w_address;
    wire [8:0] t_address;
    wire [3:0] steps, sub;
    wire twice, raw;
    wire [1:0] top;
    nest #(.P(P)) n (.clk(clk), .reset(reset | stop), .start(n_start), .q(q), .pooling(n_pooling),
        .in_pointer(n_in), .in_top(n_in_top), .w_top(n_w_top), .in_mask(n_in_mask), .out_pointer(n_out), .out_top(n_out_top),
        .out_mask(n_out_mask), .period(n_period), .final_period(n_final), .busy(n_busy), .written(written), .begun(begun), .waiting(n_waiting),
        .steal(steal), .steal_address(steal_address), .stolen(stolen), .shown(shown), .read(read), .zeros(zeros), .ones(ones),
        .w_address(w_address), .first(first), .shl(shl), .offset(offset), .last(last), .pooled(pooled),
        .pixel_first(pixel_first), .plane_first(plane_first), .window_last(window_last), .t_address(t_address),
        .steps(steps), .twice(twice), .raw(raw), .top(top), .o_address(o_word), .o_step(o_step), .o_base(o_base),
        .o_mask(o_ring), .sub(sub));

    // ---- banks, pools, array
    wire [64*V-1:0] x, y;
    wire [P*V-1:0] bits;
    wire [82:0] load;
    wire [V-1:0] l_write;
    wire [11:0] l_address, write_address;
    wire [63:0] l_data;
    wire soon, write, write_pool, writing;
    wire [3:0] write_sub;
    wire p_shift, p_pixel, p_plane;
    wire [1:0] p_top;
    wire [8:0] d_address;
    wire [1:0] d_slot, plane;
    wire d_twice, d_raw, d_first, d_last, d_pass;
    wire [2:0] d_nibble;
    genvar v, k;
    generate
        for (v = 0; v < V; v = v + 1) begin: vector
            wire [SUBS-1:0] enable;
            wire [63:0] data;
            for (k = 0; k < SUBS; k = k + 1) begin: part
                assign enable[k] = write ? write_pool | write_sub == k | write_sub == 0 : l_write[v];
                assign data[P*k +: P] = ~write ? l_data[P*k +: P] : write_pool ? y[64*v + P*k +: P]
                    : write_sub == k ? bits[P*v +: P] : {P{1'b0}};
            end
            bank #(.BLOCKS(BLOCKS), .SUBS(SUBS)) b (.clk(clk), .read(read), .zeros(zeros), .ones(ones), .x(x[64*v +: 64]),
                .write(enable), .write_address(write ? write_address : l_address), .data(data));
            pool p (.clk(clk), .shift(p_shift), .pixel_first(p_pixel), .plane_first(p_plane), .top(p_top),
                .x(x[64*v +: 64]), .y(y[64*v +: 64]));
        end
    endgenerate
    array #(.P(P), .V(V), .AW(AW)) a (.clk(clk), .x(x), .w_address(w_address), .first(first), .shl(shl), .snap(last),
        .offset(offset), .t_address(d_address), .slot(d_slot), .twice(d_twice), .raw(d_raw), .nibble(d_nibble),
        .step_first(d_first), .step_last(d_last), .pass_last(d_pass), .plane(plane), .bits(bits), .load(load));
    drain #(.P(P)) d (.clk(clk), .reset(reset | stop), .last(last), .pooled(pooled),
        .pixel_first(pixel_first), .plane_first(plane_first), .window_last(window_last), .t_address(t_address), .steps(steps),
        .twice(twice), .raw(raw), .top(top), .o_address(o_word), .o_step(o_step), .o_base(o_base), .o_mask(o_ring), .sub(sub),
        .d_address(d_address), .d_slot(d_slot), .d_twice(d_twice), .d_raw(d_raw), .d_nibble(d_nibble), .d_first(d_first),
        .d_last(d_last), .d_pass(d_pass), .plane(plane), .p_shift(p_shift), .p_pixel(p_pixel), .p_plane(p_plane), .p_top(p_top),
        .soon(soon), .write(write), .write_pool(write_pool), .write_address(write_address), .write_sub(write_sub),
        .written(written), .writing(writing));

    // ---- memory
    wire core_reset = reset | clear;
    loader #(.P(P), .V(V)) l (.clk(clk), .reset(core_reset), .stop(stop), .order(l_order), .o_address(o_address),
        .o_words(o_words), .o_target(o_target), .o_pointer(o_pointer), .o_mask(o_mask), .room(l_room), .idle(l_idle),
        .quiet(l_quiet), .progress(l_progress), .failed(l_failed), .m_arvalid(m_arvalid), .m_arready(m_arready),
        .m_araddr(m_araddr), .m_arlen(m_arlen), .m_rvalid(m_rvalid), .m_rready(m_rready), .m_rdata(m_rdata),
        .m_rresp(m_rresp), .m_rlast(m_rlast), .load(load), .held(soon), .write(l_write), .write_address(l_address),
        .data(l_data));
    storer #(.V(V)) w (.clk(clk), .reset(core_reset), .stop(stop), .order(s_order), .o_address(o_address),
        .o_words(o_words[11:0]), .o_pointer(o_pointer), .o_mask(o_mask), .begun(begun), .written(written), .idle(s_idle),
        .quiet(s_quiet), .progress(s_progress), .failed(s_failed), .steal(steal), .address(steal_address), .stolen(stolen),
        .x(x), .m_awvalid(m_awvalid), .m_awready(m_awready), .m_awaddr(m_awaddr), .m_awlen(m_awlen), .m_wvalid(m_wvalid),
        .m_wready(m_wready), .m_wdata(m_wdata), .m_wlast(m_wlast), .m_bvalid(m_bvalid), .m_bready(m_bready),
        .m_bresp(m_bresp));
endmodule

`default_nettype wire
