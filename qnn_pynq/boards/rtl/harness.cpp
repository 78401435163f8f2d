// The surroundings of a circuit as the chip gives them: a general-purpose port (AXI3, 32 bit) that accesses its
// registers, and a memory behind a high-performance port (AXI3, 64 bit, in order) that is as late as it is told to be.
// It knows the ports of the circuit and nothing else. What breaks a rule of the bus ends the simulation with a text.
//
// A read takes its data from memory when its address is accepted, a write reaches memory when it is answered: the
// bus promises no more, so a circuit that reads what it has just written must have waited for the answer.

#include <algorithm>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <new>
#include <string>
#include <vector>

#include "Vmodel.h"
#include "verilated.h"
#if VM_COVERAGE
#include "verilated_cov.h"
#endif

#define DOOR extern "C" __attribute__((visibility("default")))

namespace {

const unsigned OKAY = 0, SLVERR = 2, DECERR = 3;
const unsigned RESET_CYCLES = 16;  // the chip holds its reset for longer than any pipeline is deep
const unsigned MOST_BEATS = 16, PAGE = 4096, WORD = 8;
const uint64_t NO_ANSWER = 100000;  // cycles after which a register access is given up

enum Status { DONE = 0, IRQ = 1, BROKEN = 2, BUS_ERROR = 3, STRAY = 4 };

// Order as in model.py. Chances are in 1/65536.
struct Stalls {
    uint32_t latency;      // cycles from an accepted address to the first beat, from the last beat to an answer
    uint32_t jitter;       // up to so many more, drawn for each burst
    uint32_t gap;          // chance that a beat or an answer that is due waits a cycle
    uint32_t busy;         // chance that a ready line is low for a cycle
    uint32_t outstanding;  // bursts that are accepted ahead
    uint32_t registers;    // up to so many cycles before each part of a register access
};

struct Block {
    uint64_t start, size;
    uint8_t *bytes;
};

struct Burst {
    uint32_t address;
    unsigned beats;
    unsigned response;
    uint64_t due;
    unsigned done;
    uint64_t data[MOST_BEATS];
};

struct Beat {
    uint64_t data;
    bool last;
};

struct Told {
    bool write;
    uint64_t at;  // which burst of its direction, from the start
    unsigned response;
    uint64_t late;
};

class Harness;
thread_local Harness *current = nullptr;  // whose eval() runs, for what the Verilog itself finds wrong

class Harness {
public:
    Harness(uint64_t seed, const Stalls &stalls) : stalls_(stalls), random_(seed * 2654435761u + 88172645463325252ull) {
        context_.randReset(2);  // nothing may depend on what a flip-flop or a memory holds at power-up
        context_.randSeed(static_cast<int>(seed % 0x7ffffffe) + 1);
        context_.assertOn(true);
        top_ = new Vmodel(&context_, "engine");
        inputs_quiet();
        reset();
    }

    ~Harness() {
        Harness *const former = current;
        current = this;
        top_->final();
        current = former;
        delete top_;
    }

    void map(unsigned count, const uint64_t *starts, const uint64_t *sizes, uint8_t *const *bytes) {
        blocks_.clear();
        for (unsigned i = 0; i < count; ++i) blocks_.push_back(Block{starts[i], sizes[i], bytes[i]});
        std::sort(blocks_.begin(), blocks_.end(), [](const Block &a, const Block &b) { return a.start < b.start; });
    }

    void reset() {
        reads_.clear();
        writes_.clear();
        answers_.clear();
        beats_.clear();
        rvalid_ = bvalid_ = false;
        inputs_quiet();
        top_->resetn = 0;
        in_reset_ = true;
        for (unsigned i = 0; i < RESET_CYCLES && !broken(); ++i) cycle();
        in_reset_ = false;
        if (!broken() && (top_->m_arvalid || top_->m_awvalid || top_->m_wvalid || top_->s_rvalid || top_->s_bvalid))
            fail("a valid line is high at the end of the reset");
        ar_ = aw_ = w_ = Held();
        sr_ = sb_ = Held();
        top_->resetn = 1;
        for (unsigned i = 0; i < 2 && !broken(); ++i) cycle();
    }

