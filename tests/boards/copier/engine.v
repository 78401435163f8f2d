// A circuit with the ports of an engine that copies words: small, so that tests of the simulated board are fast.
// Registers: 0x00 MAGIC, 0x04 SCRATCH, 0x08 FROM, 0x0C TO, 0x10 WORDS, 0x14 START, 0x18 STATUS (0 busy, 1 done,
// 2 a read failed, 3 a write failed), 0x1C IRQ_ENABLE, 0x20 MISTAKE, 0x24 P and V, 0x28 never answered.
// It copies 32 words at a time, in two bursts that are asked for one behind the other.
// MISTAKE breaks a rule of the bus on purpose: 1 arvalid falls, 2 the address changes, 3 the last beat comes early,
// 4 a burst crosses 4 KB, 5 an address of 4 bytes, 6 an answer with another id, 7 wdata changes, 8 $stop.
module engine #(
    parameter P = 4,
    parameter V = 2,
    parameter BLOCKS = 1,
    parameter BUILD = 0
) (
    input clk, input resetn, output irq,
    input s_awvalid, output s_awready, input [31:0] s_awaddr, input [11:0] s_awid, input [3:0] s_awlen,
    input s_wvalid, output s_wready, input [31:0] s_wdata, input [3:0] s_wstrb, input s_wlast,
    output reg s_bvalid, input s_bready, output [11:0] s_bid, output [1:0] s_bresp,
    input s_arvalid, output s_arready, input [31:0] s_araddr, input [11:0] s_arid, input [3:0] s_arlen,
    output reg s_rvalid, input s_rready, output reg [31:0] s_rdata, output reg [11:0] s_rid, output [1:0] s_rresp,
    output s_rlast,
    output m_arvalid, input m_arready, output [31:0] m_araddr, output [3:0] m_arlen,
    input m_rvalid, output m_rready, input [63:0] m_rdata, input [1:0] m_rresp, input m_rlast,
    output m_awvalid, input m_awready, output [31:0] m_awaddr, output [3:0] m_awlen,
    output m_wvalid, input m_wready, output [63:0] m_wdata, output m_wlast,
    input m_bvalid, output m_bready, input [1:0] m_bresp
);
    // ---- registers
    reg [31:0] scratch, from, to, words, mistake;
    reg enable, busy, done, read_failed, write_failed;
    reg have_aw, have_w;
    reg [11:0] awid;
    reg [7:0] awaddr;
    reg [31:0] wdata;
    wire start = have_aw & have_w & ~s_bvalid & awaddr == 8'h14 & ~busy;
    assign s_awready = ~have_aw;
    assign s_wready = ~have_w;
    assign s_bid = mistake == 6 ? ~awid : awid;
    assign s_bresp = awaddr == 8'h28 ? 2'd2 : 2'd0;
    assign s_arready = ~s_rvalid;
    assign s_rresp = 0;
    assign s_rlast = 1;
    assign irq = done & enable;
    always @(posedge clk)
        if (!resetn) begin
            {have_aw, have_w, s_bvalid, s_rvalid, enable} <= 0;
            {scratch, from, to, words, mistake} <= 0;
        end else begin
            if (s_awvalid & s_awready) begin
                have_aw <= 1;
                awid <= s_awid;
                awaddr <= s_awaddr[7:0];
            end
            if (s_wvalid & s_wready) begin
                have_w <= 1;
                wdata <= s_wdata;
            end
            if (have_aw & have_w & ~s_bvalid) begin
                s_bvalid <= 1;
                case (awaddr)
                    8'h04: scratch <= wdata;
                    8'h08: from <= wdata;
                    8'h0c: to <= wdata;
                    8'h10: words <= wdata;
                    8'h1c: enable <= wdata[0];
                    8'h20: mistake <= wdata;
                    default: ;
                endcase
            end
            if (s_bvalid & s_bready) {s_bvalid, have_aw, have_w} <= 0;
            if (s_arvalid & s_arready & s_araddr[7:0] != 8'h28) begin
                s_rvalid <= 1;
                s_rid <= s_arid;
                case (s_araddr[7:0])
                    8'h00: s_rdata <= 32'h434f5059;
                    8'h04: s_rdata <= scratch;
                    8'h08: s_rdata <= from;
                    8'h0c: s_rdata <= to;
                    8'h10: s_rdata <= words;
                    8'h18: s_rdata <= {28'd0, write_failed, read_failed, done, busy};
                    8'h1c: s_rdata <= {31'd0, enable};
                    8'h24: s_rdata <= {16'd0, V[7:0], P[7:0]};
                    default: s_rdata <= 0;
                endcase
            end
            if (s_rvalid & s_rready) s_rvalid <= 0;
        end

    // ---- copying
    reg [63:0] store [0:31];
    reg [31:0] read_at, write_at, left;
    reg [5:0] got, put;
    reg [1:0] asked, offered, answered;  // bursts of this piece
    reg fell;
    wire [5:0] piece = left > 32 ? 6'd32 : left[5:0];
    wire [1:0] bursts = piece > 16 ? 2'd2 : 2'd1;
    wire [5:0] second = piece - 6'd16;
    wire [3:0] first_len = piece > 16 ? 4'd15 : piece[3:0] - 4'd1;
    wire [3:0] second_len = second[3:0] - 4'd1;
    wire full = got == piece;
    assign m_arvalid = busy & asked != bursts & ~(mistake == 1 & fell);
    assign m_araddr = (asked == 0 ? read_at : read_at + 32'd128) + (mistake == 2 & fell ? 32'd8 : 32'd0)
                      + (mistake == 4 ? 32'd4032 : mistake == 5 ? 32'd4 : 32'd0);
    assign m_arlen = asked == 0 ? first_len : second_len;
    assign m_rready = 1;
    assign m_awvalid = busy & full & offered != bursts;
    assign m_awaddr = offered == 0 ? write_at : write_at + 32'd128;
    assign m_awlen = offered == 0 ? first_len : second_len;
    assign m_wvalid = busy & full & put != piece;
    assign m_wdata = store[put[4:0]] ^ {63'd0, mistake == 7 & fell};
    assign m_wlast = put == 6'd15 | put == piece - 6'd1 | (mistake == 3 & put == 6'd2);
    assign m_bready = 1;
    wire all = busy & answered == bursts & full;
    always @(posedge clk)
        if (!resetn) {busy, done, read_failed, write_failed, got, put, asked, offered, answered, fell} <= 0;
        else begin
            fell <= ~fell;
            if (start) begin
                {done, read_failed, write_failed} <= 0;
                busy <= words != 0;
                read_at <= from;
                write_at <= to;
                left <= words;
                if (mistake == 8) $stop;
            end
            if (m_arvalid & m_arready) asked <= asked + 1;
            if (m_rvalid) begin
                store[got[4:0]] <= m_rdata;
                got <= got + 1;
                read_failed <= read_failed | m_rresp != 0;
            end
            if (m_awvalid & m_awready) offered <= offered + 1;
            if (m_wvalid & m_wready) put <= put + 1;
            if (m_bvalid) begin
                answered <= answered + 1;
                write_failed <= write_failed | m_bresp != 0;
            end
            if (all) begin
                {got, put, asked, offered, answered} <= 0;
                left <= left - {26'd0, piece};
                read_at <= read_at + 32'd256;
                write_at <= write_at + 32'd256;
                if (left == {26'd0, piece}) begin
                    busy <= 0;
                    done <= 1;
                end
            end
        end
endmodule
