// Number of lanes in which w and x are both 1, four cycles later.
// Written as layers of 3:2 and 6:3 compressors: an adder tree of small vectors would become carry chains.
// With QNN_BEHAVIOURAL the same function in one line, for fast simulation; formal/ proves the two equal.
`default_nettype none

module popcount (
    input  wire        clk,
    input  wire [63:0] w,
    input  wire [63:0] x,
    output reg  [6:0]  count
);
`ifdef QNN_BEHAVIOURAL
    reg [6:0] d1, d2, d3;
    always @(posedge clk) begin
        d1 <= $countones(w & x);
        d2 <= d1;
        d3 <= d2;
        count <= d3;
    end
`else
    function [1:0] add3(input a, input b, input c);  // 3 bits of one weight -> 2
        add3 = {(a & b) | (a & c) | (b & c), a ^ b ^ c};
    endfunction

    function [2:0] add6(input [5:0] v);  // 6 bits of one weight -> 3
        reg [1:0] low, high, ones, twos;
        begin
            low = add3(v[0], v[1], v[2]);
            high = add3(v[3], v[4], v[5]);
            ones = {low[0] & high[0], low[0] ^ high[0]};
            twos = add3(low[1], high[1], ones[1]);
            add6 = {twos, ones[0]};
        end
    endfunction

    // first cycle: 63 lanes in threes, one alone
    wire [63:0] both = w & x;
    reg [21:0] one;
    reg [20:0] two;
    integer i;
    always @(posedge clk) begin
        for (i = 0; i < 21; i = i + 1)
            {two[i], one[i]} <= add3(both[3*i], both[3*i+1], both[3*i+2]);
        one[21] <= both[63];
    end

    // second: ones in 6, 6, 6, 4; twos in 6, 6, 6, 3
    reg [2:0] a0, a1, a2, a3, b0, b1, b2;
    reg [1:0] b3;
    always @(posedge clk) begin
        a0 <= add6(one[5:0]);
        a1 <= add6(one[11:6]);
        a2 <= add6(one[17:12]);
        a3 <= add6({2'b0, one[21:18]});
        b0 <= add6(two[5:0]);
        b1 <= add6(two[11:6]);
        b2 <= add6(two[17:12]);
        b3 <= add3(two[18], two[19], two[20]);
    end

    // third: each column again
    wire [2:0] s1 = add6({2'b0, a0[0], a1[0], a2[0], a3[0]});
    wire [2:0] s2 = add6({a0[1], a1[1], a2[1], a3[1], b0[0], b1[0]});
    wire [2:0] s4 = add6({a0[2], a1[2], a2[2], a3[2], b0[1], b1[1]});
    wire [1:0] s8 = add3(b0[2], b1[2], b2[2]);
    reg c1;
    reg [3:0] c2;
    reg [4:0] c4;
    reg [2:0] c8;
    reg [1:0] c16;
    always @(posedge clk) begin
        c1 <= s1[0];
        c2 <= {s1[1], s2[0], b2[0], b3[0]};
        c4 <= {s1[2], s2[1], s4[0], b2[1], b3[1]};
        c8 <= {s2[2], s4[1], s8[0]};
        c16 <= {s4[2], s8[1]};
    end

    // fourth: the rest, without a carry chain
    wire [2:0] n2 = add6({2'b0, c2});
    wire [2:0] n4 = add6({1'b0, c4});
    wire [1:0] n8 = add3(c8[0], c8[1], c8[2]);
    wire carry = n2[1] & n4[0];
    wire [2:0] m8 = add6({2'b0, n2[2], n4[1], n8[0], carry});
    wire [2:0] m16 = add6({1'b0, n4[2], n8[1], c16, m8[1]});
    always @(posedge clk)
        count <= {m16[2] | (m16[1] & m8[2]), m16[1] ^ m8[2], m16[0], m8[0], n2[1] ^ n4[0], n2[0], c1};
`endif
endmodule

`default_nettype wire
