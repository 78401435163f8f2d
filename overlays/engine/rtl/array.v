// The array: P processing elements in a chain of clusters, and for each vector the sum of its activations.
//
// t is the cycle in which the nest shows a word (w_address, first, shl, snap, offset); its activations are at x at t+3.
// Steps of the drain come in from t+7 on (t: last word of the row group), one a cycle. bits are those of `plane` two
// cycles before; a result is there for a plane NC+5 cycles after the last step, and stays until the next one comes.
`default_nettype none

module array #(parameter P = 32, V = 4, AW = 24) (
    input  wire            clk,
    input  wire [64*V-1:0] x,
    input  wire [10:0]     w_address,
    input  wire            first,
    input  wire            shl,
    input  wire            snap,
    input  wire            offset,     // bit of the weights' offset
    // drain: a step a cycle
    input  wire [8:0]      t_address,
    input  wire [1:0]      slot,
    input  wire            twice,
    input  wire            raw,
    input  wire [2:0]      nibble,
    input  wire            step_first, // of an element
    input  wire            step_last,  // of an element
    input  wire            pass_last,  // of the four elements
    input  wire [1:0]      plane,
    output wire [P*V-1:0]  bits,       // vector-major
    // load
    input  wire [82:0]     load
);
    localparam NC = P / 4;

    // words, each signal at the time at which the units need it
    reg [2:0] offset_d;
    reg [6:0] first_d, shl_d;
    reg [7:0] snap_d;   // the last of each is for the offsets' units, the one before for the clusters
    always @(posedge clk) begin
        offset_d <= {offset_d[1:0], offset};
        first_d <= {first_d[5:0], first};
        shl_d <= {shl_d[5:0], shl};
        snap_d <= {snap_d[6:0], snap};
    end

    // steps, each signal at the time at which the clusters need it
    reg [3:0] slot_1;                    // slot, twice, last
    reg [2:0] slot_2;
    reg [2:0] nibble_1, nibble_2, nibble_3;
    reg [1:0] first_1, first_2, first_3, first_4;  // raw, first
    reg [1:0] last_1, last_2, last_3, last_4, last_5;
    always @(posedge clk) begin
        slot_1 <= {slot, twice, step_last};
        slot_2 <= slot_1[3:1];
        nibble_1 <= nibble;
        nibble_2 <= nibble_1;
        nibble_3 <= nibble_2;
        first_1 <= {raw, step_first};
        first_2 <= first_1;
        first_3 <= first_2;
        first_4 <= first_3;
        last_1 <= {pass_last, step_last};
        last_2 <= last_1;
        last_3 <= last_2;
        last_4 <= last_3;
        last_5 <= last_4;
    end
    wire [33:0] control = {last_5[1], last_5[0], first_4[0], first_4[1], nibble_3, slot_2[0], slot_2[2:1],
                           t_address, slot_1[0], snap_d[6], shl_d[5], first_d[5], w_address};

    // sums of the activations, times the weights' offset
    wire [AW*V-1:0] sums;
    genvar c, v;
    generate
        for (v = 0; v < V; v = v + 1) begin: offsets
            unit #(.AW(AW), .SAME(1)) u (.clk(clk), .w({64{offset_d[2]}}), .x(x[64*v +: 64]),
                .first(first_d[6]), .shl(shl_d[6]), .snap(snap_d[7]), .result(sums[AW*v +: AW]));
        end
    endgenerate

    reg [1:0] plane_1;
    always @(posedge clk)
        plane_1 <= plane;

    wire [64*V*(NC+1)-1:0] xs;
    wire [AW*V*(NC+1)-1:0] ss;
    wire [34*(NC+1)-1:0] cs;
    wire [83*(NC+1)-1:0] ls;
    assign xs[64*V-1:0] = x;
    assign ss[AW*V-1:0] = sums;
    assign cs[33:0] = control;
    assign ls[82:0] = load;
    generate
        for (c = 0; c < NC; c = c + 1) begin: chain
            wire [4*V-1:0] part;
            cluster #(.V(V), .AW(AW), .INDEX(c), .BUS(34)) n (.clk(clk),
                .x_i(xs[64*V*c +: 64*V]), .s_i(ss[AW*V*c +: AW*V]), .c_i(cs[34*c +: 34]), .l_i(ls[83*c +: 83]),
                .x_o(xs[64*V*(c+1) +: 64*V]), .s_o(ss[AW*V*(c+1) +: AW*V]), .c_o(cs[34*(c+1) +: 34]),
                .l_o(ls[83*(c+1) +: 83]), .plane(plane_1), .bits(part));
            for (v = 0; v < V; v = v + 1) begin: vector
                assign bits[P*v + 4*c +: 4] = part[4*v +: 4];
            end
        end
    endgenerate
endmodule

`default_nettype wire
