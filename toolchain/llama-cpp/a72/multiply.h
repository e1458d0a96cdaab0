// Four interleaved rows of a weight matrix times N = 1 to 4 columns of activations. Weights are unpacked once for all
// columns, and a column's activations are loaded once for four rows. All types share these loops; `flatten` puts what is
// theirs (types.h, grids.h) into them.
#pragma once

#include "grids.h"

namespace pipress {

// Bytes of weights to ask for ahead of their use: a read from memory takes about as long as the work on so many.
constexpr int PREFETCH = 1024;

inline float32x4_t halves(const ggml_half (&d)[ROWS]) {
    float16x4_t h;
    memcpy(&h, d, sizeof(h));
    return vcvt_f32_f16(h);
}

inline float half(ggml_half d) {
    __fp16 h;
    memcpy(&h, &d, sizeof(h));
    return h;
}

// For weights and activations in blocks of 32 with a scale each. results[column] gets the four rows.
template <class Type, int N>
[[gnu::flatten]] void multiply_32(int blocks, const void * weights, const void * const * columns, float (*results)[ROWS]) {
    static_assert(sizeof(typename Type::Block) == ROWS * sizeof(typename Type::Row), "as large as upstream's");
    const auto * w = (const typename Type::Block *) weights;
    const block_q8_0 * a[N];
    float32x4_t        sums[N];
    for (int c = 0; c < N; c++) {
        a[c]    = (const block_q8_0 *) columns[c];
        sums[c] = vdupq_n_f32(0);
    }
    for (int b = 0; b < blocks; b++, w++) {
        for (size_t line = 0; line < sizeof(*w); line += 64) {
            __builtin_prefetch((const char *) w + PREFETCH + line);
        }
        const float32x4_t scales = halves(w->d);
        int8x16_t ws[2][ROWS];
        for (int row = 0; row < ROWS; row++) {
            Type::weights(*w, row, ws[0][row], ws[1][row]);
        }
        for (int c = 0; c < N; c++) {
            const int8x16_t qs[2] = { vld1q_s8(a[c]->qs), vld1q_s8(a[c]->qs + 16) };
            const int32x4_t products = dot<Type::LARGEST>(ws, qs);
            sums[c] = vfmaq_f32(sums[c], vcvtq_f32_s32(products), vmulq_n_f32(scales, half(a[c]->d)));
            a[c]++;
        }
    }
    for (int c = 0; c < N; c++) {
        vst1q_f32(results[c], sums[c]);
    }
}

// For weights in blocks of 256 with a scale for each 16 or 32 of them, and a scale of these scales.
template <class Type, int N>
[[gnu::flatten]] void multiply_256(int blocks, const void * weights, const void * const * columns, float (*results)[ROWS]) {
    static_assert(sizeof(typename Type::Block) == ROWS * sizeof(typename Type::Row), "as large as upstream's");
    constexpr int GROUPS = Type::GROUPS, SCALES = 16 / GROUPS;
    const auto * w = (const typename Type::Block *) weights;
    const block_q8_K * a[N];
    float32x4_t        sums[N];
    for (int c = 0; c < N; c++) {
        a[c]    = (const block_q8_K *) columns[c];
        sums[c] = vdupq_n_f32(0);
    }
    for (int b = 0; b < blocks; b++) {
        int16x4_t scales[SCALES];
        if constexpr (Type::HAS_MINS) {
            int16x4_t mins[SCALES];
            Type::scales(w[b], scales, mins);
            const float32x4_t dmin = halves(w[b].dmin);
            // What a min takes away from each of a group's products adds up to the min times the sum of the activations.
            for (int c = 0; c < N; c++) {
                int16x8_t bsums[2] = { vld1q_s16(a[c][b].bsums), vld1q_s16(a[c][b].bsums + 8) };
                if constexpr (GROUPS == 2) { // a min for two groups
                    bsums[0] = vpaddq_s16(bsums[0], bsums[1]);
                }
                int32x4_t offset = vdupq_n_s32(0);
#pragma GCC unroll 16
                for (int n = 0; n < SCALES; n++) {
                    offset = vmlal_laneq_s16(offset, mins[n], bsums[n / 8], n % 8);
                }
                sums[c] = vfmsq_n_f32(sums[c], vcvtq_f32_s32(offset) * dmin, a[c][b].d);
            }
        } else {
            Type::scales(w[b], scales);
        }
        const Source<Type> source(w[b]);
        float32x4_t partial[N]; // with the scales of groups, without those of the block
        for (int c = 0; c < N; c++) {
            partial[c] = vdupq_n_f32(0);
        }
#pragma GCC unroll 16
        for (int n = 0; n < SCALES; n++) {
            __builtin_prefetch((const char *) &w[b] + PREFETCH + n * sizeof(*w) / SCALES);
            int8x16_t ws[GROUPS][ROWS];
#pragma GCC unroll 2
            for (int g = 0; g < GROUPS; g++) {
#pragma GCC unroll 4
                for (int row = 0; row < ROWS; row++) {
                    ws[g][row] = Type::weights(source.from, n * GROUPS + g, row);
                }
            }
            const float32x4_t scale = vcvtq_f32_s32(vmovl_s16(scales[n]));
            for (int c = 0; c < N; c++) {
                int8x16_t qs[GROUPS];
                for (int g = 0; g < GROUPS; g++) {
                    qs[g] = vld1q_s8(a[c][b].qs + (n * GROUPS + g) * 16);
                }
                partial[c] = vfmaq_f32(partial[c], vcvtq_f32_s32(dot<Type::LARGEST>(ws, qs)), scale);
            }
        }
        const float32x4_t d = halves(w[b].d) * Source<Type>::FACTOR;
        for (int c = 0; c < N; c++) {
            sums[c] = vfmaq_n_f32(sums[c], partial[c] * d, a[c][b].d);
        }
    }
    for (int c = 0; c < N; c++) {
        vst1q_f32(results[c], sums[c]);
    }
}

} // namespace pipress
