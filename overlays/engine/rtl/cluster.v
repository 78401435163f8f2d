// Four processing elements x V vectors, their weights and thresholds.
// Everything comes from the cluster before and goes on to the next one, one cycle later.
`default_nettype none

module cluster #(parameter V = 4, AW = 24, INDEX = 0, BUS = 64) (
    input  wire            clk,
    // handed on
    input  wire [64*V-1:0] x_i,
    input  wire [AW*V-1:0] s_i,
    input  wire [BUS-1:0]  c_i,     // control, see below
    input  wire [82:0]     l_i,     // load: {valid, thresholds, element 6, address 11, data 64}
    output reg  [64*V-1:0] x_o,
    output reg  [AW*V-1:0] s_o,
    output reg  [BUS-1:0]  c_o,
    output reg  [82:0]     l_o,
    // not handed on
    input  wire [1:0]      plane,
    output reg  [4*V-1:0]  bits     // of the plane: element 0..3 of vector 0, ...
);
    always @(posedge clk) begin
        x_o <= x_i;
        s_o <= s_i;
        c_o <= c_i;
        l_o <= l_i;
    end

    // control, each at its own time: array.v has the delays
    wire [8:0] t_address = c_o[23:15];
    wire [1:0] slot = c_o[25:24];
    wire twice = c_o[26];
    wire [2:0] nibble = c_o[29:27];
    wire raw = c_o[30];
    wire step_first = c_o[31];
    wire step_last = c_o[32];
    wire pass_last = c_o[33];

    // load
    reg [3:0] w_low, w_high;
    reg t_write;
    reg [10:0] l_address;
    reg [63:0] l_data;
    wire [5:0] l_element = l_o[80:75];
    wire mine = l_o[82] & (l_element[5:2] == INDEX[3:0]);
    integer k;
    always @(posedge clk) begin
        for (k = 0; k < 4; k = k + 1) begin
            w_low[k] <= mine & ~l_o[81] & (l_element[1:0] == k[1:0]) & ~l_o[74];
            w_high[k] <= mine & ~l_o[81] & (l_element[1:0] == k[1:0]) & (l_o[74:73] == 2'd2);
        end
        t_write <= l_o[82] & l_o[81] & (l_element[3:0] == INDEX[3:0]);
        l_address <= l_o[74:64];
        l_data <= l_o[63:0];
    end

    // processing elements
    wire [AW*V*4-1:0] results;  // element-major
    genvar i, v;
    generate
        for (i = 0; i < 4; i = i + 1) begin: pe
            // copies of its own: one register for all elements would be a net over the whole cluster
            (* keep *) reg [10:0] address;
            (* keep *) reg first, shl, snap;
            always @(posedge clk) begin
                address <= c_o[10:0];
                first <= c_o[11];
                shl <= c_o[12];
                snap <= c_o[13];
            end

            wire [63:0] w;
            weights m (.clk(clk), .write_low(w_low[i]), .write_high(w_high[i]), .write_address(l_address), .data(l_data),
                       .address(address), .w(w));
            for (v = 0; v < V; v = v + 1) begin: lane
                unit #(.AW(AW)) u (.clk(clk), .w(w), .x(x_o[64*v +: 64]), .first(first), .shl(shl), .snap(snap),
                    .result(results[AW*(i*V + v) +: AW]));
            end
        end
    endgenerate

    // thresholds: three of 21 bits and the direction in a word
    (* ram_style = "block" *) reg [63:0] memory [0:511];
    reg [63:0] read, word;
    reg [20:0] threshold;
    reg down;
    always @(posedge clk) begin
        if (t_write)
            memory[l_address[8:0]] <= l_data;
        read <= memory[t_address];
        word <= read;
        threshold <= slot == 0 ? word[20:0] : slot == 1 ? word[41:21] : word[62:42];
        down <= word[63];
    end

    // one lane a vector compares the elements one after the other
    reg snapped, next;
    always @(posedge clk) begin
        snapped <= c_o[13];
        next <= c_o[14];
    end
    generate
        for (v = 0; v < V; v = v + 1) begin: drain
            reg signed [AW-1:0] value;
            reg passed;
            reg [3:0] part, code;
            reg [11:0] gathered;
            reg [15:0] codes;
            (* keep *) reg [1:0] element;  // a copy for each vector
            wire [AW-1:0] head = results[AW*(V*element + v) +: AW];
            wire [31:0] wide = {{(32-AW){value[AW-1]}}, value};
            always @(posedge clk) begin
                element <= snapped ? 2'd0 : element + {1'b0, next};
                value <= (twice ? {head[AW-2:0], 1'b0} : head) - s_o[AW*v +: AW];
                passed <= (value >= $signed({{(AW-21){threshold[20]}}, threshold})) ^ down;
                part <= wide[{nibble, 2'b00} +: 4];
                code <= raw ? part : step_first ? {3'b0, passed} : code + {3'b0, passed};
                if (step_last)
                    gathered <= {code, gathered[11:4]};
                if (pass_last)
                    codes <= {code, gathered};
                bits[4*v +: 4] <= {codes[{2'd3, plane}], codes[{2'd2, plane}], codes[{2'd1, plane}], codes[{2'd0, plane}]};
            end
        end
    endgenerate
endmodule

// Weight memory of an element: 1,536 words; beyond them 0.
module weights (
    input  wire        clk,
    input  wire        write_low,
    input  wire        write_high,
    input  wire [10:0] write_address,
    input  wire [63:0] data,
    input  wire [10:0] address,
    output reg  [63:0] w
);
    wire [63:0] q;
    memory #(.BLOCKS(3)) m (.clk(clk), .write_low(write_low), .write_high(write_high), .write_address({1'b0, write_address}),
        .data(data), .address({1'b0, address}), .q(q));
    reg beyond;
    always @(posedge clk) begin
        beyond <= &address[10:9];
        w <= beyond ? 64'd0 : q;
    end
endmodule

`default_nettype wire
