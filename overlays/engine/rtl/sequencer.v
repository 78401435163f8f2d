// Runs a program of layers, loads and stores, once for each group of V pictures.
// Words of the program are read ahead; an instruction is taken apart while the one before it runs.
`default_nettype none

module sequencer #(parameter P = 32, V = 4) (
    input  wire         clk,
    input  wire         reset,
    // control
    input  wire         start,
    input  wire         abort,
    output reg          busy,
    output reg          done,          // with a program, well
    output reg          failed,
    output reg          aborted,
    output reg  [7:0]   code,
    output reg  [9:0]   at,            // program word of the instruction
    output wire         finished,      // done or failed, for one cycle
    output reg  [31:0]  pictures,
    input  wire [15:0]  groups,
    input  wire [31:0]  limit,         // of the watchdog
    input  wire [127:0] bases, sizes, strides,
    // program
    input  wire         p_write,
    input  wire [9:0]   p_address,
    input  wire [63:0]  p_data,
    // nest
    output reg          n_start,
    output reg  [383:0] q,
    output reg          n_pooling,
    output reg  [11:0]  n_in, n_in_top, n_in_mask, n_out, n_out_top, n_out_mask,
    output reg  [10:0]  n_w_top,
    output reg  [7:0]   n_period, n_final,
    input  wire         n_busy,
    input  wire [7:0]   begun,
    input  wire [7:0]   written,
    input  wire         writing,       // written goes up
    // loader and storer share the order
    output reg          l_order,
    output reg          s_order,
    output reg  [31:0]  o_address,
    output reg  [19:0]  o_words,
    output reg  [1:0]   o_target,
    output reg  [11:0]  o_pointer, o_mask,
    input  wire         l_room, l_idle, l_quiet, s_idle, s_quiet,
    input  wire         l_failed, s_failed, progress,
    output reg          stop,          // begin no burst
    output reg          clear,         // everything is quiet: forget what is under way
    // what is waited for, for the counters
    output wire         waits_load, waits_store, waits_drain
);
    localparam NC = P / 4;
    localparam [3:0] END = 1, LOAD = 2, STORE = 3, LAYER = 4, POOL = 5;
    localparam [7:0] BAD_PROGRAM = 1, OUT_OF_RANGE = 2, AXI_READ = 3, AXI_WRITE = 4, WATCHDOG = 5;

    // ---- program memory and what is read ahead of it
    (* ram_style = "block" *) reg [63:0] memory [0:1023];
    reg [63:0] read;
    reg [10:0] pc;                      // of the word that is asked for next; 1024: beyond
    reg asked, asked_1;
    reg [10:0] pc_1, pc_2;
    reg [74:0] ahead [0:7];             // {word's address, word}
    reg [2:0] head, tail;
    reg [3:0] promised;                 // words in `ahead` or under way
    reg [2:0] words_left;               // of the instruction that comes out of the memory
    reg reading;
    wire ask = reading & (promised < 7);  // head = tail is empty
    wire arrived = asked_1;
    wire [3:0] op_read = read[3:0];
    wire [2:0] more = op_read == LOAD || op_read == STORE ? 3'd1 : op_read == LAYER || op_read == POOL ? 3'd5 : 3'd0;
    wire instruction_read = words_left == 0;
    wire end_read = arrived & instruction_read & (op_read == END);
    always @(posedge clk) begin
        if (p_write)
            memory[p_address] <= p_data;
        read <= memory[pc_1[9:0]];
    end

    // ---- the instruction
    localparam [3:0] D_FIRST = 0, D_MORE = 1, D_CHECK = 2, D_SUM = 3, D_SUM2 = 4, D_SUM3 = 5, D_SUM4 = 6, D_READY = 7,
        D_STOP = 8, D_END = 9;
    reg [3:0] state;
    reg [383:0] ir;
    reg [2:0] index, length;
    reg [3:0] op;
    wire taken = (state == D_FIRST || state == D_MORE) & (head != tail) & busy & ~stop;
    wire [74:0] word = ahead[head];

    reg [15:0] group;
    reg last_group;                     // one cycle after group
    wire f_first = ir[4], f_next = ir[5], f_load = ir[6], f_store = ir[7], f_drain = ir[8];
    wire is_layer = op == LAYER || op == POOL;
    reg skip;                           // one cycle after the instruction's first word
    wire odd = group[0] ^ f_next;

    // bits that have no meaning, and fields that exclude one another
    wire [2:0] ab = ir[26:24], wb = ir[29:27];
    wire bad = (ir[15:9] != 0) | (f_next & (op != LOAD))
        | (op == END & ((ir[8:4] & 5'b00011) != 0))
        | (op == LOAD & ((ir[17:16] == 3) | (ir[127:100] != 0)))
        | (op == STORE & ((ir[17:16] != 0) | (ir[127:100] != 0) | (ir[83:76] != 0)))
        | (is_layer & (ir[95] | ir[127] | (ir[319:314] != 0) | (ir[383:354] != 0)
            | (ir[16] ? ir[21] : ir[21:18] == 15)))
        | (op == POOL & (ir[16] | (ab != 0) | (wb != 0) | (ir[305:298] != 0) | (ir[63:56] != {6'd0, ir[23:22]})));

    // where a region's part lies
    wire [1:0] region = ir[19:18];
    reg [32:0] in_offset, out_offset;   // of the group
    wire [31:0] base = bases[32*region +: 32], size = sizes[32*region +: 32], stride = strides[32*region +: 32];
    reg [34:0] sum, room;               // room: where the part may begin at most
    reg outside;
    reg [31:0] r_base, r_size, r_stride;
    reg [32:0] r_offset;
    reg [23:0] bytes;
    wire [15:0] bank_words = {4'd0, ir[75:64]} + 16'd1;
    wire [11:0] mask_a = ring(is_layer ? ir[91:88] : ir[99:96]);
    wire [11:0] pointer = ir[31:20] ^ (odd ? ir[95:84] : 12'd0);

    function [11:0] ring(input [3:0] bits);
        ring = bits >= 12 ? 12'hfff : ~(12'hfff << bits);
    endfunction

    function [11:0] times(input [2:0] by, input [11:0] what);
        times = (by[0] ? what : 12'd0) + (by[1] ? {what[10:0], 1'b0} : 12'd0) + (by[2] ? {what[9:0], 2'b0} : 12'd0);
    endfunction

    wire [6:0] steps4 = {1'b0, ir[21:18], 2'b00} + 7'd4;
    wire [6:0] emit = NC + {5'd0, ir[23:22]} + 7'd1;
    wire [6:0] least = emit > 8 ? emit : 7'd8;
    wire [6:0] behind = emit > 4 ? steps4 + emit - 7'd4 : steps4;  // before a layer of single steps

    // ---- products of the instruction, one cycle after the words are there
    reg [11:0] top_in, top_out, top_w;
    reg [7:0] least_period, final_period;
    wire [7:0] passes = {1'b0, ir[20:18], 4'd0};  // raw: where the last one begins
    always @(posedge clk) begin
        top_in <= times(ab, ir[175:164]);
        top_out <= op == POOL ? times({1'b0, ir[23:22]}, ir[239:228]) : 12'd0;
        top_w <= times(wb, {1'b0, ir[288:278]});
        // Codes are overwritten by the last step of the next row group: between those of two layers, too,
        // planes have to go out, whatever the steps of either.
        least_period <= op == POOL ? 8'd0 : ir[16] ? passes + 8'd15 : {1'b0, steps4 > least ? steps4 : least} - 8'd1;
        final_period <= op == POOL ? 8'd0 : ir[16] ? passes + 8'd15 : {1'b0, behind > 8 ? behind : 7'd8} - 8'd1;
    end
    // ---- may it go on
    reg drained;                        // begun == written; a nest that is not busy begins nothing
    assign waits_load = state == D_READY & ~n_busy & ((f_load & ~l_idle) | (op == LOAD & ~l_room));
    assign waits_store = state == D_READY & ~n_busy & ((f_store & ~s_idle) | (op == STORE & ~s_idle));
    assign waits_drain = state == D_READY & ~n_busy & (f_drain | op == POOL) & ~drained;
    wire dispatch = state == D_READY & ~n_busy & ~n_start & ~l_order & ~s_order & ~waits_load & ~waits_store & ~waits_drain & ~stop;
    wire preset = state == D_READY & is_layer & ~n_busy & ~n_start;  // before it is known whether it may go on
    wire ended = state == D_END & ~n_busy & l_idle & s_idle & drained & ~stop;

    // ---- watchdog
    reg [31:0] quiet_for;
    reg bite;

    // ---- trouble: the first wins
    reg trouble, beyond;
    reg [7:0] trouble_code;
    always @* begin
        trouble = 1'b1;
        trouble_code = BAD_PROGRAM;
        if (l_failed)
            trouble_code = AXI_READ;
        else if (s_failed)
            trouble_code = AXI_WRITE;
        else if (bite)
            trouble_code = WATCHDOG;
        else if (beyond)
            trouble_code = BAD_PROGRAM;
        else if (state == D_CHECK & (bad | length == 7))
            trouble_code = BAD_PROGRAM;
        else if (state == D_SUM4 & ~skip & outside)
            trouble_code = OUT_OF_RANGE;
        else
            trouble = 1'b0;
        if (~busy | stop)
            trouble = 1'b0;
    end
    wire quiet = l_quiet & s_quiet;
    reg finishing, finish_1;
    assign finished = finish_1;

    always @(posedge clk) begin
        // reading ahead
        asked <= ask;
        asked_1 <= asked;
        pc_1 <= pc;
        pc_2 <= pc_1;
        if (ask)
            pc <= pc[10] ? pc : pc + 11'd1;
        promised <= promised + {3'd0, ask} - {3'd0, taken};
        if (arrived) begin
            ahead[tail] <= {pc_2, read};
            tail <= tail + 3'd1;
            words_left <= instruction_read ? more : words_left - 3'd1;
        end
        if (end_read) begin             // from the start again; what was asked for in between is dropped
            pc <= 11'd0;
            asked <= 1'b0;
            asked_1 <= 1'b0;
            promised <= promised - {3'd0, taken} - {3'd0, asked};
        end

        drained <= ~n_busy & (writing ? begun == written + 8'd1 : begun == written);

        // what the order or the layer is: valid with it, and without a meaning before
        if (state == D_READY) begin
            o_address <= r_base + sum[31:0];
            o_words <= op == LOAD ? ir[83:64] : {8'd0, ir[75:64]};
            o_target <= ir[17:16];
            o_pointer <= pointer;
            o_mask <= op == LOAD & ir[17:16] != 2 ? 12'hfff : mask_a;
        end
        if (preset) begin
            q <= ir;
            n_pooling <= op == POOL;
            n_in <= ir[75:64] ^ (odd ? ir[87:76] : 12'd0);
            n_out <= ir[107:96] ^ (odd ? ir[119:108] : 12'd0);
            n_in_mask <= mask_a;
            n_out_mask <= ring(ir[123:120]);
            n_in_top <= top_in;
            n_out_top <= top_out;
            n_w_top <= top_w[10:0];
            n_period <= least_period;
            n_final <= final_period;
        end

        // taking apart
        n_start <= 1'b0;
        l_order <= 1'b0;
        s_order <= 1'b0;
        last_group <= group + 16'd1 == groups;
        skip <= (f_first & (group != 0)) | (f_next & last_group);
        beyond <= taken & word[74];
        bite <= busy & ~stop & (quiet_for >= limit);
        quiet_for <= ~busy | progress | dispatch ? 32'd0 : quiet_for + 32'd1;
        case (state)
            D_FIRST: if (taken) begin
                ir[63:0] <= word[63:0];
                at <= word[73:64];
                op <= word[3:0];
                index <= 3'd1;
                case (word[3:0])
                    END: length <= 3'd1;
                    LOAD, STORE: length <= 3'd2;
                    LAYER, POOL: length <= 3'd6;
                    default: length <= 3'd7;
                endcase
                state <= word[3:0] == LOAD || word[3:0] == STORE || word[3:0] == LAYER || word[3:0] == POOL ? D_MORE : D_CHECK;
            end
            D_MORE: if (taken) begin
                ir[64*index +: 64] <= word[63:0];
                index <= index + 3'd1;
                if (index + 3'd1 == length)
                    state <= D_CHECK;
            end
            D_CHECK: begin
                state <= op == LOAD || op == STORE ? D_SUM : D_READY;
                // loads and stores: region; layers: masks and products
                r_base <= base;
                r_size <= size;
                r_stride <= (region == 1 || region == 2) & f_next ? stride : 32'd0;
                r_offset <= region == 1 ? in_offset : region == 2 ? out_offset : 33'd0;
                bytes <= op == LOAD ? {1'b0, ir[83:64], 3'd0} + 24'd8 : {8'd0, bank_words} * (8 * V);
            end
            D_SUM: begin
                state <= D_SUM2;
                sum <= {2'd0, r_offset} + {3'd0, ir[63:32]};
                room <= {3'd0, r_size} - {11'd0, bytes};
            end
            D_SUM2: begin
                state <= D_SUM3;
                sum <= sum + {3'd0, r_stride};
            end
            D_SUM3: begin
                state <= D_SUM4;
                outside <= (sum[6:0] != 0) | (r_base[6:0] != 0) | room[34] | (sum > room) | (op == STORE & ~region[1]);
            end
            D_SUM4: state <= skip ? D_FIRST : D_READY;
            D_READY: if (is_layer & skip)
                state <= D_FIRST;
            else if (dispatch) begin
                state <= D_FIRST;
                if (op == END) begin
                    pictures <= pictures + V;
                    group <= group + 16'd1;
                    in_offset <= in_offset + {1'd0, strides[63:32]};
                    out_offset <= out_offset + {1'd0, strides[95:64]};
                    if (last_group) begin
                        state <= D_END;
                        reading <= 1'b0;
                    end
                end else if (op == LOAD)
                    l_order <= 1'b1;
                else if (op == STORE)
                    s_order <= 1'b1;
                else
                    n_start <= 1'b1;
            end
            default: ;
        endcase

        // offsets of groups stay large once they are
        if (in_offset[32]) in_offset[32] <= 1'b1;
        if (out_offset[32]) out_offset[32] <= 1'b1;

        finish_1 <= 1'b0;
        clear <= 1'b0;
        if (start & ~busy) begin
            busy <= 1'b1;
            done <= 1'b0;
            failed <= 1'b0;
            aborted <= 1'b0;
            code <= 8'd0;
            pictures <= 32'd0;
            at <= 10'd0;
            pc <= 11'd0;
            reading <= 1'b1;
            promised <= 4'd0;
            head <= 3'd0;
            tail <= 3'd0;
            words_left <= 3'd0;
            asked <= 1'b0;
            asked_1 <= 1'b0;
            state <= D_FIRST;
            group <= 16'd0;
            in_offset <= 33'd0;
            out_offset <= 33'd0;
            stop <= 1'b0;
            if (groups == 0) begin
                failed <= 1'b1;
                code <= BAD_PROGRAM;
                stop <= 1'b1;
                finish_1 <= 1'b1;
            end
        end else if (taken)
            head <= head + 3'd1;

        if (ended) begin
            busy <= 1'b0;
            done <= 1'b1;
            finish_1 <= 1'b1;
            state <= D_STOP;
        end else if (trouble) begin
            failed <= 1'b1;
            code <= trouble_code;
            stop <= 1'b1;
            finish_1 <= 1'b1;
            state <= D_STOP;
        end else if (abort & busy & ~stop) begin
            aborted <= 1'b1;
            stop <= 1'b1;
            state <= D_STOP;
        end
        if (stop) begin
            reading <= 1'b0;
            state <= D_STOP;
            n_start <= 1'b0;
            l_order <= 1'b0;
            s_order <= 1'b0;
            // what loader and storer show is one cycle old when stop comes
            finishing <= 1'b1;
            if (finishing & quiet & busy) begin
                busy <= 1'b0;
                stop <= 1'b0;
                clear <= 1'b1;
            end
        end else
            finishing <= 1'b0;

        if (reset) begin
            busy <= 1'b0;
            done <= 1'b0;
            failed <= 1'b0;
            aborted <= 1'b0;
            code <= 8'd0;
            at <= 10'd0;
            pictures <= 32'd0;
            stop <= 1'b0;
            reading <= 1'b0;
            asked <= 1'b0;
            asked_1 <= 1'b0;
            state <= D_STOP;
            clear <= 1'b1;
            finishing <= 1'b0;
            n_start <= 1'b0;
            l_order <= 1'b0;
            s_order <= 1'b0;
        end
    end

endmodule

`default_nettype wire
