// Reports as the page seals them, for tests that compare them with the command line's: `node tools/seal-many.mjs`.
// Takes { charters, manifest, fingerprint, narratives: [length…] } as JSON; gives for each the size (4 bytes) and the first
// 16,384 bytes.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { createServer } from "vite";

const { charters, manifest, fingerprint, narratives } = JSON.parse(readFileSync(0, "utf8"));
const vite = await createServer({
  root: fileURLToPath(new URL("..", import.meta.url)),
  server: { middlewareMode: true, hmr: false, ws: false },
  appType: "custom",
  logLevel: "silent",
});
const load = (name) => vite.ssrLoadModule(`/src/crypto/${name}.ts`);
const { verifyChain } = await load("charter");
const { verifyManifest } = await load("manifest");
const { Codename } = await load("codename");
const { random } = await load("bytes");
const { seal } = await load("seal");

const target = verifyManifest(Buffer.from(manifest), verifyChain(Buffer.from(charters), fingerprint));
const parts = [];
for (const length of narratives) {
  const content = { continues: false, answers: {}, incident: { narrative: "n".repeat(length) } };
  const { blob } = await seal(target, Codename.draw(random), content, [], random);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(blob.size);
  parts.push(size, Buffer.from(await blob.slice(0, 16_384).arrayBuffer()));
}
await vite.close();
process.stdout.write(Buffer.concat(parts), () => process.exit(0));
