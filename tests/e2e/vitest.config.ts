import { defineConfig } from "vitest/config";

/** The real engine and a virtual Pi on two cores; each case builds on the one before, so the first failure ends it. */
export default defineConfig({
  test: {
    include: ["tests/e2e/*.test.ts"],
    fileParallelism: false,
    testTimeout: 30 * 60_000,
    hookTimeout: 20 * 60_000,
    bail: 1,
    reporters: ["verbose"],
  },
});
