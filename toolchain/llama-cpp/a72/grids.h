// The types whose weights are looked up: an index stands for four or eight weights without signs in a table (a grid).
// A block's weights are looked up into memory first, and multiplied from there: loads and stores do that beside the
// multiplications. Blocks as in types.h; what differs is where weights() takes them from.
#pragma once

#include "types.h"

#define GGML_COMMON_IMPL_CPP
#include "ggml-common.h"

namespace pipress {

// A block of four rows after the look-up: the 256 values of a row, and in each byte the signs of 8 groups of 16.
struct LookedUp {
    uint8_t values[ROWS][256];
    uint8_t signs[2][ROWS][16];
};

// Indices of 8 to 10 bits into a grid of Entry (four or eight weights): eight of a row lie together, in BITS bytes.
template <class Entry, int BITS> struct Indices {
    static constexpr int COUNT = 256 / sizeof(Entry);

    uint8_t bytes[COUNT / 8][ROWS][BITS];

    void look_up(const Entry * grid, LookedUp & to) const {
        for (int n = 0; n < COUNT / 8; n++) {
#pragma GCC unroll 4
            for (int row = 0; row < ROWS; row++) {
                uint64_t front, back; // the first and the last eight bytes
                memcpy(&front, bytes[n][row], 8);
                memcpy(&back, bytes[n][row] + BITS - 8, 8);
                Entry entries[8];
#pragma GCC unroll 8
                for (int i = 0; i < 8; i++) {
                    const int      bit  = i * BITS;
                    const uint64_t word = bit + BITS <= 64 ? front >> bit : back >> (bit - 8 * (BITS - 8));
                    entries[i] = grid[word & ((1 << BITS) - 1)];
                }
                memcpy(to.values[row] + n * sizeof(entries), entries, sizeof(entries));
            }
        }
    }

    void put(int row, const uint16_t (&numbers)[COUNT]) {
        for (int n = 0; n < COUNT / 8; n++) {
            uint64_t front = 0, back = 0;
            for (int i = 0; i < 8; i++) {
                const int      bit    = i * BITS, to_back = bit - 8 * (BITS - 8);
                const uint64_t number = numbers[n * 8 + i];
                front |= bit < 64 ? number << bit : 0;
                back |= to_back >= 0 ? number << to_back : number >> -to_back;
            }
            memcpy(bytes[n][row] + BITS - 8, &back, 8);
            memcpy(bytes[n][row], &front, 8);
        }
    }
};

// Signs of 256 weights: bit g of a byte is that of a weight in group g of eight groups of 16. STORED is 8, or 7 where the
// eighth of eight signs follows from the others: an even number of them is set.
template <int STORED> struct Signs {
    uint8_t bytes[2][ROWS][2][STORED];

    void look_up(LookedUp & to) const {
        for (int vector = 0; vector < 2; vector++) {
            for (int row = 0; row < ROWS; row++) {
                for (int half = 0; half < 2; half++) {
                    uint64_t signs;
                    memcpy(&signs, bytes[vector][row][half] + STORED - 8, 8);
                    if constexpr (STORED == 7) {
                        signs >>= 8; // what was read before the seven bytes
                        uint64_t parity = signs ^ signs >> 32;
                        parity ^= parity >> 16;
                        signs |= (parity ^ parity >> 8) << 56;
                    }
                    memcpy(to.signs[vector][row] + half * 8, &signs, 8);
                }
            }
        }
    }

    // A byte has the signs of eight weights, the first in the lowest bit.
    void put(int row, const uint8_t (&signs)[32]) {
        uint64_t words[2][2] = {}; // as look_up() makes them
        for (int n = 0; n < 32; n++) {
            const uint64_t apart = signs[n] * 0x0101010101010101 & 0x8040201008040201; // bit i in byte i
            const uint64_t ones  = (apart + 0x7f7f7f7f7f7f7f7f) >> 7 & 0x0101010101010101;
            words[n / 16][n % 2] |= ones << n / 2 % 8;
        }
        for (int vector = 0; vector < 2; vector++) {
            for (int half = 0; half < 2; half++) {
                memcpy(bytes[vector][row][half], &words[vector][half], STORED);
            }
        }
    }
};

// COUNT scales of four bits; a scale counts 1 + 2 n. Number n of a row is at 4 n + row, in the lower nibbles first.
template <int COUNT> struct Nibbles {
    uint8_t bytes[COUNT * ROWS / 2];

    void get(int16x4_t (&scales)[COUNT]) const {
        for (int at = 0; at < COUNT / 2; at += 4) {
            const uint8x16_t nibbles = vld1q_u8(bytes + 4 * at);
            const uint8x16_t one     = vdupq_n_u8(1);
            widen(vreinterpretq_s8_u8(((nibbles & vdupq_n_u8(15)) << 1) | one), scales + at);
            widen(vreinterpretq_s8_u8(((nibbles >> 4) << 1) | one), scales + COUNT / 2 + at);
        }
    }

    void put(int row, const uint8_t (&numbers)[COUNT]) {
        for (int n = 0; n < COUNT / 2; n++) {
            bytes[n * ROWS + row] = (numbers[n] & 15) | numbers[COUNT / 2 + n] << 4;
        }
    }
};

// What the five types have in common. FACTOR belongs to the scale of a block.
template <class Entry, int BITS, int STORED_SIGNS, int SCALES> struct GridBlock {
    ggml_half            d[ROWS];
    Nibbles<SCALES>      scales;
    Indices<Entry, BITS> indices;
    Signs<STORED_SIGNS>  signs;

    // What a row has beside the scale of its block.
    struct Unpacked {
        uint8_t  scales[SCALES];
        uint16_t indices[Indices<Entry, BITS>::COUNT];
        uint8_t  signs[32]; // a byte for eight weights
    };

    void put(int row, ggml_half scale, const Unpacked & from) {
        d[row] = scale;
        scales.put(row, from.scales);
        indices.put(row, from.indices);
        signs.put(row, from.signs);
    }
};

// The nibbles of bytes, the lower of each first.
template <int COUNT> inline void unpack_nibbles(const uint8_t * bytes, uint8_t (&numbers)[COUNT]) {
    for (int n = 0; n < COUNT; n++) {
        numbers[n] = bytes[n / 2] >> n % 2 * 4 & 15;
    }
}

template <class Upstream, class Entry, int BITS, int STORED_SIGNS, int SCALES> struct Grid {
    using Row   = Upstream;
    using Block = GridBlock<Entry, BITS, STORED_SIGNS, SCALES>;
    static constexpr int  GROUPS   = 16 / SCALES;
    static constexpr bool HAS_MINS = false;

    static int8x16_t weights(const LookedUp & from, int group, int row) {
        const uint8x16_t bit      = vdupq_n_u8(1 << group % 8);
        const uint8x16_t negative = vtstq_u8(vld1q_u8(from.signs[group / 8][row]), bit);
        return vreinterpretq_s8_u8((vld1q_u8(from.values[row] + group * 16) ^ negative) - negative);
    }

    static void scales(const Block & block, int16x4_t (&scales)[SCALES]) { block.scales.get(scales); }
};

struct IQ2_XXS : Grid<block_iq2_xxs, uint64_t, 8, 7, 8> {
    static constexpr int   LARGEST = 43;
    static constexpr float FACTOR  = 0.125f;
    static constexpr auto  GRID    = iq2xxs_grid;

