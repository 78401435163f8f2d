// Takes words out of the banks, all vectors of an address at once, and writes them to memory by bursts.
// A burst is begun only when all its words are in the buffer: the port never waits for the circuit.
`default_nettype none

module storer #(parameter V = 4) (
    input  wire            clk,
    input  wire            reset,          // nothing is under way then
    input  wire            stop,           // begin no further burst
    // an order; taken when idle
    input  wire            order,
    input  wire [31:0]     o_address,
    input  wire [11:0]     o_words,        // of a bank, less 1
    input  wire [11:0]     o_pointer,
    input  wire [11:0]     o_mask,
    input  wire [7:0]      begun,          // results begun by the layers before the order
    input  wire [7:0]      written,        // results in the banks
    output wire            idle,           // the order is complete
    output wire            quiet,          // no burst is under way
    output reg             progress,
    output reg             failed,
    // banks
    output wire            steal,
    output wire [11:0]     address,
    input  wire            stolen,         // the read is shown in this cycle; its words are at x three cycles later
    input  wire [64*V-1:0] x,
    // port
    output reg             m_awvalid,
    input  wire            m_awready,
    output reg  [31:0]     m_awaddr,
    output reg  [3:0]      m_awlen,
    output reg             m_wvalid,
    input  wire            m_wready,
    output reg  [63:0]     m_wdata,
    output reg             m_wlast,
    input  wire            m_bvalid,
    output wire            m_bready,
    input  wire [1:0]      m_bresp
);
    localparam [3:0] V_LAST = V - 1;

    // ---- out of the banks
    reg active, clear;
    reg [7:0] ticket;
    reg [11:0] pointer, base, mask;
    reg [12:0] reads;                   // left
    reg want, expect_x;
    reg [2:0] arrive;
    reg [64*V-1:0] caught;
    reg [3:0] shifts;                   // words of `caught` that are left
    reg [8:0] used;                     // words in the buffer, or promised
    assign steal = want;
    assign address = (pointer & mask) | (base & ~mask);
    // the next read is asked for when what it brings finds `caught` empty
    wire ask = active & clear & (reads != 0) & ~want & ~expect_x & (shifts <= 4) & (used < 9'd480) & ~stop;

    // ---- buffer
    (* ram_style = "block" *) reg [63:0] buffer [0:511];
    reg [8:0] in, out;
    reg [63:0] q;
    wire push = shifts != 0;
    reg [15:0] left;                    // words that no burst has taken yet
    reg [9:0] stored;                   // words in the buffer that no burst has taken yet
    wire [4:0] size = left > 16 ? 5'd16 : left[4:0];
    wire enough = (left != 0) & (stored >= {5'd0, size});
    reg [31:0] next;
    reg [4:0] beats;                    // of the burst that are not at the port yet
    reg [3:0] bursts;                   // without an answer yet
    assign quiet = (bursts == 0) & ~m_awvalid & ~m_wvalid & (beats == 0);
    wire begin_burst = enough & ~m_awvalid & (beats == 0) & (bursts < 8) & ~stop;
    assign idle = ~active;
    assign m_bready = 1'b1;

    // ---- beats; one word is read ahead
    reg q_valid;
    wire send = q_valid & (beats != 0) & (~m_wvalid | m_wready);
    wire fetch = (in != out) & (~q_valid | send);
    reg bvalid;
    reg [1:0] bresp;
    always @(posedge clk) begin
        if (push)
            buffer[in] <= caught[63:0];
        if (fetch)
            q <= buffer[out];
    end

    always @(posedge clk) begin
        if (order) begin
            active <= 1'b1;
            ticket <= begun;
            clear <= begun == written;
            pointer <= o_pointer;
            base <= o_pointer;
            mask <= o_mask;
            reads <= {1'b0, o_words} + 13'd1;
            left <= V * ({4'd0, o_words} + 16'd1);
            next <= o_address;
        end else if (written == ticket)
            clear <= 1'b1;

        if (ask) begin
            want <= 1'b1;
            expect_x <= 1'b1;
        end
        if (want) begin                 // granted at once
            want <= 1'b0;
            pointer <= pointer + 12'd1;
            reads <= reads - 13'd1;
        end
        arrive <= {arrive[1:0], stolen};
        if (push) begin
            caught <= {64'd0, caught[64*V-1:64]};
            shifts <= shifts - 4'd1;
            in <= in + 9'd1;
        end
        if (arrive[2]) begin
            caught <= x;
            shifts <= V_LAST + 4'd1;
            expect_x <= 1'b0;
        end

        if (m_awvalid & m_awready)
            m_awvalid <= 1'b0;
        if (begin_burst) begin
            m_awvalid <= 1'b1;
            m_awaddr <= next;
            m_awlen <= size[3:0] - 4'd1;
            next <= next + 32'd128;
            left <= left - {11'd0, size};
        end
        stored <= stored + {9'd0, push} - (begin_burst ? {5'd0, size} : 10'd0);
        if (~ask)
            used <= used - {8'd0, send};
        else
            used <= used + V - {8'd0, send};

        if (send)
            q_valid <= 1'b0;
        if (fetch) begin
            out <= out + 9'd1;
            q_valid <= 1'b1;
        end
        if (m_wvalid & m_wready)
            m_wvalid <= 1'b0;
        if (send) begin
            m_wvalid <= 1'b1;
            m_wdata <= q;
            m_wlast <= beats == 1;
        end
        if (begin_burst)
            beats <= size;
        else if (send)
            beats <= beats - 5'd1;

        bvalid <= m_bvalid;
        bresp <= m_bresp;
        progress <= bvalid;
        failed <= bvalid & bresp[1];
        bursts <= bursts + {3'd0, begin_burst} - {3'd0, bvalid};
        if (active & ~order & (reads == 0) & ~want & ~expect_x & (shifts == 0) & (left == 0) & quiet)
            active <= 1'b0;

        if (reset) begin
            active <= 1'b0;
            want <= 1'b0;
            expect_x <= 1'b0;
            arrive <= 3'd0;
            shifts <= 4'd0;
            used <= 9'd0;
            in <= 9'd0;
            out <= 9'd0;
            stored <= 10'd0;
            left <= 16'd0;
            reads <= 13'd0;
            beats <= 5'd0;
            bursts <= 4'd0;
            q_valid <= 1'b0;
                m_awvalid <= 1'b0;
            m_wvalid <= 1'b0;
            bvalid <= 1'b0;
            failed <= 1'b0;
        end
    end

`ifdef FORMAL
    // what the proof of the port's rules needs to know of the inside
    reg started = 1'b0;
    always @(posedge clk) begin
        started <= 1'b1;
        if (started) begin
            assert (left == 0 | next[6:0] == 0);
            assert (beats <= 16);
        end
    end
`endif
endmodule

`default_nettype wire
