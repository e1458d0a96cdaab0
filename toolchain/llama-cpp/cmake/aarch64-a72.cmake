# Cross toolchain: a Raspberry Pi 4 (Cortex-A72, ARMv8.0-A) from any Debian or Ubuntu builder.

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)

set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

# Plain ARMv8.0-A also outside ggml: what the compiler adds by itself (atomics, CRC) must run on the A72 too.
set(CMAKE_C_FLAGS_INIT "-march=armv8-a -mtune=cortex-a72")
set(CMAKE_CXX_FLAGS_INIT "-march=armv8-a -mtune=cortex-a72")

# Fully static: the builder's glibc is often newer than the Pi's, and a dynamic binary would refuse to start there.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static -Wl,--build-id=none")

# Programs (git, python) come from the builder; headers and libraries only from the target.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu /usr/lib/gcc-cross/aarch64-linux-gnu)
