import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{infra,stacks,tools,bench,tests}/**/*.test.ts"],
    exclude: ["tests/e2e/**", "tests/fleet/**", "node_modules/**"],
  },
});
