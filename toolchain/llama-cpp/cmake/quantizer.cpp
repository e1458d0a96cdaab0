// llama.cpp's own quantizer as a library: what a matrix is after it was quantized to a type and read back. Training that
// knows the release's types calls it between its steps, on matrices that are in memory already.
#include "ggml.h"

#include <strings.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace {

ggml_type type_of(const char * name) {
    for (int type = 0; type < GGML_TYPE_COUNT; type++) {
        const char * known = ggml_type_name(ggml_type(type));
        if (known != nullptr && strcasecmp(known, name) == 0) {
            return ggml_type(type);
        }
    }
    return GGML_TYPE_COUNT;
}

// Rows that a thread takes at a time: small, so that none is left waiting for another's last rows.
constexpr int64_t ROWS = 16;

} // namespace

// rows x columns values, row after row, and after the way there and back in `result`; `importance` has a value for each
// column, or is null. Returns 0; 1 for a type that is not known or not for weights, 2 for columns that are no whole
// blocks, 3 for a type that needs an importance. Rows are quantized by themselves, as llama-quantize does.
extern "C" int pipress_round_trip(const char * type_name, const float * weights, const float * importance, int64_t rows,
                                  int64_t columns, int threads, float * result) {
    const ggml_type type = type_of(type_name);
    if (type == GGML_TYPE_COUNT || (type != GGML_TYPE_F32 && ggml_get_type_traits(type)->to_float == nullptr)) {
        return 1;
    }
    if (columns % ggml_blck_size(type) != 0) {
        return 2;
    }
    if (importance == nullptr && ggml_quantize_requires_imatrix(type)) {
        return 3;
    }
    if (type == GGML_TYPE_F32) {
        std::copy(weights, weights + rows * columns, result);
        return 0;
    }
    ggml_quantize_init(type);
    std::atomic<int64_t> next{ 0 };
    const auto work = [&] {
        std::vector<char> blocks(ROWS * ggml_row_size(type, columns));
        for (int64_t row = next.fetch_add(ROWS); row < rows; row = next.fetch_add(ROWS)) {
            const int64_t count = std::min(ROWS, rows - row);
            ggml_quantize_chunk(type, weights + row * columns, blocks.data(), 0, count, columns, importance);
            ggml_get_type_traits(type)->to_float(blocks.data(), result + row * columns, count * columns);
        }
    };
    std::vector<std::thread> others;
    for (int i = 1; i < threads; i++) {
        others.emplace_back(work);
    }
    work();
    for (std::thread & other : others) {
        other.join();
    }
    return 0;
}
