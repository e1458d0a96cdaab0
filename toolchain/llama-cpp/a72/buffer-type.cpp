// The buffer type that llama.cpp puts weights into where a kernel of ours multiplies them, and that multiplication.
//
// ggml-cpu.cpp asks ggml_backend_cpu_repack_buffer_type() for it. Upstream's own answer (repack.cpp) has kernels for CPUs
// with dotprod or i8mm only, so in a build for a Cortex-A72 this file stands in its place. `--no-repack` turns it off.
#include "kernels.h"

#include "ggml-backend-impl.h"
#include "ggml-cpu-impl.h"
#include "ggml-cpu.h"
#include "ggml-impl.h"
#include "traits.h"

#include <algorithm>
#include <cstring>

ggml_backend_buffer_type_t ggml_backend_cpu_repack_buffer_type();

namespace {

using pipress::Kernel;
using pipress::COLUMNS;
using pipress::ROWS;

// Weights that a thread takes at a time stay in its share of the L2 cache (1 MiB for four cores) over all columns, and
// columns in its L1 (32 KiB) or close to it over all of these weights.
constexpr int64_t CHUNK_BYTES  = 96 * 1024;
constexpr int64_t COLUMN_BLOCK = 16;

// A matrix in our layout: four rows at a time interleaved; up to three rows that are left at the end stay as they were.
void interleave(const Kernel & kernel, const ggml_tensor * tensor, const char * from) {
    char *        to     = (char *) tensor->data;
    const int64_t rows   = tensor->ne[1];
    const size_t  size   = tensor->nb[1];
    const int     blocks = tensor->ne[0] / ggml_blck_size(tensor->type);
    int64_t       row    = 0;
    for (; row + ROWS <= rows; row += ROWS) {
        kernel.interleave(blocks, from + row * size, to + row * size);
    }
    memcpy(to + row * size, from + row * size, (rows - row) * size);
}

// One multiplication: `weights` (rows in our layout) times columns that lie quantized in the work buffer.
struct Multiplication {
    const Kernel &      kernel;
    const ggml_tensor * weights;
    const ggml_tensor * source;  // columns as floats
    const ggml_tensor * product; // rows of the weights are its first dimension
    char *              columns; // quantized, one after the other

    int64_t n_columns   = ggml_nrows(source);
    size_t  column_size = ggml_row_size(kernel.activations, source->ne[0]);

    // This thread's share of every column, as upstream quantizes it.
    void quantize(int thread, int threads) const {
        const ggml_from_float_t from_float = ggml_get_type_traits_cpu(kernel.activations)->from_float;
        const int64_t block  = ggml_blck_size(kernel.activations);
        const int64_t blocks = source->ne[0] / block;
        const int64_t first = blocks * thread / threads, last = blocks * (thread + 1) / threads;
        if (first == last) {
            return;
        }
        for (int64_t c = 0; c < n_columns; c++) {
            const float * values = (const float *) at(source, c) + first * block;
            char *        to     = columns + c * column_size + ggml_row_size(kernel.activations, first * block);
            from_float(values, to, (last - first) * block);
        }
    }

    // Rows `first` up to `last`, all of whole groups of ROWS.
    void interleaved_rows(int64_t first, int64_t last) const {
        const int blocks = weights->ne[0] / ggml_blck_size(weights->type);
        for (int64_t c0 = 0; c0 < n_columns; c0 += COLUMN_BLOCK) {
            const int64_t c1 = std::min(c0 + COLUMN_BLOCK, n_columns);
            for (int64_t row = first; row < last; row += ROWS) {
                for (int64_t c = c0; c < c1; c += COLUMNS) {
                    const int    count = std::min<int64_t>(COLUMNS, c1 - c);
                    const void * pointers[COLUMNS];
                    float        results[COLUMNS][ROWS];
                    for (int i = 0; i < count; i++) {
                        pointers[i] = columns + (c + i) * column_size;
                    }
                    kernel.multiply[count - 1](blocks, row_of(row), pointers, results);
                    for (int i = 0; i < count; i++) {
                        memcpy((float *) at(product, c + i) + row, results[i], sizeof(results[i]));
                    }
                }
            }
        }
    }

    // Up to three rows at the end, one by one with upstream's kernel.
    void last_rows(int64_t first) const {
        const ggml_vec_dot_t vec_dot = ggml_get_type_traits_cpu(weights->type)->vec_dot;
        for (int64_t c = 0; c < n_columns; c++) {
            for (int64_t row = first; row < weights->ne[1]; row++) {
                float * result = (float *) at(product, c) + row;
                vec_dot(weights->ne[0], result, 0, row_of(row), 0, columns + c * column_size, 0, 1);
            }
        }
    }

  private:
    const void * row_of(int64_t row) const { return (const char *) weights->data + row * weights->nb[1]; }