    int write(uint32_t address, uint32_t value) {
        if (broken()) return BROKEN;
        const uint64_t start = cycles_;
        const uint64_t aw = start + delay(), w = start + delay();
        uint64_t b = 0;
        const unsigned id = draw() & 0xfff;
        bool aw_done = false, w_done = false;
        while (true) {
            const bool aw_now = !aw_done && cycles_ >= aw, w_now = !w_done && cycles_ >= w;
            top_->s_awvalid = aw_now;
            top_->s_awaddr = aw_now ? address : draw();
            top_->s_awid = aw_now ? id : draw() & 0xfff;
            top_->s_awlen = 0;
            top_->s_wvalid = w_now;
            top_->s_wdata = w_now ? value : draw();
            top_->s_wstrb = w_now ? 0xf : draw() & 0xf;
            top_->s_wlast = w_now;
            top_->s_bready = aw_done && w_done && cycles_ >= b;
            expect_b_ = aw_done && w_done;
            cycle();
            if (broken()) return BROKEN;
            if (aw_now && seen_.aw) aw_done = true;
            if (w_now && seen_.w) w_done = true;
            if (aw_done && w_done && !b) b = cycles_ + delay();
            if (seen_.b) break;
            if (cycles_ - start > NO_ANSWER) return fail("no answer to a write of register %#x", address), BROKEN;
        }
        top_->s_awvalid = top_->s_wvalid = top_->s_bready = 0;
        expect_b_ = false;
        if (seen_.id != id) return fail("a write with id %#x was answered with id %#x", id, seen_.id), BROKEN;
        return seen_.response == OKAY ? stray() : BUS_ERROR;
    }

    int read(uint32_t address, uint32_t *value) {
        if (broken()) return BROKEN;
        const uint64_t start = cycles_, ar = start + delay();
        uint64_t r = 0;
        const unsigned id = draw() & 0xfff;
        bool ar_done = false;
        while (true) {
            const bool ar_now = !ar_done && cycles_ >= ar;
            top_->s_arvalid = ar_now;
            top_->s_araddr = ar_now ? address : draw();
            top_->s_arid = ar_now ? id : draw() & 0xfff;
            top_->s_arlen = 0;
            top_->s_rready = ar_done && cycles_ >= r;
            expect_r_ = ar_done;
            cycle();
            if (broken()) return BROKEN;
            if (ar_now && seen_.ar) {
                ar_done = true;
                r = cycles_ + delay();
            }
            if (seen_.r) break;
            if (cycles_ - start > NO_ANSWER) return fail("no answer to a read of register %#x", address), BROKEN;
        }
        top_->s_arvalid = top_->s_rready = 0;
        expect_r_ = false;
        if (seen_.id != id) return fail("a read with id %#x was answered with id %#x", id, seen_.id), BROKEN;
        if (!seen_.last) return fail("rlast is low at the only beat of a read of register %#x", address), BROKEN;
        *value = seen_.data;
        return seen_.response == OKAY ? stray() : BUS_ERROR;
    }

    int run(uint64_t count, bool until_irq) {
        for (; count; --count) {
            if (broken()) return BROKEN;
            if (until_irq && top_->irq) break;
            cycle();
        }
        if (broken()) return BROKEN;
        const int found = stray();
        return found ? found : top_->irq ? IRQ : DONE;
    }

    void tell(bool write, uint64_t at, unsigned response, uint64_t late) {
        told_.push_back(Told{write, counts_[write ? 1 : 0] + at, response, late});
    }

    int stray() {
        const int found = stray_ ? STRAY : DONE;
        stray_ = false;
        return found;
    }

    void counts(uint64_t *out) const {
        for (unsigned i = 0; i < 6; ++i) out[i] = counts_[i];
        out[6] = reads_.size() + (top_->m_arvalid ? 1 : 0);
        // A beat that came ahead of its address is of a burst in flight, too.
        out[7] = answers_.size() + std::max<size_t>(writes_.size() + (top_->m_awvalid ? 1 : 0),
                                                    !beats_.empty() || top_->m_wvalid);
    }

    uint64_t cycles() const { return cycles_; }
    const char *text() const { return broken() ? broken_.c_str() : stray_text_.c_str(); }

