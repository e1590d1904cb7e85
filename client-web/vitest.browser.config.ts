import { defineConfig } from "vitest/config";

// With a real browser, and real programs: `npm run build` first.
export default defineConfig({
  test: { include: ["tests/browser/*.test.mjs"], testTimeout: 300_000, hookTimeout: 300_000, fileParallelism: false },
});
