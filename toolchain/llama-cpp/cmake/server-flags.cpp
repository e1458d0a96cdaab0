// Prints every option llama-server accepts as one JSON object: {"--ctx-size": {"values": 1}, ...}.
// Linked with the same parser as llama-server, so that a config can be checked before anything is rolled out.
#include "arg.h"
#include "common.h"

#include <cstdio>

int main() {
    common_params params;
    const common_params_context context = common_params_parser_init(params, LLAMA_EXAMPLE_SERVER, nullptr);

    bool first = true;
    printf("{");
    for (const common_arg & option : context.options) {
        if (option.is_preset_only) {
            continue;
        }
        const int values = option.value_hint_2 ? 2 : option.value_hint ? 1 : 0;
        for (const std::string & name : option.get_args()) {
            printf("%s\n  \"%s\": { \"values\": %d }", first ? "" : ",", name.c_str(), values);
            first = false;
        }
    }
    printf("\n}\n");
    return 0;
}