    __attribute__((format(printf, 2, 3))) void fail(const char *format, ...) {
        if (broken()) return;  // the first one is the cause
        char text[300], whole[400];
        va_list rest;
        va_start(rest, format);
        vsnprintf(text, sizeof text, format, rest);
        va_end(rest);
        snprintf(whole, sizeof whole, "%s (cycle %llu)", text, static_cast<unsigned long long>(cycles_));
        broken_ = whole;
    }

#if VM_COVERAGE
    void coverage(const char *path) { context_.coveragep()->write(path); }
#endif

private:
    // A valid line and its payload: once high it stays as it is until it is taken.
    struct Held {
        bool waiting = false;
        uint64_t payload = 0;
        unsigned more = 0;
    };

    bool broken() const { return !broken_.empty(); }

    uint32_t draw() {
        random_ ^= random_ << 13;
        random_ ^= random_ >> 7;
        random_ ^= random_ << 17;
        return static_cast<uint32_t>(random_ >> 16);
    }

    bool chance(uint32_t of) { return of && (draw() & 0xffff) < of; }
    unsigned delay() { return stalls_.registers ? draw() % (stalls_.registers + 1) : 0; }
    uint64_t lateness() { return stalls_.latency + (stalls_.jitter ? draw() % (stalls_.jitter + 1) : 0); }

    void inputs_quiet() {
        top_->clk = 0;
        top_->s_awvalid = top_->s_wvalid = top_->s_bready = top_->s_arvalid = top_->s_rready = 0;
        top_->s_awaddr = top_->s_araddr = top_->s_wdata = 0;
        top_->s_awid = top_->s_arid = 0;
        top_->s_awlen = top_->s_arlen = 0;
        top_->s_wstrb = top_->s_wlast = 0;
        top_->m_arready = top_->m_awready = top_->m_wready = 0;
        top_->m_rvalid = top_->m_rlast = top_->m_rresp = top_->m_bvalid = top_->m_bresp = 0;
        top_->m_rdata = 0;
        expect_b_ = expect_r_ = false;
    }

    void held(const char *name, Held &was, bool valid, bool ready, uint64_t payload, unsigned more) {
        if (was.waiting) {
            if (!valid) return fail("%svalid fell before %sready", name, name);
            if (payload != was.payload || more != was.more)
                return fail("the payload of %svalid changed before %sready", name, name);
        }
        was.waiting = valid && !ready;
        was.payload = payload;
        was.more = more;
    }

    uint8_t *find(uint32_t address, uint64_t size) const {
        auto after = std::upper_bound(blocks_.begin(), blocks_.end(), address,
                                      [](uint32_t a, const Block &block) { return a < block.start; });
        if (after == blocks_.begin()) return nullptr;
        const Block &block = *(after - 1);
        const uint64_t offset = address - block.start;
        return offset + size <= block.size ? block.bytes + offset : nullptr;
    }

    // One cycle: the memory's wires as they were left, the edge, and what the wires are after it.
    void cycle() {
        Harness *const former = current;
        current = this;
        if (!in_reset_) drive();
        top_->clk = 0;
        top_->eval();
        const bool ar = top_->m_arvalid && top_->m_arready, aw = top_->m_awvalid && top_->m_awready,
                   w = top_->m_wvalid && top_->m_wready, r = top_->m_rvalid && top_->m_rready,
                   b = top_->m_bvalid && top_->m_bready;
        const uint32_t ar_address = top_->m_araddr, aw_address = top_->m_awaddr;
        const unsigned ar_beats = top_->m_arlen + 1u, aw_beats = top_->m_awlen + 1u;
        const Beat beat{top_->m_wdata, static_cast<bool>(top_->m_wlast)};
        if (!in_reset_) {
            held("m_ar", ar_, top_->m_arvalid, ar, ar_address, ar_beats);
            held("m_aw", aw_, top_->m_awvalid, aw, aw_address, aw_beats);
            held("m_w", w_, top_->m_wvalid, w, beat.data, beat.last);
            look_at_registers();
        }
        top_->clk = 1;
        top_->eval();
        ++cycles_;
        if (!in_reset_) {
            if (r) read_beat();
            if (b) answers_.pop_front(), bvalid_ = false;
            if (ar) accept_read(ar_address, ar_beats);
            if (aw) accept_write(aw_address, aw_beats);
            if (w) beats_.push_back(beat), ++counts_[3];
            if (w || aw) match();
        }
        current = former;
    }

