// What the buffer type, the test and the benchmark know of a type's kernel: functions that take their data as bytes.
#pragma once

#include "ggml.h"

namespace pipress {

constexpr int ROWS    = 4; // of a weight matrix, interleaved and multiplied together
constexpr int COLUMNS = 4; // of activations, at most at a time

struct Kernel {
    ggml_type activations; // what columns are quantized to

    // Copies four rows of `blocks` of upstream's blocks, which lie one after the other, interleaved.
    void (*interleave)(int blocks, const void * rows, void * to);

    // Multiplies four interleaved rows with one to four columns: multiply[columns - 1].
    void (*multiply[COLUMNS])(int blocks, const void * weights, const void * const * columns,
                                     float (*results)[ROWS]);
};

// Null for a type without a kernel of ours.
const Kernel * kernel_of(ggml_type type);

} // namespace pipress
