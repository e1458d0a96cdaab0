// Products of int8 weights and int8 activations on plain NEON, which multiplies eight of them an instruction (SMULL,
// SMLAL) into int16. The art is to leave int16 late: every widening costs an instruction that multiplies nothing.
#pragma once

#include "kernels.h"

#include <arm_neon.h>

namespace pipress {

// ggml quantizes activations to -127..127 (quantize_row_q8_0, quantize_row_q8_K), never to -128.
constexpr int LARGEST_ACTIVATION = 127;

// The sums of `VECTORS` x 16 products, for four rows at once: w[i][row] times a[i].
// LARGEST is the largest weight's absolute value. It decides how many products an int16 holds for certain.
template <int LARGEST, int VECTORS>
int32x4_t dot(const int8x16_t (&w)[VECTORS][ROWS], const int8x16_t (&a)[VECTORS]) {
    constexpr int FIT = INT16_MAX / (LARGEST * LARGEST_ACTIVATION);
    constexpr int CHAIN = FIT < 2 * VECTORS ? 2 : 2 * VECTORS; // products in a lane
    static_assert(FIT >= 2, "two products have to fit");

    if constexpr (CHAIN < 2 * VECTORS) {
        int32x4_t sums[ROWS];
        for (int row = 0; row < ROWS; row++) {
            for (int i = 0; i < VECTORS; i++) {
                const int16x8_t front = vmull_s8(vget_low_s8(w[i][row]), vget_low_s8(a[i]));
                const int16x8_t pair  = vmlal_high_s8(front, w[i][row], a[i]);
                sums[row] = i == 0 ? vpaddlq_s16(pair) : vpadalq_s16(sums[row], pair);
            }
        }
        return vpaddq_s32(vpaddq_s32(sums[0], sums[1]), vpaddq_s32(sums[2], sums[3]));
    } else {
        int16x8_t lanes[ROWS];
        for (int row = 0; row < ROWS; row++) {
            lanes[row] = vmull_s8(vget_low_s8(w[0][row]), vget_low_s8(a[0]));
            lanes[row] = vmlal_high_s8(lanes[row], w[0][row], a[0]);
            for (int i = 1; i < VECTORS; i++) {
                lanes[row] = vmlal_s8(lanes[row], vget_low_s8(w[i][row]), vget_low_s8(a[i]));
                lanes[row] = vmlal_high_s8(lanes[row], w[i][row], a[i]);
            }
        }
        // Each addition of neighbours (ADDP) brings two rows into one vector, and twice as many products into a lane.
        if constexpr (FIT >= 4 * CHAIN) {
            const int16x8_t quarters = vpaddq_s16(vpaddq_s16(lanes[0], lanes[1]), vpaddq_s16(lanes[2], lanes[3]));
            return vpaddlq_s16(quarters);
        } else if constexpr (FIT >= 2 * CHAIN) {
            const int32x4_t front = vpaddlq_s16(vpaddq_s16(lanes[0], lanes[1]));
            const int32x4_t back  = vpaddlq_s16(vpaddq_s16(lanes[2], lanes[3]));
            return vpaddq_s32(front, back);
        } else {
            const int32x4_t front = vpaddq_s32(vpaddlq_s16(lanes[0]), vpaddlq_s16(lanes[1]));
            const int32x4_t back  = vpaddq_s32(vpaddlq_s16(lanes[2]), vpaddlq_s16(lanes[3]));
            return vpaddq_s32(front, back);
        }
    }
}

} // namespace pipress
