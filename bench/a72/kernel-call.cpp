// Multiplies rows of zeros with columns of zeros once, for a trace of what is executed:
// trace TYPE COLUMNS ours|llama.cpp VALUES
// It prints the address of the kernel. What a kernel executes does not depend on the values.
#include "kernels.h"

#include "ggml-cpu.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

using namespace pipress;

int main(int argc, char ** argv) {
    if (argc != 5) {
        return 2;
    }
    const int  columns = atoi(argv[2]), values = atoi(argv[4]);
    ggml_type  type    = GGML_TYPE_COUNT;
    for (int t = 0; t < GGML_TYPE_COUNT; t++) {
        if (strcmp(ggml_type_name(ggml_type(t)), argv[1]) == 0) {
            type = ggml_type(t);
        }
    }
    const ggml_type_traits_cpu * traits = ggml_get_type_traits_cpu(type);
    const size_t column_size = ggml_row_size(traits->vec_dot_type, values);
    std::vector<char> rows(ROWS * ggml_row_size(type, values) + 4096), activations(columns * column_size);
    float results[COLUMNS][ROWS];
    if (strcmp(argv[3], "ours") == 0) {
        const Kernel * kernel = kernel_of(type);
        const void *   pointers[COLUMNS];
        for (int c = 0; c < columns; c++) {
            pointers[c] = activations.data() + c * column_size;
        }
        printf("%p\n", (void *) kernel->multiply[columns - 1]);
        kernel->multiply[columns - 1](values / ggml_blck_size(type), rows.data(), pointers, results);
    } else {
        printf("%p\n", (void *) traits->vec_dot);
        traits->vec_dot(values, results[0], 0, rows.data(), 0, activations.data(), 0, 1);
    }
    return 0;
}
