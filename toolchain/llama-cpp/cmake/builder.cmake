# What the builder's tools are built with: cheaper, to their last line, and with three programs and a library more. Read
# right after upstream's project() call.

include(${CMAKE_CURRENT_LIST_DIR}/build-less.cmake)

# gcc 12 tells its optimiser that _tile_loadconfig reads eight bytes of its 64, so ggml's AMX kernels run with an empty
# tile configuration: an illegal instruction in the first product of a quantized model. AVX-512 serves as well.
include(CheckCXXCompilerFlag)
check_cxx_compiler_flag(-mno-amx-tile PIPRESS_KNOWS_AMX)
if(PIPRESS_KNOWS_AMX)
  add_compile_options(-mno-amx-tile -mno-amx-int8 -mno-amx-bf16)
endif()

function(pipress_server_flags)
  # Prints llama-server's options as JSON, from the parser llama-server itself uses.
  add_executable(pipress-server-flags EXCLUDE_FROM_ALL ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/server-flags.cpp)
  target_link_libraries(pipress-server-flags PRIVATE llama-common)
  target_compile_features(pipress-server-flags PRIVATE cxx_std_17)
  target_compile_options(pipress-server-flags PRIVATE -O0)
endfunction()

function(pipress_vocabulary)
  # Prints what llama-server makes of a model's vocabulary and chat template.
  add_executable(pipress-vocabulary EXCLUDE_FROM_ALL ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/vocabulary.cpp)
  target_link_libraries(pipress-vocabulary PRIVATE llama-common)
  target_compile_features(pipress-vocabulary PRIVATE cxx_std_17)
  target_compile_options(pipress-vocabulary PRIVATE -O0)
endfunction()

function(pipress_score)
  # Scores rows of token ids: perplexity, and divergence from a reference.
  add_executable(pipress-score EXCLUDE_FROM_ALL ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/score.cpp)
  target_link_libraries(pipress-score PRIVATE llama)
  target_compile_features(pipress-score PRIVATE cxx_std_17)
endfunction()

function(pipress_quantizer)
  # llama.cpp's quantizer, for training to load. The very objects that llama-quantize is linked from.
  set_target_properties(ggml-base PROPERTIES POSITION_INDEPENDENT_CODE ON)
  add_library(pipress-quantizer SHARED EXCLUDE_FROM_ALL ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/quantizer.cpp)
  target_link_libraries(pipress-quantizer PRIVATE ggml-base)
  target_compile_features(pipress-quantizer PRIVATE cxx_std_17)
  # The name of its target, as the programs beside it have theirs.
  set_target_properties(pipress-quantizer PROPERTIES PREFIX "" SUFFIX "")
endfunction()

function(pipress_flush_logs)
  foreach(target llama-quantize llama-imatrix llama-perplexity llama-bench)
    target_sources(${target} PRIVATE ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/flush-log.cpp)
    target_link_libraries(${target} PRIVATE llama-common)
    target_link_options(${target} PRIVATE -Wl,--wrap=main)
  endforeach()
endfunction()

# Its llama-server answers the questions of an evaluation, and no other tool does more with these than read its options.
function(pipress_builder_less)
  pipress_optimise(-O0 llama-common cpp-httplib server-context llama-server-impl mtmd)
endfunction()

cmake_language(DEFER CALL pipress_builder_less)
cmake_language(DEFER CALL pipress_server_flags)
cmake_language(DEFER CALL pipress_vocabulary)
cmake_language(DEFER CALL pipress_score)
cmake_language(DEFER CALL pipress_quantizer)
cmake_language(DEFER CALL pipress_flush_logs)
