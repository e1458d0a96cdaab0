// Scores rows of token ids: what llama-perplexity computes of a text, with every figure of every token, and of rows that
// begin with what the caller says. The second half of each row counts, so that each token has at least that much context.
//
//   pipress-score MODEL LENGTH ROWS reference LOGITS > SCORES
//   pipress-score MODEL LENGTH ROWS compare   LOGITS > SCORES
//
// ROWS: int32 ids, LENGTH in a row. `reference` writes the model's log-probabilities, `compare` reads another's. SCORES:
// float32, of each counted token its negative log-likelihood; behind it, in a comparison, the KL divergence from the
// reference, and 1 where both hold the same token for the likeliest. Progress ("[ROW]1,") goes to standard error.
//
// LOGITS: for each counted token two float32, scale and least log-probability, and a uint16 for every word of the
// vocabulary (as https://github.com/ggml-org/llama.cpp/tree/master/tools/perplexity keeps them).
#include "llama.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <sched.h>

// What is less likely than the likeliest by more than this, in nats, is kept as if it were by this much.
static const float RANGE = 16;
// What has less than this log-probability in the reference adds nothing to the divergence.
static const float NEGLIGIBLE = -16;

[[noreturn]] static void fail(const char * what, const char * which) {
    fprintf(stderr, "error: %s %s\n", which, what);
    exit(1);
}

static int usable_cores() {
    cpu_set_t cores;
    return sched_getaffinity(0, sizeof(cores), &cores) == 0 ? CPU_COUNT(&cores) : 1;
}

struct kept {
    float    scale;
    float    least;
    uint16_t steps[];
};

static float log_sum_exp(const float * logits, int n, float largest) {
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += expf(logits[i] - largest);
    }
    return largest + float(log(sum));
}

static void keep(const float * logits, int n, kept & out) {
    const auto [smallest, largest] = std::minmax_element(logits, logits + n);
    const float low  = std::max(*smallest, *largest - RANGE);
    out.scale        = (*largest - low) / 65535;
    out.least        = low - log_sum_exp(logits, n, *largest);
    for (int i = 0; i < n; i++) {
        const float steps = out.scale > 0 ? (logits[i] - low) / out.scale : 0;
        out.steps[i]      = uint16_t(std::clamp(std::lround(steps), 0L, 65535L));
    }
}

static void compare(const float * logits, int n, const kept & reference, float * divergence, float * same) {
    const int   likeliest = int(std::max_element(logits, logits + n) - logits);
    const float total     = log_sum_exp(logits, n, logits[likeliest]);
    double      sum       = 0;
    int         other     = 0;
    for (int i = 0; i < n; i++) {
        const float log_p = reference.least + reference.scale * reference.steps[i];
        if (log_p > NEGLIGIBLE) {
            sum += double(expf(log_p)) * (log_p - (logits[i] - total));
        }
        if (reference.steps[i] > reference.steps[other]) {
            other = i;
        }
    }
    *divergence = float(sum);
    // Words that the reference rounds to the same log-probability are equally likely to it.
    *same = reference.steps[likeliest] == reference.steps[other] ? 1 : 0;
}

int main(int argc, char ** argv) {
    const std::string mode = argc == 6 ? argv[4] : "";
    if (mode != "reference" && mode != "compare") {
        fprintf(stderr, "usage: %s MODEL LENGTH ROWS reference|compare LOGITS > SCORES\n", argv[0]);
        return 2;
    }
    const bool comparing = mode == "compare";
    const int  length    = atoi(argv[2]);
    FILE *     rows      = fopen(argv[3], "rb");
    FILE *     file      = fopen(argv[5], comparing ? "rb" : "wb");
    if (rows == nullptr || file == nullptr) {
        fail("cannot be opened", rows == nullptr ? argv[3] : argv[5]);
    }

    llama_log_set([](ggml_log_level level, const char * text, void *) {
        if (level >= GGML_LOG_LEVEL_WARN) fputs(text, stderr);
    }, nullptr);
    llama_backend_init();
    llama_model * model = llama_model_load_from_file(argv[1], llama_model_default_params());
    if (model == nullptr) {
        fail("does not load", argv[1]);
    }
    llama_context_params params = llama_context_default_params();
    params.n_ctx = params.n_batch = length;
    params.n_ubatch               = std::min(length, 512);
    params.n_threads = params.n_threads_batch = usable_cores();
    llama_context * context = llama_init_from_model(model, params);
    if (context == nullptr) {
        fail("takes no context of that length", argv[1]);
    }

    const int    words    = llama_vocab_n_tokens(llama_model_get_vocab(model));
    const int    first    = length / 2;
    const int    counted  = length - 1 - first;
    const size_t size     = sizeof(kept) + ((words + 1) / 2) * 2 * sizeof(uint16_t);
    const int    per_word = comparing ? 3 : 1;

    std::vector<llama_token> ids(length);
    std::vector<char>        logs(size * counted);
    std::vector<float>       scores(size_t(per_word) * counted);
    llama_batch              batch = llama_batch_init(length, 0, 1);
    for (int row = 1; fread(ids.data(), sizeof(llama_token), length, rows) == size_t(length); row++) {
        if (comparing && fread(logs.data(), 1, logs.size(), file) != logs.size()) {
            fail("does not hold log-probabilities of these rows and this vocabulary", argv[5]);
        }
        llama_memory_clear(llama_get_memory(context), true);
        batch.n_tokens = length;
        for (int i = 0; i < length; i++) {
            if (ids[i] < 0 || ids[i] >= words) {
                fail("holds an id beyond the model's vocabulary", argv[3]);
            }
            batch.token[i] = ids[i];
            batch.pos[i] = i;
            batch.n_seq_id[i] = 1;
            batch.seq_id[i][0] = 0;
            batch.logits[i] = i >= first && i < length - 1;
        }
        if (llama_decode(context, batch) != 0) {
            fail("cannot be run", argv[1]);
        }
        std::atomic<int> next{ 0 };
        llama_synchronize(context);
        const auto work = [&] {
            for (int i = next++; i < counted; i = next++) {
                const float * logits  = llama_get_logits(context) + size_t(i) * words;
                const float   largest = *std::max_element(logits, logits + words);
                kept &        log     = *reinterpret_cast<kept *>(logs.data() + i * size);
                scores[i * per_word]  = log_sum_exp(logits, words, largest) - logits[ids[first + i + 1]];
                if (comparing) {
                    compare(logits, words, log, &scores[i * per_word + 1], &scores[i * per_word + 2]);
                } else {
                    keep(logits, words, log);
                }
            }
        };
        std::vector<std::thread> workers;
        for (int i = 1; i < params.n_threads; i++) {
            workers.emplace_back(work);
        }
        work();
        for (std::thread & worker : workers) {
            worker.join();
        }
        if (!comparing && fwrite(logs.data(), 1, logs.size(), file) != logs.size()) {
            fail("cannot be written", argv[5]);
        }
        if (fwrite(scores.data(), sizeof(float), scores.size(), stdout) != scores.size() || fflush(stdout) != 0) {
            fail("cannot be written", "standard output");
        }
        fprintf(stderr, "[%d]1,", row);
    }
    // A reference of more rows than these is of something else.
    if (comparing && fgetc(file) != EOF) {
        fail("does not hold log-probabilities of these rows and this vocabulary", argv[5]);
    }
    if (fclose(file) != 0) {
        fail("cannot be written", argv[5]);
    }
    llama_batch_free(batch);
    llama_free(context);
    llama_model_free(model);
    return 0;
}
