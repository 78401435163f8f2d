// From the last word of a row group to its codes in the banks; also the way of pooled words into them.
// Three results may be under way: what belongs to each waits in a queue.
`default_nettype none

module drain #(parameter P = 32) (
    input  wire           clk,
    input  wire           reset,
    // of the word that the nest shows
    input  wire           last,          // of a row group
    input  wire           pooled,        // a word of a pool, or of the flush behind it
    input  wire           pixel_first,
    input  wire           plane_first,
    input  wire           window_last,
    // of the row group or window; valid with last and window_last
    input  wire [8:0]     t_address,
    input  wire [3:0]     steps,         // thresholds - 1; raw: nibbles - 1
    input  wire           twice,
    input  wire           raw,
    input  wire [1:0]     top,           // planes - 1
    input  wire [11:0]    o_address,
    input  wire [11:0]    o_step,        // from plane to plane
    input  wire [11:0]    o_base,        // with ring
    input  wire [11:0]    o_mask,
    input  wire [3:0]     sub,
    // to the array
    output reg  [8:0]     d_address,
    output reg  [1:0]     d_slot,
    output reg            d_twice,
    output reg            d_raw,
    output reg  [2:0]     d_nibble,
    output reg            d_first,
    output reg            d_last,
    output reg            d_pass,
    output reg  [1:0]     plane,
    // to pools
    output wire           p_shift,
    output wire           p_pixel,
    output wire           p_plane,
    output reg  [1:0]     p_top,
    // to the banks, with the bits or the pools' words
    output wire           soon,          // in the next cycle write is set
    output reg            write,
    output reg            write_pool,
    output reg  [11:0]    write_address,
    output reg  [3:0]     write_sub,
    // results that are in the banks
    output reg  [7:0]     written,
    output wire           writing        // written goes up in this cycle
);
    localparam NC = P / 4;
    localparam DELAY = NC + 5;

    // ---- steps: from seven cycles after the last word on
    reg [5:0] started;
    reg [8:0] a_address;
    reg [3:0] a_steps;
    reg a_twice, a_raw;
    reg [3:0] d_steps;
    reg running;
    reg [1:0] place, slot;
    reg [3:0] step;
    reg [2:0] nibble;
    reg [3:0] gap;
    wire step_last = d_raw | (step == d_steps);
    wire passes_left = d_raw & (nibble != d_steps[2:0]);
    always @(posedge clk) begin
        started <= {started[4:0], last};
        if (last) begin
            a_address <= t_address;
            a_steps <= steps;
            a_twice <= twice;
            a_raw <= raw;
        end
        if (started[5]) begin
            running <= 1'b1;
            place <= 2'd0;
            slot <= 2'd0;
            step <= 4'd0;
            nibble <= 3'd0;
            gap <= 4'd0;
            d_address <= a_address;
            d_twice <= a_twice;
            d_raw <= a_raw;
            d_steps <= a_steps;
        end else if (gap != 0)
            gap <= gap - 4'd1;
        else if (running) begin
            if (step_last) begin
                step <= 4'd0;
                slot <= 2'd0;
                place <= place + 2'd1;
                d_address <= d_address + 9'd1;
                if (place == 2'd3) begin
                    nibble <= nibble + 3'd1;
                    gap <= 4'd12;
                    running <= passes_left;
                end
            end else begin
                step <= step + 4'd1;
                slot <= slot == 2'd2 ? 2'd0 : slot + 2'd1;
                if (slot == 2'd2)
                    d_address <= d_address + 9'd1;
            end
        end
        if (reset) begin
            started <= 6'd0;
            running <= 1'b0;
            gap <= 4'd0;
        end
    end
    wire stepping = running & (gap == 0);
    always @* begin
        d_slot = slot;
        d_nibble = nibble;
        d_first = step == 4'd0;
        d_last = stepping & step_last;
        d_pass = stepping & step_last & (place == 2'd3);
    end

    // ---- what belongs to the results under way
    localparam W = 12 + 12 + 12 + 12 + 4 + 2 + 1 + 4;
    reg [W-1:0] queue [0:3];
    reg [1:0] head, tail;
    wire [W-1:0] entry = queue[head];
    wire [11:0] e_address = entry[11:0], e_step = entry[23:12], e_base = entry[35:24], e_mask = entry[47:36];
    wire [3:0] e_sub = entry[51:48];
    wire [1:0] e_top = entry[53:52];
    wire e_raw = entry[54];
    wire [3:0] e_steps = entry[58:55];

    // ---- planes out of the array
    reg [DELAY-1:0] passed;
    reg emitting, fresh;
    reg [1:0] index;       // plane of the pass
    reg [2:0] pass;
    reg [11:0] offset;     // address without ring
    reg emit_1;
    reg [11:0] address_1;
    reg [3:0] sub_1;
    wire emit_last = index == (e_raw ? 2'd3 : e_top);
    wire group_last = emit_last & (~e_raw | (pass == e_steps[2:0]));
    wire [11:0] place_now = fresh ? e_address : offset;

    // ---- planes out of the pools: while the words behind a window come in
    reg [2:0] shift_d, pixel_d, plane_d, last_d;
    reg [2:0] left;
    assign p_shift = shift_d[2];
    assign p_pixel = pixel_d[2];
    assign p_plane = plane_d[2];
    wire pool_emit = shift_d[2] & (left != 0);
    assign soon = emit_1 | pool_emit;
    assign writing = (emitting & group_last) | (pool_emit & (left == 1));

    always @(posedge clk) begin
        if (last | window_last) begin
            queue[tail] <= {steps, raw, top, sub, o_mask, o_base, o_step, o_address};
            tail <= tail + 2'd1;
        end

        passed <= {passed[DELAY-2:0], d_pass};
        emit_1 <= emitting;
        if (passed[DELAY-2]) begin
            emitting <= 1'b1;
            index <= 2'd0;
        end else if (emitting) begin
            index <= index + 2'd1;
            if (emit_last) begin
                emitting <= 1'b0;
                pass <= group_last ? 3'd0 : pass + 3'd1;
            end
        end
        if (emitting | pool_emit) begin
            offset <= place_now + e_step;
            fresh <= 1'b0;
        end
        address_1 <= (place_now & e_mask) | (e_base & ~e_mask);
        sub_1 <= e_sub;

        shift_d <= {shift_d[1:0], pooled};
        pixel_d <= {pixel_d[1:0], pixel_first};
        plane_d <= {plane_d[1:0], plane_first};
        last_d <= {last_d[1:0], window_last};
        if (pooled)
            p_top <= top;
        if (shift_d[2])
            left <= last_d[2] ? {1'b0, p_top} + 3'd1 : left != 0 ? left - 3'd1 : 3'd0;

        write <= emit_1 | pool_emit;
        write_pool <= pool_emit;
        write_address <= pool_emit ? (place_now & e_mask) | (e_base & ~e_mask) : address_1;
        write_sub <= sub_1;

        if (writing) begin
            head <= head + 2'd1;
            fresh <= 1'b1;
            written <= written + 8'd1;
        end

        if (reset) begin
            head <= 2'd0;
            tail <= 2'd0;
            passed <= {DELAY{1'b0}};
            emitting <= 1'b0;
            emit_1 <= 1'b0;
            fresh <= 1'b1;
            pass <= 3'd0;
            left <= 3'd0;
            shift_d <= 3'd0;
            last_d <= 3'd0;
            write <= 1'b0;
            written <= 8'd0;
        end
    end
    always @* plane = index;
endmodule

`default_nettype wire
