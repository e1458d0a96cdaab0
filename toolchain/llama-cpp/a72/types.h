// The types whose matrices are interleaved: how four rows of a block lie in memory, and how they become int8 again.
//
// A type's Block holds as many bytes as the four blocks of upstream's that it is made from, so that a repacked matrix
// takes no more memory than the file. The formulas are those of dequantize_row_* in ggml-quants.c.
//
//   Row            upstream's block
//   LARGEST        the largest absolute value of a weight as int8
//   GROUPS         of 16 weights that share a scale: 1 or 2
//   interleave()   fills one of the four rows of a block
//   weights()      16 weights of a row, or both groups of a block of 32
//   scales()       of four rows at a time, for each GROUPS x 16 weights; where HAS_MINS also what is subtracted from each
//                  weight, likewise
#pragma once

#include "fields.h"

#define GGML_COMMON_DECL_C
#include "ggml-common.h"

#include <cstring>

namespace pipress {

// ---- blocks of 32 weights, multiplied with activations in Q8_0 ----

// A scale and the numbers of each row, one row after the other.
template <class Upstream> struct BlocksOf32 {
    using Row = Upstream;

    struct Block {
        ggml_half d[ROWS];
        decltype(Row::qs) qs[ROWS];
    };

    static void interleave(const Row & from, int row, Block & to) {
        to.d[row] = from.d;
        memcpy(to.qs[row], from.qs, sizeof(from.qs));
    }
};

struct Q4_0 : BlocksOf32<block_q4_0> {
    static constexpr int LARGEST = 8;

    static void interleave(const Row & from, int row, Block & to) {
        BlocksOf32::interleave(from, row, to);
        for (uint8_t & nibbles : to.qs[row]) {
            nibbles ^= 0x88; // a nibble minus 8 in two's complement: the sign comes by shifting
        }
    }

    static void weights(const Block & block, int row, int8x16_t & first, int8x16_t & second) {
        const int8x16_t nibbles = vld1q_s8((const int8_t *) block.qs[row]);
        first  = (nibbles << 4) >> 4;
        second = nibbles >> 4;
    }
};

struct Q8_0 : BlocksOf32<block_q8_0> {
    static constexpr int LARGEST = 128;

    static void weights(const Block & block, int row, int8x16_t & first, int8x16_t & second) {
        first  = vld1q_s8(block.qs[row]);
        second = vld1q_s8(block.qs[row] + 16);
    }
};

// The numbers that IQ4_NL and IQ4_XS have for the nibbles 0..15.
constexpr int8_t IQ4_VALUES[16] = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 };

struct IQ4_NL : BlocksOf32<block_iq4_nl> {
    static constexpr int LARGEST = 127;

    static void weights(const Block & block, int row, int8x16_t & first, int8x16_t & second) {
        const int8x16_t  values  = vld1q_s8(IQ4_VALUES);
        const uint8x16_t nibbles = vld1q_u8(block.qs[row]);
        first  = vqtbl1q_s8(values, nibbles & vdupq_n_u8(15));
        second = vqtbl1q_s8(values, nibbles >> 4);
    }
};

// ---- blocks of 256 weights, multiplied with activations in Q8_K ----

// 16 bytes, from bit `shift` up.
inline uint8x16_t shifted(const uint8_t * bytes, int shift) {
    return vld1q_u8(bytes) >> shift;
}

// Four scales of four rows each, as int16: [scale] = the four rows.
inline void widen(int8x16_t from, int16x4_t * to) {
    const int16x8_t front = vmovl_s8(vget_low_s8(from)), back = vmovl_high_s8(from);
    to[0] = vget_low_s16(front);
    to[1] = vget_high_s16(front);
    to[2] = vget_low_s16(back);
    to[3] = vget_high_s16(back);
}

inline int8x16_t minus(uint8x16_t numbers, int offset) {
    return vreinterpretq_s8_u8(numbers - vdupq_n_u8(offset));
}

// 8 scales and 8 mins of a row, as Q4_K and Q5_K pack them (get_scale_min_k4 in ggml-quants.c).
inline void put_scales_and_mins(const uint8_t (&packed)[12], int row, Sixes & to) {
    uint8_t numbers[16];
    for (int n = 0; n < 4; n++) {
        numbers[n]      = packed[n] & 63;
        numbers[8 + n]  = packed[4 + n] & 63;
        numbers[4 + n]  = (packed[8 + n] & 15) | (packed[n] >> 6) << 4;
        numbers[12 + n] = (packed[8 + n] >> 4) | (packed[4 + n] >> 6) << 4;
    }
    to.put(row, numbers);
}

