import { defineConfig } from "vitest/config";

/** The real engine and several hosts: one file after the other, and no case shorter than it needs. */
export default defineConfig({
  test: {
    include: ["tests/fleet/*.test.ts"],
    fileParallelism: false,
    testTimeout: 25 * 60_000,
    hookTimeout: 40 * 60_000,
    reporters: ["verbose"],
  },
});
