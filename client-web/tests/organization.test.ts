import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { parseFiles, parseOrganization } from "../src/app/organization";
import { fromUtf8, utf8 } from "../src/crypto/bytes";
import { verifyChain } from "../src/crypto/charter";
import { verifyManifest } from "../src/crypto/manifest";

const { chain, manifest, fingerprints } = JSON.parse(
  readFileSync(new URL("../../crypto/tests/vectors/notes.json", import.meta.url), "utf8"),
) as { chain: string; manifest: string; fingerprints: [string, string] };
const whole = JSON.stringify({ charters: JSON.parse(chain) as unknown, manifest });

describe("charter and manifest", () => {
  it("come in one answer, in one file, or in two files of any order", () => {
    for (const { charters, manifest: note } of [
      parseOrganization(utf8(whole)),
      parseFiles([utf8(whole)]),
      parseFiles([utf8(chain), utf8(manifest)]),
      parseFiles([utf8(manifest), utf8(chain)]),
    ]) {
      expect(fromUtf8(note)).toBe(manifest);
      expect(verifyManifest(note, verifyChain(charters, fingerprints[1])).epoch).toBeGreaterThan(0);
    }
  });

  it("are refused when something is missing, of another kind, or too much", () => {
    const refused = [
      "", "null", "[]", '"x"', "{}", whole.slice(0, -1), whole.replace('"manifest"', '"more":1,"manifest"'),
      JSON.stringify({ charters: [], manifest: 1 }), " ".repeat(4_000_001), "<!doctype html><title>Sign in</title>",
    ];
    for (const text of refused) expect(() => parseOrganization(utf8(text)), text.slice(0, 40)).toThrow(/Refused|JSON|field|text|bytes/);
    for (const files of [[], [chain], [manifest], [manifest, manifest]]) {
      expect(() => parseFiles(files.map(utf8))).toThrow(/organization.json/);
    }
  });
});
