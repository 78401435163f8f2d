// Lane-wise maximum of codes over a window. Words come plane by plane, most significant first, pixel by pixel.
// While the words after a window come in, its own go out: y holds them one cycle after each shift.
`default_nettype none

module pool (
    input  wire        clk,
    input  wire        shift,        // a word is at x
    input  wire        pixel_first,  // of the window
    input  wire        plane_first,  // most significant
    input  wire [1:0]  top,          // planes - 1
    input  wire [63:0] x,
    output reg  [63:0] y
);
    reg [63:0] m0, m1, m2, m3;
    reg [63:0] above, below;  // the new code is already greater, smaller
    wire [63:0] kept = top == 0 ? m0 : top == 1 ? m1 : top == 2 ? m2 : m3;
    wire [63:0] old = pixel_first ? 64'd0 : kept;
    wire [63:0] greater = plane_first ? 64'd0 : above;
    wire [63:0] smaller = plane_first ? 64'd0 : below;
    wire [63:0] best = (x & ~smaller) | (old & ~greater);
    always @(posedge clk)
        if (shift) begin
            m0 <= best;
            m1 <= m0;
            m2 <= m1;
            m3 <= m2;
            above <= greater | (x & ~old & ~smaller);
            below <= smaller | (old & ~x & ~greater);
            y <= kept;
        end
endmodule

`default_nettype wire