inline void get_scales_and_mins(const Sixes & from, int16x4_t (&scales)[8], int16x4_t (&mins)[8]) {
    uint8x16_t numbers[4];
    from.get(numbers);
    for (int half = 0; half < 2; half++) {
        widen(vreinterpretq_s8_u8(numbers[half]), scales + 4 * half);
        widen(vreinterpretq_s8_u8(numbers[2 + half]), mins + 4 * half);
    }
}

struct Q4_K {
    using Row = block_q4_K;
    static constexpr int  LARGEST  = 15;
    static constexpr int  GROUPS   = 2;
    static constexpr bool HAS_MINS = true;

    struct Block {
        ggml_half d[ROWS];
        ggml_half dmin[ROWS];
        Sixes     sixes; // 8 scales, 8 mins
        Plane<4>  low;
    };

    static void interleave(const Row & from, int row, Block & to) {
        to.d[row]    = from.d;
        to.dmin[row] = from.dmin;
        put_scales_and_mins(from.scales, row, to.sixes);
        Numbers low;
#pragma GCC unroll 16
        for (int g = 0; g < 16; g++) {
            low[g] = shifted(from.qs + g / 4 * 32 + g % 2 * 16, g % 4 / 2 * 4);
        }
        to.low.put(row, low);
    }

    static int8x16_t weights(const Block & block, int group, int row) {
        return vreinterpretq_s8_u8(block.low.get(group, row));
    }

    static void scales(const Block & block, int16x4_t (&scales)[8], int16x4_t (&mins)[8]) {
        get_scales_and_mins(block.sixes, scales, mins);
    }
};

struct Q5_K {
    using Row = block_q5_K;
    static constexpr int  LARGEST  = 31;
    static constexpr int  GROUPS   = 2;
    static constexpr bool HAS_MINS = true;

    struct Block {
        ggml_half d[ROWS];
        ggml_half dmin[ROWS];
        Sixes     sixes; // 8 scales, 8 mins
        Plane<4>  low;
        Plane<1>  high;
    };

    static void interleave(const Row & from, int row, Block & to) {
        to.d[row]    = from.d;
        to.dmin[row] = from.dmin;
        put_scales_and_mins(from.scales, row, to.sixes);
        Numbers low, high;
#pragma GCC unroll 16
        for (int g = 0; g < 16; g++) {
            low[g]  = shifted(from.qs + g / 4 * 32 + g % 2 * 16, g % 4 / 2 * 4);
            high[g] = shifted(from.qh + g % 2 * 16, g / 2);
        }
        to.low.put(row, low);
        to.high.put(row, high);
    }

    static int8x16_t weights(const Block & block, int group, int row) {
        return vreinterpretq_s8_u8(vbslq_u8(vdupq_n_u8(16), block.high.at<4>(group, row), block.low.get(group, row)));
    }

    static void scales(const Block & block, int16x4_t (&scales)[8], int16x4_t (&mins)[8]) {
        get_scales_and_mins(block.sixes, scales, mins);
    }
};

struct Q6_K {
    using Row = block_q6_K;
    static constexpr int  LARGEST  = 32;
    static constexpr int  GROUPS   = 1;
    static constexpr bool HAS_MINS = false;

    struct Block {
        ggml_half d[ROWS];
        int8_t    scales[16][ROWS];
        Plane<4>  low;
        Plane<2>  high;
    };

    static void interleave(const Row & from, int row, Block & to) {
        to.d[row] = from.d;
        Numbers low, high;
#pragma GCC unroll 16
        for (int g = 0; g < 16; g++) {
            const int half = g / 8, quarter = g % 8 / 2; // of the block, of its half: 32 weights
            to.scales[g][row] = from.scales[g];
            low[g]  = shifted(from.ql + half * 64 + quarter % 2 * 32 + g % 2 * 16, quarter / 2 * 4);
            high[g] = shifted(from.qh + half * 32 + g % 2 * 16, quarter * 2);
        }
        to.low.put(row, low);
        to.high.put(row, high);
    }

    static int8x16_t weights(const Block & block, int group, int row) {
        return minus(vbslq_u8(vdupq_n_u8(48), block.high.at<4>(group, row), block.low.get(group, row)), 32);
    }

    static void scales(const Block & block, int16x4_t (&scales)[16]) {
        for (int n = 0; n < 16; n += 4) {
            widen(vld1q_s8(block.scales[n]), scales + n);
        }
    }
};

struct Q3_K {
    using Row = block_q3_K;
    static constexpr int  LARGEST  = 4;
    static constexpr int  GROUPS   = 1;
    static constexpr bool HAS_MINS = false;

    struct Block {
        ggml_half d[ROWS];
        Sixes     sixes; // 16 scales, plus 32
        Plane<2>  low;
        Plane<1>  high;
    };

