// Words of 64 bits in block RAM, 512 * BLOCKS of them (BLOCKS 1 to 6, 8); beyond them anything is read.
// In a part of n blocks (a power of two) each block RAM holds a slice of 64/n bits of every word: no multiplexer behind it,
// and a bit of what is written goes to one block RAM only. What is no power of two has a second part.
`default_nettype none

module memory #(parameter BLOCKS = 4, SUBS = 1) (
    input  wire            clk,
    input  wire [SUBS-1:0] write_low,   // sub-words, in the first part
    input  wire [SUBS-1:0] write_high,  // in the second
    input  wire [11:0]     write_address,
    input  wire [63:0]     data,
    input  wire [11:0]     address,
    output wire [63:0]     q            // in the next cycle
);
    localparam LOW = BLOCKS >= 8 ? 8 : BLOCKS >= 4 ? 4 : BLOCKS >= 2 ? 2 : 1;
    localparam PART = LOW == 8 ? 12 : LOW == 4 ? 11 : LOW == 2 ? 10 : 9;  // bit of the address

    wire [63:0] low;
    slices #(.BLOCKS(LOW), .SUBS(SUBS)) first (.clk(clk), .write(write_low), .write_address(write_address), .data(data),
        .address(address), .q(low));
    generate
        if (BLOCKS == LOW)
            assign q = low;
        else begin: rest
            wire [63:0] high;
            reg part;
            slices #(.BLOCKS(BLOCKS - LOW), .SUBS(SUBS)) second (.clk(clk), .write(write_high), .write_address(write_address),
                .data(data), .address(address), .q(high));
            always @(posedge clk)
                part <= address[PART];
            assign q = part ? high : low;
        end
    endgenerate
endmodule

module slices #(parameter BLOCKS = 1, SUBS = 1) (
    input  wire            clk,
    input  wire [SUBS-1:0] write,
    input  wire [11:0]     write_address,
    input  wire [63:0]     data,
    input  wire [11:0]     address,
    output reg  [63:0]     q
);
    localparam WIDTH = 64 / BLOCKS, SUB = 64 / SUBS, PIECE = WIDTH < SUB ? WIDTH : SUB;
    localparam BITS = BLOCKS == 8 ? 12 : BLOCKS == 4 ? 11 : BLOCKS == 2 ? 10 : 9;

    genvar i;
    generate
        for (i = 0; i < BLOCKS; i = i + 1) begin: slice
            (* ram_style = "block" *) reg [WIDTH-1:0] words [0:512*BLOCKS-1];
            integer k;
            always @(posedge clk) begin
                for (k = 0; k < WIDTH; k = k + PIECE)
                    if (write[(WIDTH*i + k) / SUB])
                        words[write_address[BITS-1:0]][k +: PIECE] <= data[WIDTH*i + k +: PIECE];
                q[WIDTH*i +: WIDTH] <= words[address[BITS-1:0]];
            end
        end
    endgenerate
endmodule

`default_nettype wire
