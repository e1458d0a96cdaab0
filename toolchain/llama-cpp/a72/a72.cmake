# What llama.cpp for a Pi 4 is built with: cheaper, and with kernels of our own. Read right after upstream's project() call.

include(${CMAKE_CURRENT_LIST_DIR}/../cmake/build-less.cmake)

# Our files stand in the place of upstream's, which define the same buffer type for CPUs with dotprod or i8mm.
function(pipress_a72_kernels)
  set(folder ${CMAKE_CURRENT_FUNCTION_LIST_DIR})
  get_target_property(sources ggml-cpu SOURCES)
  list(FILTER sources EXCLUDE REGEX "(^|/)repack\\.cpp$")
  set_target_properties(ggml-cpu PROPERTIES SOURCES "${sources}")
  target_sources(ggml-cpu PRIVATE ${folder}/buffer-type.cpp ${folder}/kernels.cpp)
  # Makes ggml-cpu.cpp ask for the buffer type. GGML_CPU_REPACK=ON would do no more.
  target_compile_definitions(ggml-cpu PRIVATE GGML_USE_CPU_REPACK)
endfunction()

cmake_language(DEFER CALL pipress_a72_kernels)
