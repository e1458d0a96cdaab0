// Prints what llama-server makes of a model's vocabulary, weights or not, as JSON: token ids of texts (a JSON array on
// standard input), the tokens that end an answer, and a question as the chat template puts it.
//
//   pipress-vocabulary MODEL QUESTION < TEXTS  ->  {"ids": [[1, 2]], "ends": [2], "prompt": "…"}
//
// A chat template that llama-server would not start with gives "problem" for "prompt".
#include "chat.h"
#include "common.h"
#include "json.h"

#include <cstdio>
#include <iostream>
#include <iterator>

int main(int argc, char ** argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL QUESTION < TEXTS\n", argv[0]);
        return 2;
    }
    llama_backend_init();
    llama_model_params params = llama_model_default_params();
    params.vocab_only = true;
    llama_model * model = llama_model_load_from_file(argv[1], params);
    if (model == nullptr) {
        fprintf(stderr, "error: %s does not load\n", argv[1]);
        return 1;
    }
    const llama_vocab * vocab = llama_model_get_vocab(model);

    const std::string input{ std::istreambuf_iterator<char>(std::cin), {} };
    common_json ids = common_json::array();
    for (const common_json & text : common_json::parse(input)) {
        ids.push_back(common_tokenize(vocab, text.get<std::string>(), /* add_special= */ true, /* parse_special= */ true));
    }
    std::vector<llama_token> ends;
    for (llama_token token = 0; token < llama_vocab_n_tokens(vocab); token++) {
        if (llama_vocab_is_eog(vocab, token)) {
            ends.push_back(token);
        }
    }
    common_json result = common_json::object();
    result["ids"]  = ids;
    result["ends"] = ends;
    try {
        const common_chat_templates_ptr templates = common_chat_templates_init(model, "");
        common_chat_msg question;
        question.role    = "user";
        question.content = argv[2];
        common_chat_templates_inputs inputs;
        inputs.messages = { question };
        // The first token of a text comes with its ids: a template's own is taken away, as llama-server does.
        inputs.add_bos  = llama_vocab_get_add_bos(vocab);
        result["prompt"] = common_chat_templates_apply(templates.get(), inputs).prompt;
    } catch (const std::exception & error) {
        result["problem"] = std::string(error.what());
    }
    printf("%s\n", result.dump().c_str());
    llama_model_free(model);
    return 0;
}