    void look_at_registers() {
        seen_ = Seen();
        seen_.aw = top_->s_awvalid && top_->s_awready;
        seen_.w = top_->s_wvalid && top_->s_wready;
        seen_.ar = top_->s_arvalid && top_->s_arready;
        const bool rvalid = top_->s_rvalid, bvalid = top_->s_bvalid;
        if (rvalid && !expect_r_) return fail("s_rvalid without a read");
        if (bvalid && !expect_b_) return fail("s_bvalid before the address and the data of a write");
        seen_.r = rvalid && top_->s_rready;
        seen_.b = bvalid && top_->s_bready;
        const unsigned r_rest = top_->s_rid << 3 | top_->s_rresp << 1 | top_->s_rlast;
        const unsigned b_rest = top_->s_bid << 2 | top_->s_bresp;
        held("s_r", sr_, rvalid, seen_.r, top_->s_rdata, r_rest);
        held("s_b", sb_, bvalid, seen_.b, 0, b_rest);
        if (seen_.r) {
            seen_.data = top_->s_rdata;
            seen_.id = top_->s_rid;
            seen_.response = top_->s_rresp;
            seen_.last = top_->s_rlast;
        }
        if (seen_.b) {
            seen_.id = top_->s_bid;
            seen_.response = top_->s_bresp;
        }
    }

    void drive() {
        top_->m_arready = reads_.size() < stalls_.outstanding && !chance(stalls_.busy);
        top_->m_awready = writes_.size() + answers_.size() < stalls_.outstanding && !chance(stalls_.busy);
        top_->m_wready = beats_.size() < MOST_BEATS && !chance(stalls_.busy);
        if (!rvalid_ && !reads_.empty() && cycles_ >= reads_.front().due && !chance(stalls_.gap)) rvalid_ = true;
        top_->m_rvalid = rvalid_;
        if (rvalid_) {
            const Burst &burst = reads_.front();
            top_->m_rdata = burst.data[burst.done];
            top_->m_rresp = burst.response;
            top_->m_rlast = burst.done + 1 == burst.beats;
        } else {  // what nobody may look at
            top_->m_rdata = 0xdeadbeefdeadbeefull;
            top_->m_rresp = SLVERR;
            top_->m_rlast = 1;
        }
        if (!bvalid_ && !answers_.empty() && cycles_ >= answers_.front().due && !chance(stalls_.gap)) {
            bvalid_ = true;
            land(answers_.front());
        }
        top_->m_bvalid = bvalid_;
        top_->m_bresp = bvalid_ ? answers_.front().response : SLVERR;
    }

    void read_beat() {
        Burst &burst = reads_.front();
        ++counts_[2];
        rvalid_ = false;
        if (++burst.done == burst.beats) reads_.pop_front();
    }

    // The rules of an address, and what this burst was told to do.
    Burst begin(bool write, uint32_t address, unsigned beats) {
        const char *const name = write ? "aw" : "ar";
        if (address % WORD) fail("m_%saddr %#x is no multiple of %u", name, address, WORD);
        if (address % PAGE + beats * WORD > PAGE)
            fail("a burst of %u words at m_%saddr %#x crosses a 4 KB border", beats, name, address);
        Burst burst = Burst();
        burst.address = address;
        burst.beats = beats;
        burst.due = lateness();
        const uint64_t at = counts_[write ? 1 : 0]++;
        for (size_t i = 0; i < told_.size(); ++i) {
            if (told_[i].write != write || told_[i].at != at) continue;
            burst.response = told_[i].response;
            burst.due += told_[i].late;
            told_.erase(told_.begin() + i);
            break;
        }
        return burst;
    }

    void accept_read(uint32_t address, unsigned beats) {
        Burst burst = begin(false, address, beats);
        burst.due += cycles_;
        const uint8_t *const bytes = find(address, beats * WORD);
        if (bytes)
            memcpy(burst.data, bytes, beats * WORD);
        else
            burst.response = DECERR;
        if (burst.response) {
            ++counts_[4];
            for (unsigned i = 0; i < beats; ++i) burst.data[i] = 0xbad0bad0bad0bad0ull;
        }
        reads_.push_back(burst);
    }

    void accept_write(uint32_t address, unsigned beats) {
        Burst burst = begin(true, address, beats);
        if (!find(address, beats * WORD)) {
            burst.response = DECERR;
            if (!stray_) {
                char text[120];
                snprintf(text, sizeof text, "the logic wrote to %#llx..%#llx", static_cast<unsigned long long>(address),
                         static_cast<unsigned long long>(address) + beats * WORD);
                stray_text_ = text;
            }
            stray_ = true;
        }
        if (burst.response) ++counts_[5];
        writes_.push_back(burst);
    }

