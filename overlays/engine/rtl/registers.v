// Registers on the processor's port (AXI3 slave, 32 bits). All of the port's inputs but RREADY and BREADY are
// registered: a beat is taken two cycles after it was seen.
`default_nettype none

module registers #(parameter P = 32, V = 4, AW = 24, BLOCKS = 4, BUILD = 0) (
    input  wire         clk,
    input  wire         reset,
    input  wire         s_awvalid,
    output reg          s_awready,
    input  wire [31:0]  s_awaddr,
    input  wire [11:0]  s_awid,
    input  wire [3:0]   s_awlen,
    input  wire         s_wvalid,
    output reg          s_wready,
    input  wire [31:0]  s_wdata,
    input  wire [3:0]   s_wstrb,
    input  wire         s_wlast,
    output reg          s_bvalid,
    input  wire         s_bready,
    output reg  [11:0]  s_bid,
    output wire [1:0]   s_bresp,
    input  wire         s_arvalid,
    output reg          s_arready,
    input  wire [31:0]  s_araddr,
    input  wire [11:0]  s_arid,
    input  wire [3:0]   s_arlen,
    output reg          s_rvalid,
    input  wire         s_rready,
    output reg  [31:0]  s_rdata,
    output reg  [11:0]  s_rid,
    output wire [1:0]   s_rresp,
    output reg          s_rlast,
    output reg          irq,
    // engine
    output reg          start,
    output reg          abort,
    output reg          soft_reset,
    input  wire         busy, done, failed, aborted,
    input  wire [7:0]   code,
    input  wire [9:0]   at,
    input  wire         finished,
    input  wire [31:0]  pictures,
    output reg  [15:0]  groups,
    output reg  [31:0]  limit,
    output wire [127:0] bases, sizes, strides,
    output reg          p_write,
    output reg  [9:0]   p_address,
    output reg  [63:0]  p_data,
    input  wire         shown,
    input  wire         waits_load, waits_store, waits_drain
);
    assign s_bresp = 2'd0;
    assign s_rresp = 2'd0;

    // ---- writes: one beat in three cycles
    reg awvalid, wvalid, wlast;
    reg [31:0] awaddr, wdata;
    reg [11:0] awid;
    reg [3:0] awlen, wstrb;
    reg [2:0] w_state;
    localparam [2:0] W_ADDRESS = 0, W_TAKE = 1, W_DATA = 2, W_BEAT = 3, W_GAP = 4, W_ANSWER = 5;
    reg [15:0] w_address;
    reg write;
    reg [15:0] address;
    reg [31:0] value;
    always @(posedge clk) begin
        awvalid <= s_awvalid;
        awaddr <= s_awaddr;
        awid <= s_awid;
        awlen <= s_awlen;
        wvalid <= s_wvalid;
        wdata <= s_wdata;
        wstrb <= s_wstrb;
        wlast <= s_wlast;
        s_awready <= 1'b0;
        s_wready <= 1'b0;
        write <= 1'b0;
        case (w_state)
            W_ADDRESS: if (awvalid) begin
                s_awready <= 1'b1;
                w_address <= awaddr[15:0];
                s_bid <= awid;
                w_state <= W_TAKE;
            end
            W_TAKE: w_state <= W_DATA;
            W_DATA: if (wvalid) begin
                s_wready <= 1'b1;
                w_state <= W_BEAT;
            end
            W_BEAT: begin
                write <= wstrb == 4'hf;
                address <= w_address;
                value <= wdata;
                w_address <= w_address + 16'd4;
                w_state <= wlast ? W_ANSWER : W_GAP;
                s_bvalid <= wlast;
            end
            W_GAP: w_state <= W_DATA;
            default: if (s_bready) begin
                s_bvalid <= 1'b0;
                w_state <= W_ADDRESS;
            end
        endcase
        if (reset) begin
            w_state <= W_ADDRESS;
            s_awready <= 1'b0;
            s_wready <= 1'b0;
            s_bvalid <= 1'b0;
            write <= 1'b0;
            awvalid <= 1'b0;
            wvalid <= 1'b0;
        end
    end

    // ---- the registers
    reg [31:0] scratch, low;
    reg [31:0] base [0:3];
    reg [31:0] size [0:3];
    reg [31:0] stride [0:3];
    reg [1:0] enable, pending;
    reg [31:0] cycles, fed, for_load, for_store, for_drain;
    reg clearing;
    assign bases = {base[3], base[2], base[1], base[0]};
    assign sizes = {size[3], size[2], size[1], size[0]};
    assign strides = {stride[3], stride[2], stride[1], stride[0]};
    wire window = address[15:13] == 3'b010;
    wire page = address[15:8] == 8'd0;
    wire set = write & page & ~busy;
    wire [5:0] word = address[7:2];
    integer i;
    always @(posedge clk) begin
        start <= 1'b0;
        abort <= 1'b0;
        p_write <= 1'b0;
        p_address <= address[12:3];
        p_data <= {value, low};
        irq <= |(enable & pending);

        if (write & page & word == 6'h07) begin
            start <= value[2:0] == 3'd1;
            abort <= value[1] | value[2];
            if (value[2])
                clearing <= 1'b1;
        end
        if (write & page & word == 6'h09)
            enable <= value[1:0];
        pending <= (pending & ~(write & page & word == 6'h0a ? value[1:0] : 2'd0)) | {finished & failed, finished & done};
        if (set) begin
            if (word == 6'h06) scratch <= value;
            if (word == 6'h0b) groups <= value[15:0];
            if (word == 6'h0d) limit <= value;
            for (i = 0; i < 4; i = i + 1) begin
                if (word == 6'h14 + 4*i[5:0]) base[i] <= value;
                if (word == 6'h15 + 4*i[5:0]) size[i] <= value;
                if (word == 6'h16 + 4*i[5:0]) stride[i] <= value;
            end
        end
        if (write & window & ~busy) begin
            if (address[2])
                p_write <= 1'b1;
            else
                low <= value;
        end

        // counters
        if (start & ~busy) begin
            cycles <= 32'd0;
            fed <= 32'd0;
            for_load <= 32'd0;
            for_store <= 32'd0;
            for_drain <= 32'd0;
        end else if (busy) begin
            cycles <= cycles + 32'd1;
            fed <= fed + {31'd0, shown};
            for_load <= for_load + {31'd0, waits_load};
            for_store <= for_store + {31'd0, waits_store};
            for_drain <= for_drain + {31'd0, waits_drain};
        end

        // a soft reset waits until the ports are quiet
        soft_reset <= clearing & ~busy & ~abort & ~soft_reset;
        if (soft_reset)
            clearing <= 1'b0;
        if (reset | soft_reset) begin
            scratch <= 32'd0;
            groups <= 16'd0;
            limit <= 32'h00ffffff;
            enable <= 2'd0;
            pending <= 2'd0;
            irq <= 1'b0;
            start <= 1'b0;
            for (i = 0; i < 4; i = i + 1) begin
                base[i] <= 32'd0;
                size[i] <= 32'd0;
                stride[i] <= 32'd0;
            end
            cycles <= 32'd0;
            fed <= 32'd0;
            for_load <= 32'd0;
            for_store <= 32'd0;
            for_drain <= 32'd0;
        end
        if (reset) begin
            abort <= 1'b0;
            clearing <= 1'b0;
            soft_reset <= 1'b0;
            p_write <= 1'b0;
        end
    end

    // ---- reads: looked up in two steps
    reg arvalid;
    reg [31:0] araddr;
    reg [11:0] arid;
    reg [3:0] arlen;
    localparam [2:0] R_ADDRESS = 0, R_TAKE = 1, R_LOOK = 2, R_SELECT = 3, R_BEAT = 4;
    reg [2:0] r_state;
    reg [3:0] r_left;
    reg [15:0] r_address;
    wire [5:0] r_word = r_address[7:2];
    wire [1:0] r_region = r_word[3:2] - 2'd1;
    reg [31:0] one, regions;
    always @* begin
        case (r_word)
            6'h00: one = 32'h514e4e45;
            6'h01: one = 32'h00010000;
            6'h02: one = BUILD;
            6'h03: one = {AW[7:0], 8'd64, V[7:0], P[7:0]};
            6'h04: one = {BLOCKS[6:0], 9'd0, 16'd1536};
            6'h05: one = {16'd1024, 16'd512};
            6'h06: one = scratch;
            6'h08: one = {6'd0, at, code, 4'd0, aborted, failed, done, busy};
            6'h09: one = {30'd0, enable};
            6'h0a: one = {30'd0, pending};
            6'h0b: one = {16'd0, groups};
            6'h0c: one = pictures;
            6'h0d: one = limit;
            6'h0e: one = cycles;
            6'h0f: one = fed;
            6'h10: one = for_load;
            6'h11: one = for_store;
            6'h12: one = for_drain;
            default: one = 32'd0;
        endcase
        case (r_word[1:0])
            2'd0: regions = base[r_region];
            2'd1: regions = size[r_region];
            2'd2: regions = stride[r_region];
            default: regions = 32'd0;
        endcase
    end
    reg [31:0] one_1, regions_1;
    reg is_one, is_region;
    always @(posedge clk) begin
        arvalid <= s_arvalid;
        araddr <= s_araddr;
        arid <= s_arid;
        arlen <= s_arlen;
        s_arready <= 1'b0;
        one_1 <= one;
        regions_1 <= regions;
        is_one <= r_address[15:8] == 8'd0 & r_word < 6'h14;
        is_region <= r_address[15:8] == 8'd0 & r_word >= 6'h14 & r_word < 6'h24;
        case (r_state)
            R_ADDRESS: if (arvalid) begin
                s_arready <= 1'b1;
                r_address <= araddr[15:0];
                s_rid <= arid;
                r_left <= arlen;
                r_state <= R_TAKE;
            end
            R_TAKE: r_state <= R_LOOK;
            R_LOOK: r_state <= R_SELECT;
            R_SELECT: begin
                s_rdata <= is_one ? one_1 : is_region ? regions_1 : 32'd0;
                s_rvalid <= 1'b1;
                s_rlast <= r_left == 0;
                r_state <= R_BEAT;
            end
            default: if (s_rready) begin
                s_rvalid <= 1'b0;
                r_address <= r_address + 16'd4;
                r_left <= r_left - 4'd1;
                r_state <= r_left == 0 ? R_ADDRESS : R_TAKE;
            end
        endcase
        if (reset) begin
            r_state <= R_ADDRESS;
            arvalid <= 1'b0;
            s_arready <= 1'b0;
            s_rvalid <= 1'b0;
        end
    end

`ifdef FORMAL
    // what the proof of the port's rules needs to know of the inside
    reg begun = 1'b0;
    always @(posedge clk) begin
        begun <= 1'b1;
        if (begun) begin
            assert (s_rvalid == (r_state == R_BEAT));
            assert (r_state <= R_BEAT);
            assert (s_bvalid == (w_state == W_ANSWER));
            assert (w_state <= W_ANSWER);
            assert (~s_awready | w_state == W_TAKE);
            assert (s_wready == (w_state == W_BEAT));
        end
    end
`endif
endmodule

`default_nettype wire
