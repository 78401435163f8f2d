// Reads memory by bursts into a buffer, and hands its words to weights, thresholds or activations in turn.
// A burst is begun only when the buffer has room for it: the port never waits for the circuit.
`default_nettype none

module loader #(parameter P = 32, V = 4) (
    input  wire         clk,
    input  wire         reset,          // nothing is under way then
    input  wire         stop,           // begin no further burst, drop what comes
    // an order; taken when room
    input  wire         order,
    input  wire [31:0]  o_address,
    input  wire [19:0]  o_words,        // less 1
    input  wire [1:0]   o_target,
    input  wire [11:0]  o_pointer,
    input  wire [11:0]  o_mask,
    output wire         room,
    output wire         idle,           // every order is complete
    output wire         quiet,          // no burst is under way
    output reg          progress,
    output reg          failed,         // the port answered with an error
    // port
    output reg          m_arvalid,
    input  wire         m_arready,
    output reg  [31:0]  m_araddr,
    output reg  [3:0]   m_arlen,
    input  wire         m_rvalid,
    output wire         m_rready,
    input  wire [63:0]  m_rdata,
    input  wire [1:0]   m_rresp,
    input  wire         m_rlast,
    // weights and thresholds: {valid, thresholds, element 6, address 11, data 64}
    output reg  [82:0]  load,
    // activations
    input  wire         held,           // the banks are written by others in the cycle after the next
    output reg  [V-1:0] write,
    output reg  [11:0]  write_address,
    output reg  [63:0]  data
);
    localparam NC = P / 4;
    localparam [5:0] P_LAST = P - 1, NC_LAST = NC - 1, V_LAST = V - 1;

    // ---- orders: the one whose bursts are begun, the one whose words are handed out; one waits
    reg waiting;
    reg [31:0] q_address;
    reg [19:0] q_words;
    reg [1:0] q_target;
    reg [11:0] q_pointer, q_mask;
    reg asking;                         // bursts are left to be begun
    reg handing;                        // words are left to be handed out
    assign room = ~waiting;
    assign idle = ~waiting & ~handing;

    // ---- bursts
    reg [31:0] address;
    reg [20:0] left;
    reg [3:0] bursts;                   // under way
    reg [8:0] used;                     // words of the buffer that are taken or promised
    assign quiet = (bursts == 0) & ~m_arvalid;
    wire [4:0] size = left > 16 ? 5'd16 : left[4:0];
    wire begin_burst = asking & ~m_arvalid & ~stop & (bursts < 8) & (used < 9'd368);

    // ---- the buffer
    reg rvalid;
    reg rlast;
    reg [1:0] rresp;
    reg [63:0] rdata;
    assign m_rready = 1'b1;
    (* ram_style = "block" *) reg [63:0] buffer [0:511];
    reg [8:0] in, out;
    reg [63:0] q;
    wire give;                          // q is handed out

    // one word is read ahead
    reg q_valid;
    wire fetch = (in != out) & (~q_valid | give);
    always @(posedge clk) begin
        if (rvalid)
            buffer[in] <= rdata;
        if (fetch)
            q <= buffer[out];
    end

    // ---- handing out
    reg [1:0] target;
    reg [20:0] count;
    reg [5:0] element;
    reg [11:0] pointer, base, mask;
    wire [5:0] element_last = target == 0 ? P_LAST : target == 1 ? NC_LAST : V_LAST;
    assign give = q_valid & handing & ~(target[1] & held);
    integer k;

    always @(posedge clk) begin
        rvalid <= m_rvalid;
        rlast <= m_rlast;
        rresp <= m_rresp;
        rdata <= m_rdata;
        progress <= rvalid & rlast;
        failed <= rvalid & rresp[1];

        if (order) begin
            waiting <= 1'b1;
            q_address <= o_address;
            q_words <= o_words;
            q_target <= o_target;
            q_pointer <= o_pointer;
            q_mask <= o_mask;
        end
        if (waiting & ~handing & ~stop) begin
            waiting <= order;
            asking <= 1'b1;
            handing <= 1'b1;
            address <= q_address;
            left <= {1'b0, q_words} + 21'd1;
            count <= {1'b0, q_words} + 21'd1;
            target <= q_target;
            pointer <= q_pointer;
            base <= q_pointer;
            mask <= q_mask;
            element <= 6'd0;
        end

        if (m_arvalid & m_arready)
            m_arvalid <= 1'b0;
        if (begin_burst) begin
            m_arvalid <= 1'b1;
            m_araddr <= address;
            m_arlen <= size[3:0] - 4'd1;
            address <= address + 32'd128;
            left <= left - {16'd0, size};
            asking <= left > 16;
        end
        bursts <= bursts + {3'd0, begin_burst} - {3'd0, rvalid & rlast};
        used <= used + (begin_burst ? {4'd0, size} : 9'd0) - {8'd0, give};

        if (rvalid)
            in <= in + 9'd1;
        if (give)
            q_valid <= 1'b0;
        if (fetch) begin
            out <= out + 9'd1;
            q_valid <= 1'b1;
        end

        load[82] <= give & ~target[1];
        load[81] <= target[0];
        load[80:75] <= element;
        load[74:64] <= pointer[10:0];
        load[63:0] <= q;
        for (k = 0; k < V; k = k + 1)
            write[k] <= give & target[1] & (element == k[5:0]);
        write_address <= (pointer & mask) | (base & ~mask);
        data <= q;
        if (give) begin
            element <= element == element_last ? 6'd0 : element + 6'd1;
            if (element == element_last)
                pointer <= pointer + 12'd1;
            count <= count - 21'd1;
            if (count == 1)
                handing <= 1'b0;
        end

        if (reset) begin
            waiting <= 1'b0;
            asking <= 1'b0;
            handing <= 1'b0;
            m_arvalid <= 1'b0;
            bursts <= 4'd0;
            used <= 9'd0;
            rvalid <= 1'b0;
            in <= 9'd0;
            out <= 9'd0;
            q_valid <= 1'b0;
            failed <= 1'b0;
            load[82] <= 1'b0;
            write <= {V{1'b0}};
        end
    end

`ifdef FORMAL
    // what the proof of the port's rules needs to know of the inside
    reg begun = 1'b0;
    always @(posedge clk) begin
        begun <= 1'b1;
        if (begun) begin
            assert (~waiting | q_address[6:0] == 0);
            assert (~asking | address[6:0] == 0);
        end
    end
`endif
endmodule

`default_nettype wire