    // Beats to addresses, in order; a beat may come ahead of its address.
    void match() {
        while (!writes_.empty() && !beats_.empty()) {
            Burst &burst = writes_.front();
            const Beat beat = beats_.front();
            beats_.pop_front();
            burst.data[burst.done++] = beat.data;
            const bool last = burst.done == burst.beats;
            if (beat.last != last)
                return fail("m_wlast is %d at beat %u of a burst of %u at %#x", beat.last, burst.done, burst.beats,
                            burst.address);
            if (!last) continue;
            burst.due += cycles_;
            answers_.push_back(burst);
            writes_.pop_front();
        }
    }

    void land(const Burst &burst) {
        if (burst.response) return;
        // Looked for anew: the buffer may have been closed since.
        uint8_t *const bytes = find(burst.address, burst.beats * WORD);
        if (bytes) memcpy(bytes, burst.data, burst.beats * WORD);
    }

    struct Seen {
        bool aw = false, w = false, b = false, ar = false, r = false, last = false;
        unsigned id = 0, response = 0;
        uint32_t data = 0;
    };

    Stalls stalls_;
    uint64_t random_;
    VerilatedContext context_;
    Vmodel *top_ = nullptr;
    uint64_t cycles_ = 0;
    bool in_reset_ = false, rvalid_ = false, bvalid_ = false, expect_b_ = false, expect_r_ = false, stray_ = false;
    std::vector<Block> blocks_;
    std::deque<Burst> reads_, writes_, answers_;
    std::deque<Beat> beats_;
    std::vector<Told> told_;
    Held ar_, aw_, w_, sr_, sb_;
    Seen seen_;
    std::string broken_, stray_text_;
    uint64_t counts_[6] = {};  // read bursts, write bursts, read beats, write beats, failed reads, failed writes
};

}  // namespace

// An assertion or $stop in the Verilog: without these Verilator's library ends the whole process.
void vl_stop(const char *file, int line, const char *) VL_MT_UNSAFE {
    if (current) current->fail("the Verilog stopped at %s:%d", file, line);
}

void vl_fatal(const char *file, int line, const char *, const char *text) VL_MT_UNSAFE {
    if (current) current->fail("the Verilog stopped at %s:%d: %s", file, line, text);
}

void vl_finish(const char *file, int line, const char *) VL_MT_UNSAFE {
    if (current) current->fail("the Verilog called $finish at %s:%d", file, line);
}

DOOR void *rtl_open(uint64_t seed, const uint32_t *stalls) {
    Stalls given;
    memcpy(&given, stalls, sizeof given);
    return new (std::nothrow) Harness(seed, given);
}

DOOR void rtl_close(void *model) { delete static_cast<Harness *>(model); }

DOOR void rtl_map(void *model, unsigned count, const uint64_t *starts, const uint64_t *sizes, uint8_t *const *bytes) {
    static_cast<Harness *>(model)->map(count, starts, sizes, bytes);
}

DOOR int rtl_reset(void *model) {
    static_cast<Harness *>(model)->reset();
    return static_cast<Harness *>(model)->run(0, false);
}

DOOR int rtl_write(void *model, uint32_t address, uint32_t value) {
    return static_cast<Harness *>(model)->write(address, value);
}

DOOR int rtl_read(void *model, uint32_t address, uint32_t *value) {
    return static_cast<Harness *>(model)->read(address, value);
}

DOOR int rtl_run(void *model, uint64_t cycles, int until_irq) {
    return static_cast<Harness *>(model)->run(cycles, until_irq != 0);
}

DOOR void rtl_tell(void *model, int write, uint64_t at, uint32_t response, uint64_t late) {
    static_cast<Harness *>(model)->tell(write != 0, at, response, late);
}

DOOR uint64_t rtl_cycles(void *model) { return static_cast<Harness *>(model)->cycles(); }

DOOR void rtl_counts(void *model, uint64_t *out) { static_cast<Harness *>(model)->counts(out); }

DOOR const char *rtl_text(void *model) { return static_cast<Harness *>(model)->text(); }

DOOR int rtl_coverage(void *model, const char *path) {
#if VM_COVERAGE
    static_cast<Harness *>(model)->coverage(path);
    return 1;
#else
    (void)model, (void)path;
    return 0;
#endif
}