    static void interleave(const Row & from, int row, Block & to) {
        Block::Unpacked unpacked;
        for (int n = 0; n < 8; n++) { // 32 weights: four indices, four times seven signs, a scale
            uint32_t words[2];
            memcpy(words, from.qs + 4 * n, sizeof(words));
            unpacked.scales[n] = words[1] >> 28;
            for (int i = 0; i < 4; i++) {
                unpacked.indices[4 * n + i] = words[0] >> 8 * i & 255;
                unpacked.signs[4 * n + i]   = words[1] >> 7 * i & 127;
            }
        }
        to.put(row, from.d, unpacked);
    }
};

struct IQ2_XS : Grid<block_iq2_xs, uint64_t, 9, 7, 16> {
    static constexpr int   LARGEST = 43;
    static constexpr float FACTOR  = 0.125f;
    static constexpr auto  GRID    = iq2xs_grid;

    static void interleave(const Row & from, int row, Block & to) {
        Block::Unpacked unpacked;
        for (int n = 0; n < 32; n++) { // 8 weights
            unpacked.indices[n] = from.qs[n] & 511;
            unpacked.signs[n]   = from.qs[n] >> 9;
        }
        unpack_nibbles(from.scales, unpacked.scales);
        to.put(row, from.d, unpacked);
    }
};

struct IQ2_S : Grid<block_iq2_s, uint64_t, 10, 8, 16> {
    static constexpr int   LARGEST = 43;
    static constexpr float FACTOR  = 0.125f;
    static constexpr auto  GRID    = iq2s_grid;

