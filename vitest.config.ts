import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{bench,infra,stacks,tools,tests}/**/*.test.ts"],
    exclude: ["tests/e2e/**", "tests/fleet/**", "tests/cloud/**", "node_modules/**"],
  },
});
