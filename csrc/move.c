/* Bits of every row of one array into every row of another one: split and merge of maps whose channels begin
   inside a memory word. */
#include "kernels.h"

#include <stdint.h>
#include <string.h>

static uint64_t word_at(const unsigned char *row, size_t word)
{
    uint64_t value;
    memcpy(&value, row + 8 * word, 8);
    return value;
}

void qnn_move_bits(const void *source, size_t source_bytes, size_t source_bit, void *target, size_t target_bytes,
                   size_t target_bit, size_t bits, size_t rows)
{
    const unsigned char *from = source;
    unsigned char *to = target;
    for (; rows; rows--, from += source_bytes, to += target_bytes) {
        size_t done = 0, count;
        for (; done < bits; done += count) {
            const size_t in = source_bit + done, out = target_bit + done, shift = in % 64, place = out % 64;
            count = bits - done < 64 - place ? bits - done : 64 - place;
            uint64_t value = word_at(from, in / 64) >> shift;
            if (shift + count > 64)
                value |= word_at(from, in / 64 + 1) << (64 - shift);
            const uint64_t mask = (count == 64 ? ~(uint64_t)0 : ((uint64_t)1 << count) - 1) << place;
            const uint64_t kept = word_at(to, out / 64) & ~mask;
            const uint64_t word = kept | ((value << place) & mask);
            memcpy(to + 8 * (out / 64), &word, 8);
        }
    }
}
