// The loops of a layer: which word of activations and of weights is next, and what it means.
// A row group takes its taps once for each pair of a weight plane and an activation plane, in falling significance.
// Where the next row group starts is worked out while the present one runs.
`default_nettype none

module nest #(parameter P = 32) (
    input  wire         clk,
    input  wire         reset,
    input  wire         start,         // program words q0..q5 and what was derived from them are valid
    input  wire [383:0] q,
    input  wire         pooling,
    input  wire [11:0]  in_pointer,    // alternated
    input  wire [11:0]  in_top,        // (AB-1) * st_plane
    input  wire [10:0]  w_top,         // (WB-1) * kw
    input  wire [11:0]  in_mask,
    input  wire [11:0]  out_pointer,
    input  wire [11:0]  out_top,       // pools: (OB-1) * st_oplane
    input  wire [11:0]  out_mask,
    input  wire [7:0]   period,        // least cycles from the end of a row group to that of the next, less 1
    input  wire [7:0]   final_period,  // and to that of the next layer's first
    output reg          busy,
    // interlock with what is still being drained
    input  wire [7:0]   written,
    output reg  [7:0]   begun,         // row groups and windows whose last word was shown
    output wire         waiting,       // for the banks
    // stores read the banks, too
    input  wire         steal,
    input  wire [11:0]  steal_address,
    output reg          stolen,
    // the word
    output reg          shown,
    output reg  [11:0]  read,
    output reg          zeros,
    output reg          ones,
    output reg  [10:0]  w_address,
    output reg          first,
    output reg          shl,
    output reg          offset,
    output reg          last,
    output reg          pooled,
    output reg          pixel_first,
    output reg          plane_first,
    output reg          window_last,
    // of the row group
    output reg  [8:0]   t_address,
    output reg  [3:0]   steps,
    output reg          twice,
    output reg          raw,
    output reg  [1:0]   top,
    output reg  [11:0]  o_address,
    output reg  [11:0]  o_step,
    output reg  [11:0]  o_base,
    output reg  [11:0]  o_mask,
    output reg  [3:0]   sub
);
    localparam SUBS = 64 / P, SHIFT = $clog2(SUBS);
    localparam [31:0] LAST_SUB = SUBS - 1;
    localparam [3:0] SUB = LAST_SUB[3:0];

    // ---- fields
    wire q_raw = q[16], q_twice = q[17];
    wire [3:0] q_steps = q[21:18];
    wire [1:0] q_top = q[23:22];
    wire [2:0] q_ab = q[26:24], q_wb = q[29:27];
    wire [1:0] q_stride = q[31:30];
    wire [7:0] q_beta = q[39:32], q_pad = q[47:40], q_safe = q[55:48], q_n0 = q[63:56];
    wire [2:0] q_kx = q[94:92], q_ky = q[126:124];
    wire [11:0] st_0 = q[139:128], st_kx = q[151:140], st_ky = q[163:152], st_plane = q[175:164], st_group = q[187:176];
    wire [3:0] q_sub = q[191:188];
    wire [11:0] st_ox = q[203:192], st_oy = q[215:204], st_out = q[227:216], st_oplane = q[239:228];
    wire [7:0] q_ox = q[247:240], q_oy = q[255:248];
    wire [10:0] w_base = q[266:256], wrow = q[277:267], kw = q[288:278];
    wire [8:0] t_base = q[297:289];
    wire [7:0] q_rgs = q[305:298], q_groups = q[313:306];
    wire [8:0] ix0 = q[328:320], iy0 = q[337:329];
    wire [7:0] in_w = q[345:338], in_h = q[353:346];

    // words of thresholds of four neurons
    wire [4:0] t_words = q_steps < 3 ? 5'd4 : q_steps < 6 ? 5'd8 : q_steps < 9 ? 5'd12 : q_steps < 12 ? 5'd16 : 5'd20;

    // ---- the next row group, in three steps
    reg [1:0] phase;                    // 0: none, 1: bases set, 2: sums, 3: ready
    reg n_end;
    reg [7:0] rgs, groups, oxs, oys;    // left
    reg [11:0] g_p, x_p, y_p;
    reg [10:0] row;
    reg [8:0] ixb, iyb, t_p;
    reg [11:0] pixel, word;
    reg [3:0] n_sub;
    reg [11:0] n_p, n_ps, n_o;
    reg [10:0] n_w, n_ws;
    wire take;                          // the next row group begins
    reg row_step, group_step, x_step, y_step;  // what is left is not 0: there before phase 3
    reg pixel_step;
    always @(posedge clk) begin
        row_step <= rgs != 0;
        group_step <= groups != 0;
        x_step <= oxs != 0;
        y_step <= oys != 0;
        pixel_step <= (rgs == 0) & (groups == 0);
    end
    wire [11:0] g_next = g_p + st_group, x_next = x_p + st_ox, y_next = y_p + st_oy;
    wire [8:0] ix_next = ixb + {7'd0, q_stride} + 9'd1, iy_next = iyb + {7'd0, q_stride} + 9'd1;
    wire [11:0] first_word = pooling ? 12'd0 : {8'd0, q_sub} >> SHIFT;
    wire [3:0] first_sub = q_sub & SUB;
    wire sub_wrap = pooling | (n_sub == SUB);
    always @(posedge clk) begin
        if (start) begin
            phase <= 2'd1;
            n_end <= 1'b0;
            rgs <= q_rgs;
            groups <= q_groups;
            oxs <= q_ox;
            oys <= q_oy;
            g_p <= in_pointer;
            x_p <= in_pointer;
            y_p <= in_pointer;
            row <= w_base;
            t_p <= t_base;
            ixb <= ix0;
            iyb <= iy0;
            pixel <= out_pointer + out_top;
            word <= first_word;
            n_sub <= first_sub;
        end else if (phase == 2'd1) begin
            phase <= 2'd2;
            n_p <= g_p + in_top;
            n_w <= row + w_top;
            n_o <= pixel + word;
        end else if (phase == 2'd2) begin
            phase <= 2'd3;
            n_ps <= q_ab != 0 ? n_p - st_plane : n_p;
            n_ws <= q_ab != 0 ? n_w : n_w - kw;
        end else if (take & n_end)
            phase <= 2'd0;
        else if (take) begin
            phase <= 2'd1;
            row <= pixel_step ? w_base : row + wrow;
            t_p <= pixel_step ? t_base : t_p + {4'd0, t_words};
            rgs <= row_step ? rgs - 8'd1 : q_rgs;
            if (~row_step) begin
                groups <= group_step ? groups - 8'd1 : q_groups;
                g_p <= group_step ? g_next : x_step ? x_next : y_next;
            end
            if (pixel_step) begin
                oxs <= x_step ? oxs - 8'd1 : q_ox;
                x_p <= x_step ? x_next : y_next;
                ixb <= x_step ? ix_next : ix0;
                pixel <= pixel + st_out;
                word <= first_word;
                n_sub <= first_sub;
                if (~x_step) begin
                    oys <= oys - 8'd1;
                    y_p <= y_next;
                    iyb <= iy_next;
                    if (~y_step) begin
                        n_end <= 1'b1;
                        phase <= 2'd3;
                    end
                end
            end else begin
                n_sub <= sub_wrap ? 4'd0 : n_sub + 4'd1;
                if (sub_wrap)
                    word <= word + 12'd1;
            end
        end
        if (reset)
            phase <= 2'd0;
    end
    wire ready = phase == 2'd3;

    // ---- words of the row group
    reg run, flushing;
    reg [1:0] flushes;
    reg [7:0] c0;
    reg [2:0] c1, c2;
    reg [11:0] p0, p1, p2, p3, ps;
    reg [10:0] w, w3, ws;
    reg [2:0] pi, pj, si, sj;           // planes of weights and activations; those that the next significance starts with
    reg [8:0] ix, iy, ixt, iyt;
    reg f_first, f_shl;
    reg [7:0] since, lead, ticket;
    reg clear;
    reg [8:0] r_t;
    reg [11:0] r_o;
    reg [3:0] r_sub;
    // comparisons, made a cycle ahead: whether this word goes hangs on all of them
    reg e0, e1, e2;                     // c0, c1, c2 are 0
    reg pairs_end;                      // pi and pj are 0
    reg s_end;                          // pi is 0 or pj is q_ab
    reg at_safe;                        // lead is q_safe, and not 255
    reg late;                           // since is not 0
    wire taps_end = e0 & e1 & e2;
    wire group_end = taps_end & pairs_end;
    wire interlock = ~clear & at_safe;
    wire early = group_end & (late | ~ready);
    wire go = run & ~steal & ~interlock & ~early;
    assign waiting = run & ~steal & (interlock | early);
    assign take = (go & group_end) | (busy & ~run & ~flushing & ready & ~n_end);
    wire [11:0] p1_next = p1 + st_kx, p2_next = p2 + st_ky;
    wire [11:0] p3_next = s_end ? ps : p3 + st_plane;
    wire [10:0] w3_next = s_end ? ws : w3 - kw;
    wire outside = (ix > {1'b0, in_w}) | (iy > {1'b0, in_h});

    always @(posedge clk) begin
        if (late)
            since <= since - 8'd1;
        late <= since > 8'd1;
        if (written == ticket)
            clear <= 1'b1;
        if (start) begin
            busy <= 1'b1;
            run <= 1'b0;
            flushing <= 1'b0;
            lead <= 8'd0;
            at_safe <= q_safe == 0;
            ticket <= begun;
            clear <= written == begun;
        end

        if (go) begin
            if (lead != 8'd255)
                lead <= lead + 8'd1;
            at_safe <= (lead + 8'd1 == q_safe) & (lead != 8'd254) & (lead != 8'd255);
            f_first <= 1'b0;
            f_shl <= 1'b0;
            c0 <= e0 ? q_n0 : c0 - 8'd1;
            e0 <= e0 ? q_n0 == 0 : c0 == 8'd1;
            w <= w + 11'd1;
            if (~e0)
                p0 <= p0 + st_0;
            else begin
                c1 <= e1 ? q_kx : c1 - 3'd1;
                e1 <= e1 ? q_kx == 0 : c1 == 3'd1;
                if (~e1) begin
                    p1 <= p1_next;
                    p0 <= p1_next;
                    ix <= ix + 9'd1;
                end else begin
                    c2 <= e2 ? q_ky : c2 - 3'd1;
                    e2 <= e2 ? q_ky == 0 : c2 == 3'd1;
                    ix <= ixt;
                    if (~e2) begin
                        p2 <= p2_next;
                        p1 <= p2_next;
                        p0 <= p2_next;
                        iy <= iy + 9'd1;
                    end else begin
                        iy <= iyt;
                        p3 <= p3_next;
                        p2 <= p3_next;
                        p1 <= p3_next;
                        p0 <= p3_next;
                        w3 <= w3_next;
                        w <= w3_next;
                        f_shl <= s_end;
                        pairs_end <= s_end & (si == 0) & (sj == 0);
                        s_end <= s_end ? (si == 0) | (sj == q_ab) : (pi == 3'd1) | (pj + 3'd1 == q_ab);
                        if (s_end) begin
                            pi <= si;
                            pj <= sj;
                            if (sj != 0) begin
                                sj <= sj - 3'd1;
                                ps <= ps - st_plane;
                            end else begin
                                si <= si - 3'd1;
                                ws <= ws - kw;
                            end
                        end else begin
                            pi <= pi - 3'd1;
                            pj <= pj + 3'd1;
                        end
                    end
                end
            end
            if (group_end) begin
                since <= n_end ? final_period : period;
                late <= (n_end ? final_period : period) != 0;
                begun <= begun + 8'd1;
                if (n_end) begin
                    run <= 1'b0;
                    flushing <= pooling;
                    flushes <= q_top;
                    busy <= pooling;
                end
            end
        end
        if (flushing & ~steal) begin
            flushes <= flushes - 2'd1;
            if (flushes == 0) begin
                flushing <= 1'b0;
                busy <= 1'b0;
            end
        end
        if (take & ~n_end) begin
            run <= 1'b1;
            f_first <= 1'b1;
            f_shl <= 1'b0;
            c0 <= q_n0;
            c1 <= q_kx;
            c2 <= q_ky;
            e0 <= q_n0 == 0;
            e1 <= q_kx == 0;
            e2 <= q_ky == 0;
            pairs_end <= (q_wb == 0) & (q_ab == 0);
            s_end <= 1'b1;
            p0 <= n_p;
            p1 <= n_p;
            p2 <= n_p;
            p3 <= n_p;
            ps <= n_ps;
            w <= n_w;
            w3 <= n_w;
            ws <= n_ws;
            pi <= q_wb;
            pj <= q_ab;
            si <= q_ab != 0 ? q_wb : q_wb - 3'd1;
            sj <= q_ab != 0 ? q_ab - 3'd1 : 3'd0;
            ix <= ixb;
            ixt <= ixb;
            iy <= iyb;
            iyt <= iyb;
            r_t <= t_p;
            r_o <= n_o;
            r_sub <= pooling ? 4'd0 : n_sub;
        end

        // ---- shown
        stolen <= steal;
        shown <= go;
        read <= steal ? steal_address : (p0 & in_mask) | (in_pointer & ~in_mask);
        zeros <= ~steal & outside & (pooling | ~q_pad[pj]);
        ones <= ~steal & outside & ~pooling & q_pad[pj];
        w_address <= go & ~pooling ? w : 11'd2047;
        first <= go & ~pooling & f_first;
        shl <= go & ~pooling & f_shl;
        offset <= go & ~pooling & q_beta[pi];
        last <= go & ~pooling & group_end;
        pooled <= (go & pooling) | (flushing & ~steal);
        pixel_first <= (c1 == q_kx) & (c2 == q_ky) & ~flushing;
        plane_first <= c0 == q_n0;
        window_last <= go & pooling & group_end;
        t_address <= r_t;
        steps <= q_steps;
        twice <= q_twice;
        raw <= q_raw;
        top <= q_top;
        o_address <= r_o;
        o_step <= pooling ? -st_oplane : st_oplane;
        o_base <= out_pointer;
        o_mask <= out_mask;
        sub <= r_sub;

        if (reset) begin
            busy <= 1'b0;
            run <= 1'b0;
            flushing <= 1'b0;
            since <= 8'd0;
            late <= 1'b0;
            begun <= 8'd0;
            shown <= 1'b0;
            stolen <= 1'b0;
            last <= 1'b0;
            pooled <= 1'b0;
            window_last <= 1'b0;
            w_address <= 11'd2047;
            first <= 1'b0;
            shl <= 1'b0;
            offset <= 1'b0;
        end
    end
endmodule

`default_nettype wire
