// How small numbers of four rows share bytes, so that shifts and masks of whole vectors take them apart.
#pragma once

#include "dot.h"

#include <cstdint>

namespace pipress {

// A number for each of a row's 256 weights: [group of 16].
using Numbers = uint8x16_t[16];

// BITS bits of each of 256 weights in four rows. A vector holds the same bits of 16 weights of a row; 8 / BITS groups of
// 16 weights share its bytes, the first in the lowest bits.
template <int BITS> struct Plane {
    static constexpr int GROUPS = 8 / BITS; // of 16 weights in a vector

    uint8_t bytes[16 / GROUPS][ROWS][16];

    // The bits of 16 weights, moved to bit TO of each byte. Neighbours stay in the other bits: mask what matters.
    template <int TO> uint8x16_t at(int group, int row) const {
        const uint8x16_t vector = vld1q_u8(bytes[group / GROUPS][row]);
        const int from = group % GROUPS * BITS;
        return from >= TO ? vector >> (from - TO) : vector << (TO - from);
    }

    // The bits of 16 weights as numbers.
    uint8x16_t get(int group, int row) const {
        const bool topmost = group % GROUPS == GROUPS - 1; // then the shift leaves zeros above
        return topmost ? at<0>(group, row) : at<0>(group, row) & vdupq_n_u8((1 << BITS) - 1);
    }

    // Takes the lowest bits of a row's numbers; others are left out.
    void put(int row, const Numbers & numbers) {
        const uint8x16_t low = vdupq_n_u8((1 << BITS) - 1);
#pragma GCC unroll 16
        for (int group = 0; group < 16; group++) {
            const uint8x16_t bits   = (numbers[group] & low) << group % GROUPS * BITS;
            uint8_t * const  vector = bytes[group / GROUPS][row];
            vst1q_u8(vector, group % GROUPS == 0 ? bits : vld1q_u8(vector) | bits);
        }
    }
};

// 64 numbers of six bits in three vectors: number n of a row is at 4 n + row. The last quarter lies in the upper bits of
// the others.
struct Sixes {
    uint8_t bytes[3][16];

    void get(uint8x16_t (&numbers)[4]) const {
        const uint8x16_t a = vld1q_u8(bytes[0]), b = vld1q_u8(bytes[1]), c = vld1q_u8(bytes[2]);
        const uint8x16_t low = vdupq_n_u8(63);
        numbers[0] = a & low;
        numbers[1] = b & low;
        numbers[2] = c & low;
        numbers[3] = vsliq_n_u8(vsliq_n_u8(c >> 6, b >> 6, 2), a >> 6, 4);
    }

    void put(int row, const uint8_t (&numbers)[16]) {
        for (int n = 0; n < 4; n++) {
            const uint8_t last = numbers[12 + n];
            bytes[0][4 * n + row] = numbers[n] | (last >> 4) << 6;
            bytes[1][4 * n + row] = numbers[4 + n] | (last >> 2 & 3) << 6;
            bytes[2][4 * n + row] = numbers[8 + n] | (last & 3) << 6;
        }
    }
};

} // namespace pipress