    static void interleave(const Row & from, int row, Block & to) {
        Block::Unpacked unpacked;
        for (int n = 0; n < 32; n++) { // 8 weights
            unpacked.indices[n] = from.qs[n] | (from.qh[n / 4] >> n % 4 * 2 & 3) << 8;
            unpacked.signs[n]   = from.qs[32 + n];
        }
        unpack_nibbles(from.scales, unpacked.scales);
        to.put(row, from.d, unpacked);
    }
};

struct IQ3_XXS : Grid<block_iq3_xxs, uint32_t, 8, 7, 8> {
    static constexpr int   LARGEST = 62;
    static constexpr float FACTOR  = 0.25f;
    static constexpr auto  GRID    = iq3xxs_grid;

    static void interleave(const Row & from, int row, Block & to) {
        Block::Unpacked unpacked;
        for (int n = 0; n < 64; n++) { // 4 weights
            unpacked.indices[n] = from.qs[n];
        }
        for (int n = 0; n < 8; n++) { // 32 weights: four times seven signs, a scale
            uint32_t word;
            memcpy(&word, from.qs + 64 + 4 * n, sizeof(word));
            unpacked.scales[n] = word >> 28;
            for (int i = 0; i < 4; i++) {
                unpacked.signs[4 * n + i] = word >> 7 * i & 127;
            }
        }
        to.put(row, from.d, unpacked);
    }
};

struct IQ3_S : Grid<block_iq3_s, uint32_t, 9, 8, 8> {
    static constexpr int   LARGEST = 15;
    static constexpr float FACTOR  = 1;
    static constexpr auto  GRID    = iq3s_grid;

    static void interleave(const Row & from, int row, Block & to) {
        Block::Unpacked unpacked;
        for (int n = 0; n < 64; n++) { // 4 weights
            unpacked.indices[n] = from.qs[n] | (from.qh[n / 8] >> n % 8 & 1) << 8;
        }
        memcpy(unpacked.signs, from.signs, sizeof(from.signs));
        unpack_nibbles(from.scales, unpacked.scales);
        to.put(row, from.d, unpacked);
    }
};

// Where weights() takes a block's weights from: the block, or what is looked up for it.
template <class Type, class = void> struct Source {
    const typename Type::Block & from;
    static constexpr float FACTOR = 1;

    explicit Source(const typename Type::Block & block) : from(block) {}
};

template <class Type> struct Source<Type, decltype((void) Type::GRID)> {
    LookedUp from;
    static constexpr float FACTOR = Type::FACTOR;

    explicit Source(const typename Type::Block & block) {
        block.indices.look_up(Type::GRID, from);
        block.signs.look_up(from);
    }
};

} // namespace pipress
