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
    localparam WIDTH = 64 / SUBS;

    reg [11:0] ra, wa;
    reg [SUBS-1:0] we;
    reg [63:0] wd;
    reg zeros_1, zeros_2, ones_1, ones_2;
    reg [2:0] block;
    wire beyond = {29'd0, ra[11:9]} >= BLOCKS;
    always @(posedge clk) begin
        ra <= read;
        zeros_1 <= zeros;
        ones_1 <= ones;
        zeros_2 <= zeros_1 | (beyond & ~ones_1);
        ones_2 <= ones_1;
        block <= ra[11:9];
        wa <= write_address;
        we <= write;
        wd <= data;
    end

    wire [64*BLOCKS-1:0] words;
    genvar i;
    generate
        for (i = 0; i < BLOCKS; i = i + 1) begin: blocks
            (* ram_style = "block" *) reg [63:0] memory [0:511];
            reg [63:0] q;
            integer k;
            always @(posedge clk) begin
                for (k = 0; k < SUBS; k = k + 1)
                    if (we[k] && wa[11:9] == i)
                        memory[wa[8:0]][WIDTH*k +: WIDTH] <= wd[WIDTH*k +: WIDTH];
                q <= memory[ra[8:0]];
            end
            assign words[64*i +: 64] = q;
        end
    endgenerate

    always @(posedge clk)
        if (zeros_2)
            x <= 64'd0;
        else
            x <= words[64*block +: 64] | {64{ones_2}};
endmodule

`default_nettype wire
