// Multiplies random matrices in our buffer type and in upstream's, and compares the products.
//
// equality [TYPE...]: exits with 1 and says where they differ. Both sum the same integer products; only the order in which
// floats are added differs, so the allowed difference is a share of the sum of the terms' absolute values.
#include "kernels.h"

#include "ggml-alloc.h"
#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "traits.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

ggml_backend_buffer_type_t ggml_backend_cpu_repack_buffer_type();

namespace {

constexpr double TOLERANCE = 1e-6;

std::mt19937 chance(1);

// What a matrix is made of. FILLED has the same byte all over, but for some random bytes here and there: where they hit a
// scale, all weights of a group are the largest or the smallest of their type.
enum Weights { RANDOM = -1, ZERO = -2, FILLED = 0 }; // FILLED and above: the byte

enum class Values { RANDOM, LARGEST, LARGEST_OF_BOTH_SIGNS, ZERO };

std::vector<char> blocks(ggml_type type, int64_t values, int64_t rows, int kind) {
    std::vector<char> bytes(rows * ggml_row_size(type, values));
    // Where a block has its halves: at its start, but for some types at its end. They have to be numbers.
    const size_t size = ggml_type_size(type);
    const size_t half = sizeof(ggml_fp16_t);
    std::vector<size_t> scales;
    switch (type) {
        case GGML_TYPE_Q2_K: scales = { size - 2 * half, size - half }; break;
        case GGML_TYPE_Q3_K:
        case GGML_TYPE_Q6_K: scales = { size - half }; break;
        case GGML_TYPE_Q4_K:
        case GGML_TYPE_Q5_K: scales = { 0, half }; break;
        default:             scales = { 0 }; break;
    }
    for (size_t block = 0; block < bytes.size(); block += size) {
        const size_t first = chance() % size, last = first + 24;
        for (size_t i = 0; i < size; i++) {
            const bool is_random = kind == RANDOM || (kind >= FILLED && i >= first && i < last);
            bytes[block + i] = is_random ? chance() : kind >= FILLED ? kind : 0;
        }
        for (const size_t at : scales) {
            const float       d = kind == ZERO ? 0 : std::uniform_real_distribution<float>(-0.1f, 0.1f)(chance);
            const ggml_fp16_t h = ggml_fp32_to_fp16(d);
            memcpy(&bytes[block + at], &h, half);
        }
    }
    return bytes;
}

std::vector<float> floats(int64_t count, Values kind) {
    std::vector<float> values(count);
    for (float & value : values) {
        const float random = std::normal_distribution<float>()(chance);
        switch (kind) {
            case Values::RANDOM:                value = random; break;
            case Values::LARGEST:               value = 3; break;
            case Values::LARGEST_OF_BOTH_SIGNS: value = std::copysign(3.0f, random); break;
            case Values::ZERO:                  value = 0; break;
        }
    }
    return values;
}

std::vector<float> product(ggml_backend_t backend, ggml_backend_buffer_type_t buffer_type, ggml_type type, int64_t values,
                           int64_t rows, int64_t columns, const std::vector<char> & w, const std::vector<float> & a) {
    const ggml_init_params params = { 16 * ggml_tensor_overhead() + ggml_graph_overhead(), nullptr, true };
    ggml_context * for_weights = ggml_init(params);
    ggml_context * for_rest    = ggml_init(params);
    ggml_tensor *  weights     = ggml_new_tensor_2d(for_weights, type, values, rows);
    ggml_tensor *  source      = ggml_new_tensor_2d(for_rest, GGML_TYPE_F32, values, columns);
    ggml_tensor *  result      = ggml_mul_mat(for_rest, weights, source);
    ggml_cgraph *  graph       = ggml_new_graph(for_rest);
    ggml_build_forward_expand(graph, result);
    ggml_backend_buffer_t weights_buffer = ggml_backend_alloc_ctx_tensors_from_buft(for_weights, buffer_type);
    ggml_backend_buffer_t rest_buffer    = ggml_backend_alloc_ctx_tensors(for_rest, backend);
    ggml_backend_tensor_set(weights, w.data(), 0, w.size());
    ggml_backend_tensor_set(source, a.data(), 0, a.size() * sizeof(float));
    ggml_backend_graph_compute(backend, graph);
    std::vector<float> values_of_result(rows * columns);
    ggml_backend_tensor_get(result, values_of_result.data(), 0, ggml_nbytes(result));
    ggml_backend_buffer_free(weights_buffer);
    ggml_backend_buffer_free(rest_buffer);
    ggml_free(for_weights);
    ggml_free(for_rest);
    return values_of_result;
}

// The largest difference, as a share of what was summed up: sum |w| |a|, from what the weights are as floats.
double difference(ggml_type type, int64_t values, int64_t rows, int64_t columns, const std::vector<char> & w,
                  const std::vector<float> & a, const std::vector<float> & ours, const std::vector<float> & theirs) {
    double worst = 0;
    std::vector<float> row(values);
    for (int64_t r = 0; r < rows; r++) {
        ggml_get_type_traits(type)->to_float(w.data() + r * ggml_row_size(type, values), row.data(), values);
        for (int64_t c = 0; c < columns; c++) {
            double sum = 0;
            for (int64_t i = 0; i < values; i++) {
                sum += std::fabs((double) row[i] * a[c * values + i]);
            }
            const double apart = std::fabs((double) ours[c * rows + r] - theirs[c * rows + r]);
            worst = std::max(worst, std::isfinite(apart) ? apart / std::max(sum, 1e-30) : INFINITY);
        }
    }
    return worst;
}

struct Case {
    int64_t blocks, rows, columns;
    int     weights = RANDOM;
    Values  values  = Values::RANDOM;
};

std::vector<Case> cases() {
    std::vector<Case> all;
    for (int64_t columns = 1; columns <= 9; columns++) {
        all.push_back({ 3, 8, columns });
    }
    for (int64_t rows : { 1, 3, 4, 5, 7, 36 }) {
        all.push_back({ 1, rows, 1 });
        all.push_back({ 2, rows, 6, RANDOM, Values::LARGEST_OF_BOTH_SIGNS });
    }
    all.push_back({ 9, 12, 35 });
    for (int weights : { int(ZERO), int(RANDOM), 0x00, 0x7f, 0x80, 0xff }) {
        for (Values values : { Values::RANDOM, Values::LARGEST, Values::LARGEST_OF_BOTH_SIGNS, Values::ZERO }) {
            all.push_back({ 3, 8, 5, weights, values });
        }
    }
    return all;
}

bool is_equal(ggml_backend_t backend, ggml_type type) {
    double worst = 0;
    for (const Case & c : cases()) {
        const int64_t values = c.blocks * ggml_blck_size(type);
        const auto w = blocks(type, values, c.rows, c.weights);
        const auto a = floats(values * c.columns, c.values);
        const auto ours = product(backend, ggml_backend_cpu_repack_buffer_type(), type, values, c.rows, c.columns, w, a);
        const auto theirs = product(backend, ggml_backend_cpu_buffer_type(), type, values, c.rows, c.columns, w, a);
        const double apart = difference(type, values, c.rows, c.columns, w, a, ours, theirs);
        if (apart > TOLERANCE) {
            printf("%s: %d rows of %d values, %d columns, weights %d, columns' values %d: apart by %g\n",
                   ggml_type_name(type), int(c.rows), int(values), int(c.columns), c.weights, int(c.values), apart);
            return false;
        }
        worst = std::max(worst, apart);
    }
    printf("%s: %d products, apart by %g at most\n", ggml_type_name(type), int(cases().size()), worst);
    return true;
}

} // namespace

int main(int argc, char ** argv) {
    const auto & known = ggml_backend_cpu_get_extra_buffer_types();
    if (std::find(known.begin(), known.end(), ggml_backend_cpu_repack_buffer_type()) == known.end()) {
        printf("these libraries of ggml were built without our kernels: npm run bootstrap builds them anew\n");
        return 1;
    }
    ggml_backend_t backend = ggml_backend_cpu_init();
    ggml_backend_cpu_set_n_threads(backend, 2);
    bool equal = true;
    for (int t = 0; t < GGML_TYPE_COUNT; t++) {
        const ggml_type type = ggml_type(t);
        bool asked = argc == 1;
        for (int i = 1; i < argc; i++) {
            asked = asked || strcmp(argv[i], ggml_type_name(type)) == 0;
        }
        if (asked && pipress::kernel_of(type) != nullptr) {
            equal = is_equal(backend, type) && equal;
        }
    }
    ggml_backend_free(backend);
    return equal ? 0 : 1;
}
