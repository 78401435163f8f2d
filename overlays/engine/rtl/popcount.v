// Number of lanes in which w and x are both 1, four cycles later.
// Layers of compressors, each of whose outputs is one LUT6: an adder tree of small vectors would become carry chains, and a
// mapper that counts cells avoids LUT6 where wires are what is short. With QNN_BEHAVIOURAL the same function in one line, for
// fast simulation; tests/engine_rtl proves the two equal.
`default_nettype none

module popcount #(parameter SAME = 0) (  // SAME: all bits of w are one net
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

    function [2:0] add5(input [4:0] v);  // 5 bits of one weight -> 3
        reg [1:0] low, high, twos;
        begin
            low = add3(v[0], v[1], v[2]);
            high = add3(low[0], v[3], v[4]);
            twos = {low[1] & high[1], low[1] ^ high[1]};
            add5 = {twos, high[0]};
        end
    endfunction

    // first cycle: 63 lanes in threes, one alone
    wire [63:0] both = w & x;
    wire [20:0] threes_one, threes_two;
    reg [21:0] one;
    reg [20:0] two;
    genvar i;
    generate
        for (i = 0; i < 21; i = i + 1) begin: three
            // An instantiated LUT with one net at several inputs: nextpnr 7c0c1c4 writes a wrong table.
            if (SAME)
                assign {threes_two[i], threes_one[i]} = add3(both[3*i], both[3*i+1], both[3*i+2]);
            else
                and_add3 a (.w(w[3*i +: 3]), .x(x[3*i +: 3]), .one(threes_one[i]), .two(threes_two[i]));
        end
    endgenerate
    always @(posedge clk) begin
        one <= {both[63], threes_one};
        two <= threes_two;
    end

    // second: ones in 6, 6, 6, 4; twos in 6, 6, 6, 3
    wire [2:0] six [0:5];
    reg [2:0] a0, a1, a2, a3, b0, b1, b2;
    reg [1:0] b3;
    generate
        for (i = 0; i < 3; i = i + 1) begin: sixes
            add6 a (.v(one[6*i +: 6]), .sum(six[i]));
            add6 b (.v(two[6*i +: 6]), .sum(six[i+3]));
        end
    endgenerate
    always @(posedge clk) begin
        a0 <= six[0];
        a1 <= six[1];
        a2 <= six[2];
        a3 <= add5({1'b0, one[21:18]});
        b0 <= six[3];
        b1 <= six[4];
        b2 <= six[5];
        b3 <= add3(two[18], two[19], two[20]);
    end

    // third: each column again
    wire [2:0] s1 = add5({1'b0, a0[0], a1[0], a2[0], a3[0]});
    wire [2:0] s2, s4;
    wire [1:0] s8 = add3(b0[2], b1[2], b2[2]);
    add6 c2s (.v({a0[1], a1[1], a2[1], a3[1], b0[0], b1[0]}), .sum(s2));
    add6 c4s (.v({a0[2], a1[2], a2[2], a3[2], b0[1], b1[1]}), .sum(s4));
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
    wire [2:0] n2 = add5({1'b0, c2});
    wire [2:0] n4 = add5(c4);
    wire [1:0] n8 = add3(c8[0], c8[1], c8[2]);
    wire carry = n2[1] & n4[0];
    wire [2:0] m8 = add5({1'b0, n2[2], n4[1], n8[0], carry});
    wire [2:0] m16 = add5({n4[2], n8[1], c16, m8[1]});
    wire [6:0] sum = {m16[2] | (m16[1] & m8[2]), m16[1] ^ m8[2], m16[0], m8[0], n2[1] ^ n4[0], n2[0], c1};
    always @(posedge clk)
        count <= sum;

`ifdef FORMAL
    // each compressor keeps the sum of what it takes; every bit goes into one of the next layer, with its weight
    function [2:0] ones6(input [5:0] v);
        ones6 = v[0] + v[1] + v[2] + v[3] + v[4] + v[5];
    endfunction
    wire [6:0] rest = c1 + 2 * ones6({2'd0, c2}) + 4 * ones6({1'b0, c4}) + 8 * ones6({3'd0, c8}) + 16 * ones6({4'd0, c16});
    generate
        for (i = 0; i < 21; i = i + 1) begin: lanes
            always @* assert ({threes_two[i], threes_one[i]} == ones6({3'd0, both[3*i +: 3]}));
        end
        for (i = 0; i < 3; i = i + 1) begin: groups
            always @* assert (six[i] == ones6(one[6*i +: 6]));
            always @* assert (six[i+3] == ones6(two[6*i +: 6]));
        end
    endgenerate
    always @* begin
        assert (add5({1'b0, one[21:18]}) == ones6({2'd0, one[21:18]}));
        assert (add3(two[18], two[19], two[20]) == ones6({3'd0, two[20:18]}));
        assert (s1 == a0[0] + a1[0] + a2[0] + a3[0]);
        assert (s2 == ones6({a0[1], a1[1], a2[1], a3[1], b0[0], b1[0]}));
        assert (s4 == ones6({a0[2], a1[2], a2[2], a3[2], b0[1], b1[1]}));
        assert (s8 == ones6({3'd0, b0[2], b1[2], b2[2]}));
        assert (rest > 64 | sum == rest);
    end
`endif
`endif
endmodule

`ifndef QNN_BEHAVIOURAL
// How many of three lanes are 1 on both sides.
module and_add3 (input wire [2:0] w, input wire [2:0] x, output wire one, output wire two);
    LUT6 #(.INIT(64'h8777788878887888)) parity (.O(one), .I0(w[0]), .I1(x[0]), .I2(w[1]), .I3(x[1]), .I4(w[2]), .I5(x[2]));
    LUT6 #(.INIT(64'hf888800080008000)) carry (.O(two), .I0(w[0]), .I1(x[0]), .I2(w[1]), .I3(x[1]), .I4(w[2]), .I5(x[2]));
endmodule

// How many of six bits are 1.
module add6 (input wire [5:0] v, output wire [2:0] sum);
    LUT6 #(.INIT(64'h6996966996696996)) s0 (.O(sum[0]), .I0(v[0]), .I1(v[1]), .I2(v[2]), .I3(v[3]), .I4(v[4]), .I5(v[5]));
    LUT6 #(.INIT(64'h8117177e177e7ee8)) s1 (.O(sum[1]), .I0(v[0]), .I1(v[1]), .I2(v[2]), .I3(v[3]), .I4(v[4]), .I5(v[5]));
    LUT6 #(.INIT(64'hfee8e880e8808000)) s2 (.O(sum[2]), .I0(v[0]), .I1(v[1]), .I2(v[2]), .I3(v[3]), .I4(v[4]), .I5(v[5]));
endmodule
`endif

`default_nettype wire
