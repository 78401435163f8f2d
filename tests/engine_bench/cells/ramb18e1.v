// Block RAM of 18 Kb (UG473), for the simulation of netlists. RAM_MODE "TDP": ports
// of up to 18 bits; "SDP": port A reads and port B writes 36 bits. What of a parameter or a port is not modelled stops
// the simulation, or is not there.
`default_nettype none

module RAMB18E1 (
    input  wire CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, RSTRAMARSTRAM, RSTRAMB,
    input  wire REGCEAREGCE, REGCEB, RSTREGARSTREG, RSTREGB,  // of output registers
    input  wire [13:0] ADDRARDADDR, ADDRBWRADDR,
    input  wire [1:0] WEA,
    input  wire [3:0] WEBWE,
    input  wire [15:0] DIADI, DIBDI,
    input  wire [1:0] DIPADIP, DIPBDIP,
    output wire [15:0] DOADO, DOBDO,
    output wire [1:0] DOPADOP, DOPBDOP
);
    parameter RAM_MODE = "TDP", READ_WIDTH_A = 0, READ_WIDTH_B = 0, WRITE_WIDTH_A = 0, WRITE_WIDTH_B = 0;
    parameter WRITE_MODE_A = "WRITE_FIRST", WRITE_MODE_B = "WRITE_FIRST", DOA_REG = 0, DOB_REG = 0;
    parameter [71:0] INIT_A = 0, INIT_B = 0, SRVAL_A = 0, SRVAL_B = 0;
    parameter RSTREG_PRIORITY_A = "RSTREG", RSTREG_PRIORITY_B = "RSTREG";  // of output registers
    parameter RDADDR_COLLISION_HWCONFIG = "DELAYED_WRITE", SIM_COLLISION_CHECK = "ALL", SIM_DEVICE = "7SERIES";
    parameter INIT_FILE = "NONE";
    parameter [0:0] IS_CLKARDCLK_INVERTED = 0, IS_CLKBWRCLK_INVERTED = 0, IS_ENARDEN_INVERTED = 0, IS_ENBWREN_INVERTED = 0;
    parameter [0:0] IS_RSTRAMARSTRAM_INVERTED = 0, IS_RSTRAMB_INVERTED = 0;
    parameter [0:0] IS_RSTREGARSTREG_INVERTED = 0, IS_RSTREGB_INVERTED = 0;
    parameter [255:0] INITP_00 = 0, INITP_01 = 0, INITP_02 = 0, INITP_03 = 0;
    parameter [255:0] INITP_04 = 0, INITP_05 = 0, INITP_06 = 0, INITP_07 = 0;
    parameter [255:0] INIT_00 = 0, INIT_01 = 0, INIT_02 = 0, INIT_03 = 0;
    parameter [255:0] INIT_04 = 0, INIT_05 = 0, INIT_06 = 0, INIT_07 = 0;
    parameter [255:0] INIT_08 = 0, INIT_09 = 0, INIT_0A = 0, INIT_0B = 0;
    parameter [255:0] INIT_0C = 0, INIT_0D = 0, INIT_0E = 0, INIT_0F = 0;
    parameter [255:0] INIT_10 = 0, INIT_11 = 0, INIT_12 = 0, INIT_13 = 0;
    parameter [255:0] INIT_14 = 0, INIT_15 = 0, INIT_16 = 0, INIT_17 = 0;
    parameter [255:0] INIT_18 = 0, INIT_19 = 0, INIT_1A = 0, INIT_1B = 0;
    parameter [255:0] INIT_1C = 0, INIT_1D = 0, INIT_1E = 0, INIT_1F = 0;
    parameter [255:0] INIT_20 = 0, INIT_21 = 0, INIT_22 = 0, INIT_23 = 0;
    parameter [255:0] INIT_24 = 0, INIT_25 = 0, INIT_26 = 0, INIT_27 = 0;
    parameter [255:0] INIT_28 = 0, INIT_29 = 0, INIT_2A = 0, INIT_2B = 0;
    parameter [255:0] INIT_2C = 0, INIT_2D = 0, INIT_2E = 0, INIT_2F = 0;
    parameter [255:0] INIT_30 = 0, INIT_31 = 0, INIT_32 = 0, INIT_33 = 0;
    parameter [255:0] INIT_34 = 0, INIT_35 = 0, INIT_36 = 0, INIT_37 = 0;
    parameter [255:0] INIT_38 = 0, INIT_39 = 0, INIT_3A = 0, INIT_3B = 0;
    parameter [255:0] INIT_3C = 0, INIT_3D = 0, INIT_3E = 0, INIT_3F = 0;
    localparam SDP = RAM_MODE == "SDP";

    generate
        if (RAM_MODE != "SDP" && RAM_MODE != "TDP")
            initial $fatal(1, "RAMB18E1: RAM_MODE = %s is not modelled", RAM_MODE);
        if (SDP && (READ_WIDTH_A != 36 || WRITE_WIDTH_A != 0 || READ_WIDTH_B != 0 || WRITE_WIDTH_B != 36))
            initial $fatal(1, "RAMB18E1: RAM_MODE = SDP is modelled for READ_WIDTH_A = WRITE_WIDTH_B = 36 only");
        if (!SDP && (READ_WIDTH_A > 18 || WRITE_WIDTH_A > 18 || READ_WIDTH_B > 18 || WRITE_WIDTH_B > 18))
            initial $fatal(1, "RAMB18E1: widths beyond 18 are not modelled for RAM_MODE = TDP");
        if (DOA_REG != 0)
            initial $fatal(1, "RAMB18E1: DOA_REG = %0d is not modelled", DOA_REG);
        if (DOB_REG != 0)
            initial $fatal(1, "RAMB18E1: DOB_REG = %0d is not modelled", DOB_REG);
        if (INIT_FILE != "NONE")
            initial $fatal(1, "RAMB18E1: INIT_FILE = %s is not modelled", INIT_FILE);
        if (IS_CLKARDCLK_INVERTED != 0)
            initial $fatal(1, "RAMB18E1: IS_CLKARDCLK_INVERTED = %b is not modelled", IS_CLKARDCLK_INVERTED);
        if (IS_CLKBWRCLK_INVERTED != 0)
            initial $fatal(1, "RAMB18E1: IS_CLKBWRCLK_INVERTED = %b is not modelled", IS_CLKBWRCLK_INVERTED);
        if (IS_ENARDEN_INVERTED != 0)
            initial $fatal(1, "RAMB18E1: IS_ENARDEN_INVERTED = %b is not modelled", IS_ENARDEN_INVERTED);
        if (IS_ENBWREN_INVERTED != 0)
            initial $fatal(1, "RAMB18E1: IS_ENBWREN_INVERTED = %b is not modelled", IS_ENBWREN_INVERTED);
        if (IS_RSTRAMARSTRAM_INVERTED != 0)
            initial $fatal(1, "RAMB18E1: IS_RSTRAMARSTRAM_INVERTED = %b is not modelled", IS_RSTRAMARSTRAM_INVERTED);
        if (IS_RSTRAMB_INVERTED != 0)
            initial $fatal(1, "RAMB18E1: IS_RSTRAMB_INVERTED = %b is not modelled", IS_RSTRAMB_INVERTED);
        if (IS_RSTREGARSTREG_INVERTED != 0)
            initial $fatal(1, "RAMB18E1: IS_RSTREGARSTREG_INVERTED = %b is not modelled", IS_RSTREGARSTREG_INVERTED);
        if (IS_RSTREGB_INVERTED != 0)
            initial $fatal(1, "RAMB18E1: IS_RSTREGB_INVERTED = %b is not modelled", IS_RSTREGB_INVERTED);
    endgenerate

    localparam [16383:0] DATA = {
        INIT_3F, INIT_3E, INIT_3D, INIT_3C, INIT_3B, INIT_3A, INIT_39, INIT_38,
        INIT_37, INIT_36, INIT_35, INIT_34, INIT_33, INIT_32, INIT_31, INIT_30,
        INIT_2F, INIT_2E, INIT_2D, INIT_2C, INIT_2B, INIT_2A, INIT_29, INIT_28,
        INIT_27, INIT_26, INIT_25, INIT_24, INIT_23, INIT_22, INIT_21, INIT_20,
        INIT_1F, INIT_1E, INIT_1D, INIT_1C, INIT_1B, INIT_1A, INIT_19, INIT_18,
        INIT_17, INIT_16, INIT_15, INIT_14, INIT_13, INIT_12, INIT_11, INIT_10,
        INIT_0F, INIT_0E, INIT_0D, INIT_0C, INIT_0B, INIT_0A, INIT_09, INIT_08,
        INIT_07, INIT_06, INIT_05, INIT_04, INIT_03, INIT_02, INIT_01, INIT_00
    };
    localparam [2047:0] PARITY = {
        INITP_07, INITP_06, INITP_05, INITP_04, INITP_03, INITP_02, INITP_01, INITP_00
    };
    wire [SDP ? 7 : 3:0] we;
    wire [63:0] q;
    wire [7:0] qp;
    block_ram #(.NAME("RAMB18E1"), .ROW(32), .ENABLES(SDP ? 4 : 2),
        .READ_A(READ_WIDTH_A), .WRITE_A(WRITE_WIDTH_A), .MODE_A(WRITE_MODE_A),
        .READ_B(READ_WIDTH_B), .WRITE_B(WRITE_WIDTH_B), .MODE_B(WRITE_MODE_B),
        .INIT_A(SDP ? {INIT_B[17:16], INIT_A[17:16], INIT_B[15:0], INIT_A[15:0]} : INIT_A), .INIT_B(INIT_B),
        .SRVAL_A(SDP ? {SRVAL_B[17:16], SRVAL_A[17:16], SRVAL_B[15:0], SRVAL_A[15:0]} : SRVAL_A), .SRVAL_B(SRVAL_B),
        .DATA(DATA), .PARITY(PARITY)) ram (
        .clk_a(CLKARDCLK), .clk_b(CLKBWRCLK), .en({ENBWREN, ENARDEN}), .rst({RSTRAMB, RSTRAMARSTRAM}),
        .address({ADDRBWRADDR, ADDRARDADDR}), .we(we), .q(q), .qp(qp),
        .di({SDP ? {DIBDI, DIADI} : {16'd0, DIBDI}, 16'd0, DIADI}),
        .dip({SDP ? {DIPBDIP, DIPADIP} : {2'd0, DIPBDIP}, 2'd0, DIPADIP}));
    generate
        if (SDP) begin: simple
            assign we = {WEBWE, 4'd0};
            assign {DOBDO, DOADO} = q[31:0];
            assign {DOPBDOP, DOPADOP} = qp[3:0];
        end else begin: dual
            assign we = {WEBWE[1:0], WEA};
            assign DOADO = q[15:0];
            assign DOBDO = q[32 +: 16];
            assign DOPADOP = qp[1:0];
            assign DOPBDOP = qp[4 +: 2];
        end
    endgenerate
endmodule

`default_nettype wire
