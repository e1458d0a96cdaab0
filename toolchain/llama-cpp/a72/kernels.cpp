// A kernel for each type that has one. GCC's first scheduling pass moves loads and products so far ahead that their
// results do not fit into the 32 registers: half of all instructions would move them to the stack and back.
#pragma GCC optimize("no-schedule-insns")

#include "kernels.h"

#include "multiply.h"

namespace pipress {

namespace {

template <class Type> [[gnu::flatten]] void interleave(int blocks, const void * rows, void * to) {
    const auto * from = (const typename Type::Row *) rows;
    auto *       w    = (typename Type::Block *) to;
    for (int b = 0; b < blocks; b++) {
        for (int row = 0; row < ROWS; row++) {
            Type::interleave(from[row * blocks + b], row, w[b]);
        }
    }
}

template <class Type> constexpr Kernel with_blocks_of_32 = {
    GGML_TYPE_Q8_0,
    interleave<Type>,
    { multiply_32<Type, 1>, multiply_32<Type, 2>, multiply_32<Type, 3>, multiply_32<Type, 4> },
};

template <class Type> constexpr Kernel with_blocks_of_256 = {
    GGML_TYPE_Q8_K,
    interleave<Type>,
    { multiply_256<Type, 1>, multiply_256<Type, 2>, multiply_256<Type, 3>, multiply_256<Type, 4> },
};

} // namespace

const Kernel * kernel_of(ggml_type type) {
    switch (type) {
        case GGML_TYPE_Q4_0:   return &with_blocks_of_32<Q4_0>;
        case GGML_TYPE_Q8_0:   return &with_blocks_of_32<Q8_0>;
        case GGML_TYPE_IQ4_NL: return &with_blocks_of_32<IQ4_NL>;
        case GGML_TYPE_Q2_K:   return &with_blocks_of_256<Q2_K>;
        case GGML_TYPE_Q3_K:   return &with_blocks_of_256<Q3_K>;
        case GGML_TYPE_Q4_K:   return &with_blocks_of_256<Q4_K>;
        case GGML_TYPE_Q5_K:   return &with_blocks_of_256<Q5_K>;
        case GGML_TYPE_Q6_K:   return &with_blocks_of_256<Q6_K>;
        case GGML_TYPE_IQ2_XXS: return &with_blocks_of_256<IQ2_XXS>;
        case GGML_TYPE_IQ2_XS:  return &with_blocks_of_256<IQ2_XS>;
        case GGML_TYPE_IQ2_S:   return &with_blocks_of_256<IQ2_S>;
        case GGML_TYPE_IQ3_XXS: return &with_blocks_of_256<IQ3_XXS>;
        case GGML_TYPE_IQ3_S:   return &with_blocks_of_256<IQ3_S>;
        case GGML_TYPE_IQ4_XS: return &with_blocks_of_256<IQ4_XS>;
        default:               return nullptr;
    }
}

} // namespace pipress