    static void interleave(const Row & from, int row, Block & to) {
        to.d[row] = from.d;
        uint8_t sixes[16];
        for (int n = 0; n < 16; n++) {
            sixes[n] = (from.scales[n % 8] >> n / 8 * 4 & 15) | (from.scales[8 + n % 4] >> n / 4 * 2 & 3) << 4;
        }
        to.sixes.put(row, sixes);
        Numbers low, high;
#pragma GCC unroll 16
        for (int g = 0; g < 16; g++) {
            low[g]  = shifted(from.qs + g / 8 * 32 + g % 2 * 16, g % 8 / 2 * 2);
            high[g] = shifted(from.hmask + g % 2 * 16, g / 2);
        }
        to.low.put(row, low);
        to.high.put(row, high);
    }

    static int8x16_t weights(const Block & block, int group, int row) {
        return minus(vbslq_u8(vdupq_n_u8(4), block.high.at<2>(group, row), block.low.get(group, row)), 4);
    }

    static void scales(const Block & block, int16x4_t (&scales)[16]) {
        uint8x16_t sixes[4];
        block.sixes.get(sixes);
        for (int n = 0; n < 4; n++) {
            widen(minus(sixes[n], 32), scales + 4 * n);
        }
    }
};

struct Q2_K {
    using Row = block_q2_K;
    static constexpr int  LARGEST  = 3;
    static constexpr int  GROUPS   = 1;
    static constexpr bool HAS_MINS = true;

    struct Block {
        ggml_half d[ROWS];
        ggml_half dmin[ROWS];
        uint8_t   nibbles[16][ROWS]; // scales, and mins above
        Plane<2>  low;
    };

    static void interleave(const Row & from, int row, Block & to) {
        to.d[row]    = from.d;
        to.dmin[row] = from.dmin;
        Numbers low;
#pragma GCC unroll 16
        for (int g = 0; g < 16; g++) {
            to.nibbles[g][row] = from.scales[g];
            low[g] = shifted(from.qs + g / 8 * 32 + g % 2 * 16, g % 8 / 2 * 2);
        }
        to.low.put(row, low);
    }

    static int8x16_t weights(const Block & block, int group, int row) {
        return vreinterpretq_s8_u8(block.low.get(group, row));
    }

    static void scales(const Block & block, int16x4_t (&scales)[16], int16x4_t (&mins)[16]) {
        for (int n = 0; n < 16; n += 4) {
            const uint8x16_t nibbles = vld1q_u8(block.nibbles[n]);
            widen(vreinterpretq_s8_u8(nibbles & vdupq_n_u8(15)), scales + n);
            widen(vreinterpretq_s8_u8(nibbles >> 4), mins + n);
        }
    }
};

struct IQ4_XS {
    using Row = block_iq4_xs;
    static constexpr int  LARGEST  = 127;
    static constexpr int  GROUPS   = 2;
    static constexpr bool HAS_MINS = false;

    struct Block {
        ggml_half d[ROWS];
        uint8_t   scales_high[8];  // two bits of 8 scales of four rows: number n of a row is at 4 n + row, 8 a bit pair
        uint8_t   scales_low[16];  // four bits, 16 a nibble
        Plane<4>  low;
    };

    static void interleave(const Row & from, int row, Block & to) {
        to.d[row] = from.d;
        for (int n = 0; n < 8; n++) {
            const int at = 4 * n + row;
            put(to.scales_low[at % 16], from.scales_l[n / 2] >> n % 2 * 4, 4, at / 16 * 4);
            put(to.scales_high[at % 8], from.scales_h >> n * 2, 2, at / 8 * 2);
        }
        Numbers low;
#pragma GCC unroll 16
        for (int g = 0; g < 16; g++) {
            low[g] = shifted(from.qs + g / 2 * 16, g % 2 * 4);
        }
        to.low.put(row, low);
    }

    static int8x16_t weights(const Block & block, int group, int row) {
        return vqtbl1q_s8(vld1q_s8(IQ4_VALUES), block.low.get(group, row));
    }

    static void scales(const Block & block, int16x4_t (&scales)[8]) {
        const uint8x8_t  high = vld1_u8(block.scales_high);
        const uint8x16_t low  = vld1q_u8(block.scales_low);
        const uint8x16_t bits = vdupq_n_u8(48);
        widen(minus(vbslq_u8(bits, vcombine_u8(high << 4, high << 2), low & vdupq_n_u8(15)), 32), scales);
        widen(minus(vbslq_u8(bits, vcombine_u8(high, high >> 2), low >> 4), 32), scales + 4);
    }

  private:
    static void put(uint8_t & byte, int number, int bits, int at) {
        const int mask = ((1 << bits) - 1) << at;
        byte = (byte & ~mask) | (number << at & mask);
    }
};

} // namespace pipress
