# Makes upstream's build cheaper without touching its sources. Read through CMAKE_PROJECT_llama.cpp_INCLUDE, so it
# runs right after upstream's project() call; the work is deferred until every target exists.
#
# What it may change: how code is batched, and how it is optimised where nothing is computed per weight.
# What it must not change: the kernels in ggml-cpu and ggml-quants keep upstream's -O3, and no option of the program.

# One compiler process reads the headers of a whole batch once, and instantiates its templates once. Batches stay
# small enough to keep all cores busy to the end.
function(pipress_batch target size)
  if(TARGET ${target})
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${size})
    get_target_property(folder ${target} SOURCE_DIR)
    list(TRANSFORM ARGN PREPEND ${folder}/)
    # Sources that cannot share a batch: they define what another one defines too.
    set_source_files_properties(${ARGN} TARGET_DIRECTORY ${target} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
endfunction()

# The same for some of a target's sources: what is in no group is compiled by itself.
function(pipress_group target name size)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  set(index 0)
  foreach(source ${ARGN})
    math(EXPR batch "${index} / ${size}")
    set_source_files_properties(
      ${source} TARGET_DIRECTORY ${target} PROPERTIES UNITY_GROUP ${name}_${batch} SKIP_UNITY_BUILD_INCLUSION OFF)
    math(EXPR index "${index} + 1")
  endforeach()
endfunction()

# The last -O on a command line wins, so this overrides the build type's -O3.
function(pipress_optimise level)
  foreach(target ${ARGN})
    if(TARGET ${target})
      target_compile_options(${target} PRIVATE ${level})
    endif()
  endforeach()
endfunction()

function(pipress_optimise_sources target level)
  get_target_property(folder ${target} SOURCE_DIR)
  list(TRANSFORM ARGN PREPEND ${folder}/)
  set_source_files_properties(${ARGN} TARGET_DIRECTORY ${target} PROPERTIES COMPILE_OPTIONS ${level})
endfunction()

function(pipress_build_less)
  # Graphs, caches, sampler, loader: work per layer or per token. Upstream batches only src/models, which is small; the
  # other sources take a compiler process 1.1 GB in batches of 16, and 0.65 GB in these, for the same time in all.
  # By themselves: one that defines what another one defines too, and the largest.
  get_target_property(sources llama SOURCES)
  get_target_property(folder llama SOURCE_DIR)
  list(FILTER sources INCLUDE REGEX "\\.cpp$")
  list(TRANSFORM sources PREPEND ${folder}/ REGEX "^[^/]")
  set(architectures ${sources})
  list(FILTER architectures INCLUDE REGEX "/models/[^/]+$")
  list(REMOVE_ITEM sources ${architectures} ${folder}/llama-kv-cache-dsv4.cpp ${folder}/llama-model.cpp)
  pipress_group(llama architectures 16 ${architectures})
  pipress_group(llama core 6 ${sources})
  pipress_optimise(-O2 llama)

  # Options, chat templates, JSON, HTTP: work per request or once.
  pipress_batch(llama-common 16 json.cpp jinja/value.cpp)
  pipress_batch(server-context 5)
  pipress_batch(llama-server-impl 5)
  pipress_optimise(
    -O1 llama-common cpp-httplib server-context llama-server-impl llama-quantize-impl llama-bench-impl)
  # One function that builds the table of all options; -O3 takes 38 s over it, -O1 still 26 s.
  pipress_optimise_sources(llama-common -O0 arg.cpp)

  # Image and audio input: linked by llama-server, never used with the text models this program ships.
  pipress_batch(mtmd 32 mtmd-helper.cpp mtmd-helper-gen.cpp)
  pipress_optimise(-O1 mtmd)

  # Reading model files, splitting work over several devices, training: not what a token is computed with.
  pipress_optimise_sources(ggml-base -O1 gguf.cpp ggml-backend-meta.cpp ggml-opt.cpp)
endfunction()

cmake_language(DEFER CALL pipress_build_less)
