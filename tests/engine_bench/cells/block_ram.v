// What RAMB18E1 and RAMB36E1 have in common (UG473): 512 rows of ROW data bits with a parity bit for every eight of them,
// and two ports. Widths are those of the cells' parameters: 0 is a port that does not read, or does not write; from 9 on
// a port has parity. Latched outputs, one clock. What is X in all of DATA, in all of PARITY or in INIT, and what a port
// does not read, is as the simulator powers it up.
//
// A word that one port reads while the other one writes into it is the old one if the writing port is READ_FIRST. Else
// the chip promises nothing, and here it comes inverted; so does what both ports write into one word.
`default_nettype none

module block_ram #(
    parameter NAME = "block_ram", ROW = 64, ENABLES = 4,  // ENABLES: byte enables of a port
    parameter READ_A = 0, WRITE_A = 0, MODE_A = "WRITE_FIRST",
    parameter READ_B = 0, WRITE_B = 0, MODE_B = "WRITE_FIRST",
    parameter [71:0] INIT_A = 0, parameter [71:0] INIT_B = 0,    // {parity, data} of a port's width
    parameter [71:0] SRVAL_A = 0, parameter [71:0] SRVAL_B = 0,
    parameter [512*ROW-1:0] DATA = 0,
    parameter [64*ROW-1:0] PARITY = 0,
    parameter C = $clog2(ROW)
) (
    input  wire               clk_a, clk_b,
    input  wire [1:0]         en, rst,                  // of port B, of port A; so are the others
    input  wire [2*(9+C)-1:0] address,                  // of a bit
    input  wire [2*ENABLES-1:0] we,
    input  wire [2*ROW-1:0]   di,
    input  wire [ROW/4-1:0]   dip,
    output wire [2*ROW-1:0]   q,
    output wire [ROW/4-1:0]   qp
);
    localparam A = 9 + C, READ_FIRST = 0, WRITE_FIRST = 1, NO_CHANGE = 2, UNKNOWN = 3;
    localparam WIDTH_A = READ_A > WRITE_A ? READ_A : WRITE_A, WIDTH_B = READ_B > WRITE_B ? READ_B : WRITE_B;
    localparam HOW_A = MODE_A == "READ_FIRST" ? READ_FIRST : MODE_A == "WRITE_FIRST" ? WRITE_FIRST
        : MODE_A == "NO_CHANGE" ? NO_CHANGE : UNKNOWN;
    localparam HOW_B = MODE_B == "READ_FIRST" ? READ_FIRST : MODE_B == "WRITE_FIRST" ? WRITE_FIRST
        : MODE_B == "NO_CHANGE" ? NO_CHANGE : UNKNOWN;

    function integer bits(input integer width);  // of data
        bits = width == 0 ? 1 : width >= 9 ? width / 9 * 8 : width;
    endfunction

    function modelled(input integer width);
        modelled = width == 0 || width == 1 || width == 2 || width == 4 || width == 9 || width == 18 || width == 36
            || (width == 72 && ROW == 64);
    endfunction

    reg [ROW-1:0] data [0:511];
    reg [ROW/8-1:0] parity [0:511];
    integer i;
    generate
        if (DATA !== {16*ROW{32'hx}})
            initial for (i = 0; i < 512; i = i + 1)
                data[i] = DATA[ROW*i +: ROW];
        if (PARITY !== {2*ROW{32'hx}})
            initial for (i = 0; i < 512; i = i + 1)
                parity[i] = PARITY[ROW/8*i +: ROW/8];
        if (HOW_A == UNKNOWN)
            initial $fatal(1, "%s: WRITE_MODE_A = %s is not modelled", NAME, MODE_A);
        if (HOW_B == UNKNOWN)
            initial $fatal(1, "%s: WRITE_MODE_B = %s is not modelled", NAME, MODE_B);
    endgenerate

    localparam WIDER = $clog2(bits(WIDTH_A) > bits(WIDTH_B) ? bits(WIDTH_A) : bits(WIDTH_B));
    wire together = address[A-1:WIDER] == address[2*A-1:A+WIDER];
    wire [1:0] writes;

    genvar p, k;
    generate
        for (p = 0; p < 2; p = p + 1) begin: port
            localparam READ = p ? READ_B : READ_A, WRITE = p ? WRITE_B : WRITE_A, WIDTH = p ? WIDTH_B : WIDTH_A;
            localparam HOW = p ? HOW_B : HOW_A, OTHER = p ? HOW_A : HOW_B;
            localparam BITS = bits(WIDTH), PART = BITS < 8 ? BITS : 8, PARTS = BITS / PART, PARITIES = WIDTH / 9;
            localparam SLICE = PARITIES > 0 ? PARITIES : 1;
            localparam [71:0] INIT = p ? INIT_B : INIT_A, SRVAL = p ? SRVAL_B : SRVAL_A;

            wire clk = p ? clk_b : clk_a;
            wire [8:0] row = address[A*p+C +: 9];
            wire [C-1:0] column = address[A*p +: C] & ~(BITS - 1);
            wire [ENABLES-1:0] enables = WRITE != 0 ? we[ENABLES*p +: ENABLES] : {ENABLES{1'b0}};
            wire [ROW-1:0] given = di[ROW*p +: ROW] ^ {ROW{together & writes[1-p]}};
            wire [ROW/8-1:0] given_parity = dip[ROW/8*p +: ROW/8] ^ {ROW/8{together & writes[1-p]}};
            assign writes[p] = en[p] && enables != 0;

            if (!modelled(READ) || !modelled(WRITE) || (READ != 0 && WRITE != 0 && READ != WRITE))
                initial $fatal(1, "%s: widths of %0d (read) and %0d (write) at port %s are not modelled", NAME,
                    READ, WRITE, p ? "B" : "A");

            for (k = 0; k < PARTS; k = k + 1) begin: part
                always @(posedge clk)
                    if (en[p] && enables[k])
                        data[row][column + PART*k +: PART] <= given[PART*k +: PART];
                if (k < PARITIES)
                    always @(posedge clk)
                        if (en[p] && enables[k])
                            parity[row][column / 8 + k] <= given_parity[k];
            end
            // UG473: a port narrower than its enables has them all connected.
            for (k = PARTS; k < ENABLES; k = k + 1) begin: same
                if (WRITE != 0)
                    always @(posedge clk)
                        if (en[p] && enables[k] != enables[k % PARTS])
                            $fatal(1, "%s: enables of port %s differ within a byte", NAME, p ? "B" : "A");
            end

            reg [ROW-1:0] latch;
            reg [ROW/8-1:0] latch_parity;
            assign q[ROW*p +: ROW] = latch;
            assign qp[ROW/8*p +: ROW/8] = latch_parity;
            if (READ != 0) begin: reads
                wire [ROW-1:0] old = data[row] >> column;
                wire [ROW/8-1:0] old_parity = parity[row] >> (column / 8);
                wire [ROW-1:0] seen;
                wire [ROW/8-1:0] seen_parity;
                wire spoilt = together && writes[1-p] && OTHER != READ_FIRST;
                for (k = 0; k < PARTS; k = k + 1) begin: part
                    wire fresh = HOW == WRITE_FIRST && enables[k];
                    assign seen[PART*k +: PART] = {PART{spoilt}}
                        ^ (fresh ? given[PART*k +: PART] : old[PART*k +: PART]);
                    if (k < PARITIES)
                        assign seen_parity[k] = (fresh ? given_parity[k] : old_parity[k]) ^ spoilt;
                end
                always @(posedge clk)
                    if (en[p]) begin
                        if (rst[p]) begin
                            latch[BITS-1:0] <= SRVAL[BITS-1:0];
                            if (PARITIES > 0)
                                latch_parity[0 +: SLICE] <= SRVAL[BITS +: SLICE];
                        end else if (HOW != NO_CHANGE || enables == 0) begin
                            latch[BITS-1:0] <= seen[BITS-1:0];
                            if (PARITIES > 0)
                                latch_parity[0 +: SLICE] <= seen_parity[0 +: SLICE];
                        end
                    end
                if (^INIT[BITS-1:0] !== 1'bx)
                    initial latch[BITS-1:0] = INIT[BITS-1:0];
                if (PARITIES > 0 && ^INIT[BITS +: SLICE] !== 1'bx)
                    initial latch_parity[0 +: SLICE] = INIT[BITS +: SLICE];
            end
            if (WIDTH_A != 0 && WIDTH_B != 0)
                always @(posedge clk)
                    if (clk_a != clk_b)
                        $fatal(1, "%s: ports with two clocks are not modelled", NAME);
        end
    endgenerate
endmodule

`default_nettype wire