    // Column `c` of all, counted over the dimensions above the first.
    static char * at(const ggml_tensor * tensor, int64_t c) {
        const int64_t * ne = tensor->ne;
        const size_t *  nb = tensor->nb;
        return (char *) tensor->data + c % ne[1] * nb[1] + c / ne[1] % ne[2] * nb[2] + c / (ne[1] * ne[2]) * nb[3];
    }
};

class Traits : public ggml::cpu::tensor_traits {
    bool work_size(int, const ggml_tensor * op, size_t & size) override {
        const Kernel * kernel = pipress::kernel_of(op->src[0]->type);
        size = ggml_row_size(kernel->activations, op->src[1]->ne[0]) * ggml_nrows(op->src[1]);
        return true;
    }

    bool compute_forward(ggml_compute_params * params, ggml_tensor * op) override {
        const ggml_tensor *  weights = op->src[0];
        const Kernel &       kernel  = *pipress::kernel_of(weights->type);
        const Multiplication work    = { kernel, weights, op->src[1], op, (char *) params->wdata };

        work.quantize(params->ith, params->nth);
        if (params->ith == 0) {
            ggml_threadpool_chunk_set(params->threadpool, params->nth); // a thread begins with the chunk of its number
        }
        ggml_barrier(params->threadpool);

        const int64_t groups     = weights->ne[1] / ROWS;
        const int64_t fair       = groups / (4 * params->nth); // so that threads end together
        const int64_t cached     = CHUNK_BYTES / (ROWS * weights->nb[1]);
        const int64_t chunk_rows = ROWS * std::max<int64_t>(1, std::min(fair, cached));
        const int64_t whole      = groups * ROWS; // rows
        const int64_t chunks     = (whole + chunk_rows - 1) / chunk_rows;
        for (int64_t chunk = params->ith; chunk <= chunks; chunk = ggml_threadpool_chunk_add(params->threadpool, 1)) {
            if (chunk < chunks) {
                work.interleaved_rows(chunk * chunk_rows, std::min((chunk + 1) * chunk_rows, whole));
            } else {
                work.last_rows(whole);
            }
        }
        return true;
    }
};

Traits traits;

class ExtraBufferType : public ggml::cpu::extra_buffer_type {
    // Products of a whole matrix and floats. Experts (MUL_MAT_ID) are left to upstream.
    bool supports_op(ggml_backend_dev_t, const ggml_tensor * op) override {
        if (op->op != GGML_OP_MUL_MAT || !is_ours(op->src[0]) || ggml_n_dims(op->src[0]) != 2) {
            return false;
        }
        const ggml_tensor * source = op->src[1];
        const bool is_host = source->buffer == nullptr || ggml_backend_buft_is_host(source->buffer->buft);
        return pipress::kernel_of(op->src[0]->type) != nullptr && is_host && source->type == GGML_TYPE_F32 &&
               source->nb[0] == sizeof(float);
    }

    ggml::cpu::tensor_traits * get_tensor_traits(const ggml_tensor * op) override {
        const bool is_product = op->op == GGML_OP_MUL_MAT && is_ours(op->src[0]);
        return is_product ? (ggml::cpu::tensor_traits *) op->src[0]->extra : nullptr;
    }

    static bool is_ours(const ggml_tensor * tensor) {
        return tensor->buffer != nullptr && tensor->buffer->buft == ggml_backend_cpu_repack_buffer_type();
    }
};

ggml_status init_tensor(ggml_backend_buffer_t, ggml_tensor * tensor) {
    const bool has_kernel = pipress::kernel_of(tensor->type) != nullptr && ggml_n_dims(tensor) == 2;
    tensor->extra = has_kernel ? &traits : nullptr;
    return GGML_STATUS_SUCCESS;
}

void set_tensor(ggml_backend_buffer_t, ggml_tensor * tensor, const void * data, size_t offset, size_t size) {
    if (tensor->extra == nullptr) {
        memcpy((char *) tensor->data + offset, data, size);
        return;
    }
    GGML_ASSERT(offset == 0 && size == ggml_nbytes(tensor)); // llama.cpp loads tensors whole
    interleave(*pipress::kernel_of(tensor->type), tensor, (const char *) data);
}

ggml_backend_buffer_t alloc_buffer(ggml_backend_buffer_type_t type, size_t size) {
    ggml_backend_buffer_t buffer = ggml_backend_buft_alloc_buffer(ggml_backend_cpu_buffer_type(), size);
    if (buffer == nullptr) {
        return nullptr;
    }
    buffer->buft              = type;
    buffer->iface.init_tensor = init_tensor;
    buffer->iface.set_tensor  = set_tensor;
    buffer->iface.get_tensor  = nullptr; // nobody reads a weight back
    buffer->iface.cpy_tensor  = nullptr;
    return buffer;
}

} // namespace

ggml_backend_buffer_type_t ggml_backend_cpu_repack_buffer_type() {
    static ggml_backend_buffer_type type = [] {
        ggml_backend_buffer_type t = {};
        t.iface.get_name      = [](ggml_backend_buffer_type_t) { return "CPU_A72"; };
        t.iface.alloc_buffer  = alloc_buffer;
        t.iface.get_alignment = [](ggml_backend_buffer_type_t) -> size_t { return TENSOR_ALIGNMENT; };
        t.device              = ggml_backend_reg_dev_get(ggml_backend_cpu_reg(), 0);
        t.context             = static_cast<ggml::cpu::extra_buffer_type *>(new ExtraBufferType());
        return t;
    }();
    return &type;
}
