// One processing element's part for one vector: popcount, accumulator, and the result of the row group before.
// first and shl belong to the word that was at w and x four cycles ago, snap to the one five cycles ago.
`default_nettype none

module unit #(parameter AW = 24, SAME = 0) (
    input  wire          clk,
    input  wire [63:0]   w,
    input  wire [63:0]   x,
    input  wire          first,   // start from 0
    input  wire          shl,     // next significance: the accumulator doubles
    input  wire          snap,    // the sum is a result
    output reg  [AW-1:0] result
);
    wire [6:0] count;
    popcount #(.SAME(SAME)) p (.clk(clk), .w(w), .x(x), .count(count));

    // a bubble is a word of zeros without first and shl: the accumulator needs no enable
    reg [AW-1:0] sum;
    wire [AW-1:0] start = first ? {AW{1'b0}} : shl ? {sum[AW-2:0], 1'b0} : sum;
    always @(posedge clk) begin
        sum <= {{(AW-7){1'b0}}, count} + start;
        if (snap)
            result <= sum;
    end
endmodule

`default_nettype wire
