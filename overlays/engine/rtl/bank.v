// Activations of one vector: words of 64 lanes; beyond the depth reads give 0 and writes are dropped.
// A word asked for in cycle t is at x at t+3.
`default_nettype none

module bank #(parameter BLOCKS = 4, SUBS = 2) (
    input  wire            clk,
    input  wire [11:0]     read,
    input  wire            zeros,    // instead of what is stored
    input  wire            ones,
    output reg  [63:0]     x,
    input  wire [SUBS-1:0] write,    // sub-words
    input  wire [11:0]     write_address,
    input  wire [63:0]     data
);
    localparam LOW = BLOCKS >= 8 ? 8 : BLOCKS >= 4 ? 4 : BLOCKS >= 2 ? 2 : 1;

    reg [11:0] ra, wa;
    reg [SUBS-1:0] low, high;
    reg [63:0] wd;
    reg zeros_1, zeros_2, ones_1, ones_2;
    wire beyond = {29'd0, ra[11:9]} >= BLOCKS;
    wire [31:0] block = {29'd0, write_address[11:9]};
    always @(posedge clk) begin
        ra <= read;
        zeros_1 <= zeros;
        ones_1 <= ones;
        zeros_2 <= zeros_1 | (beyond & ~ones_1);
        ones_2 <= ones_1;
        wa <= write_address;
        low <= block < LOW ? write : {SUBS{1'b0}};
        high <= block >= LOW && block < BLOCKS ? write : {SUBS{1'b0}};
        wd <= data;
    end

    wire [63:0] q;
    memory #(.BLOCKS(BLOCKS), .SUBS(SUBS)) m (.clk(clk), .write_low(low), .write_high(high), .write_address(wa), .data(wd),
        .address(ra), .q(q));
    always @(posedge clk)
        if (zeros_2)
            x <= 64'd0;
        else
            x <= q | {64{ones_2}};
endmodule

`default_nettype wire
