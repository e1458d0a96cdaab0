# Makes upstream's build cheaper without touching its sources. Read through CMAKE_PROJECT_llama.cpp_INCLUDE, so it
# runs right after upstream's project() call; the work is deferred until every target exists.
#
# What it may change: how code is batched and optimised where nothing is computed per weight or per logit.
# What it must not change: ggml (kernels), the sampler and quantizer in `llama`: they keep upstream's -O3.

# One compiler process reads a batch's headers once. Batches stay small enough to keep all cores busy to the end.
function(pipress_batch target size)
  if(TARGET ${target})
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${size})
  endif()
endfunction()

# The last -O on a command line wins, so this overrides the build type's -O3.
function(pipress_optimise target level)
  if(TARGET ${target})
    target_compile_options(${target} PRIVATE ${level})
  endif()
endfunction()

function(pipress_build_less)
  # Argument parsing, chat templates, JSON, downloads: runs once per request or less.
  pipress_optimise(llama-common -O1)
  pipress_optimise(server-context -O1)
  pipress_optimise(llama-server-impl -O1)
  pipress_optimise(cpp-httplib -O1)
  pipress_optimise(llama-quantize-impl -O1)
  pipress_optimise(llama-bench-impl -O1)
  # Image and audio input: linked by llama-server, never used with the text models this program ships.
  pipress_optimise(mtmd -O1)

  # One huge function that builds the table of options; even -O1 takes half a minute over it.
  set_source_files_properties(${CMAKE_SOURCE_DIR}/common/arg.cpp
    TARGET_DIRECTORY llama-common PROPERTIES COMPILE_OPTIONS -O0 SKIP_UNITY_BUILD_INCLUSION ON)

  # Prints llama-server's options as JSON, from the parser llama-server itself uses.
  add_executable(pipress-server-flags EXCLUDE_FROM_ALL ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/server-flags.cpp)
  target_link_libraries(pipress-server-flags PRIVATE llama-common)
  target_compile_features(pipress-server-flags PRIVATE cxx_std_17)
  target_compile_options(pipress-server-flags PRIVATE -O0)
endfunction()

cmake_language(DEFER CALL pipress_build_less)
