import { defineConfig } from "vitest/config";

// With Firefox ESR, whose engine is Tor Browser's: `npm run build` first.
export default defineConfig({
  test: { include: ["tests/firefox/*.test.mjs"], testTimeout: 300_000, hookTimeout: 300_000, fileParallelism: false },
});
