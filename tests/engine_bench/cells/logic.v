// Behaviour of the chip's logic cells (UG474, UG953), for the simulation of netlists. An INIT that is X is unknown: the
// flip-flop is left as the simulator powers it up. What of a parameter is not modelled stops the simulation.
`default_nettype none

module GND (output wire G);
    assign G = 1'b0;
endmodule

module VCC (output wire P);
    assign P = 1'b1;
endmodule

module BUFG (input wire I, output wire O);
    assign O = I;
endmodule

module INV (input wire I, output wire O);
    assign O = ~I;
endmodule

module LUT1 #(parameter [1:0] INIT = 0) (input wire I0, output wire O);
    assign O = INIT[I0];
endmodule

module LUT2 #(parameter [3:0] INIT = 0) (input wire I0, I1, output wire O);
    assign O = INIT[{I1, I0}];
endmodule

module LUT3 #(parameter [7:0] INIT = 0) (input wire I0, I1, I2, output wire O);
    assign O = INIT[{I2, I1, I0}];
endmodule

module LUT4 #(parameter [15:0] INIT = 0) (input wire I0, I1, I2, I3, output wire O);
    assign O = INIT[{I3, I2, I1, I0}];
endmodule

module LUT5 #(parameter [31:0] INIT = 0) (input wire I0, I1, I2, I3, I4, output wire O);
    assign O = INIT[{I4, I3, I2, I1, I0}];
endmodule

module LUT6 #(parameter [63:0] INIT = 0) (input wire I0, I1, I2, I3, I4, I5, output wire O);
    assign O = INIT[{I5, I4, I3, I2, I1, I0}];
endmodule

module MUXF7 (input wire I0, I1, S, output wire O);
    assign O = S ? I1 : I0;
endmodule

module MUXF8 (input wire I0, I1, S, output wire O);
    assign O = S ? I1 : I0;
endmodule

// Where a carry enters, by CI from the slice below or by CYINIT, the other one is 0.
module CARRY4 (input wire CI, CYINIT, input wire [3:0] DI, S, output wire [3:0] O, CO);
    wire c0 = CI | CYINIT;
    wire c1 = S[0] ? c0 : DI[0];
    wire c2 = S[1] ? c1 : DI[1];
    wire c3 = S[2] ? c2 : DI[2];
    wire c4 = S[3] ? c3 : DI[3];
    assign CO = {c4, c3, c2, c1};
    assign O = S ^ {c3, c2, c1, c0};
endmodule

// Synchronous reset, which needs no clock enable.
module FDRE (input wire C, CE, D, R, output reg Q);
    parameter [0:0] INIT = 0, IS_C_INVERTED = 0, IS_D_INVERTED = 0, IS_R_INVERTED = 0;
    generate
        if (IS_C_INVERTED || IS_D_INVERTED || IS_R_INVERTED)
            initial $fatal(1, "FDRE: IS_C_INVERTED = %b, IS_D_INVERTED = %b, IS_R_INVERTED = %b is not modelled",
                IS_C_INVERTED, IS_D_INVERTED, IS_R_INVERTED);
        if (INIT === 1'b0 || INIT === 1'b1)
            initial Q = INIT;
    endgenerate
    always @(posedge C)
        if (R)
            Q <= 1'b0;
        else if (CE)
            Q <= D;
endmodule

// Synchronous set.
module FDSE (input wire C, CE, D, S, output reg Q);
    parameter [0:0] INIT = 1, IS_C_INVERTED = 0, IS_D_INVERTED = 0, IS_S_INVERTED = 0;
    generate
        if (IS_C_INVERTED || IS_D_INVERTED || IS_S_INVERTED)
            initial $fatal(1, "FDSE: IS_C_INVERTED = %b, IS_D_INVERTED = %b, IS_S_INVERTED = %b is not modelled",
                IS_C_INVERTED, IS_D_INVERTED, IS_S_INVERTED);
        if (INIT === 1'b0 || INIT === 1'b1)
            initial Q = INIT;
    endgenerate
    always @(posedge C)
        if (S)
            Q <= 1'b1;
        else if (CE)
            Q <= D;
endmodule

`default_nettype wire
