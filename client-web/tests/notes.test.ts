import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { fromHex, toHex, utf8 } from "../src/crypto/bytes";
import { verifyChain } from "../src/crypto/charter";
import { parseDay } from "../src/crypto/day";
import { digest } from "../src/crypto/digest";
import { digits, parseLink } from "../src/crypto/fingerprint";
import { PublicKey } from "../src/crypto/key";
import { checkOpen, verifyManifest } from "../src/crypto/manifest";
import { UntrustedNote } from "../src/crypto/note";
import { verifyReceipt } from "../src/crypto/receipt";
import { Refused } from "../src/crypto/refused";
import { strictJson } from "../src/crypto/strict_json";
import { parseQuestion } from "../src/crypto/question";

/** What our Rust code wrote, and holds itself to. */
const vectors = JSON.parse(readFileSync(new URL("../../crypto/tests/vectors/notes.json", import.meta.url), "utf8")) as {
  chain: string;
  fingerprints: [string, string];
  manifest: string;
  manifest_hash: string;
  receipt: string;
};

const reason = (attempt: () => unknown): string => {
  try {
    attempt();
  } catch (error) {
    if (error instanceof Refused) return error.reason;
    throw error;
  }
  return "accepted";
};

const [first, second] = vectors.fingerprints;
const chain = () => verifyChain(utf8(vectors.chain), second);

describe("charter", () => {
  it("a chain is verified up to either fingerprint, and the newest charter is believed", () => {
    for (const fingerprint of vectors.fingerprints) {
      const { newest, charters } = verifyChain(utf8(vectors.chain), fingerprint);
      expect(newest.fingerprint).toBe(second);
      expect(newest.version).toBe(2);
      expect(newest.name).toContain("Example Organization");
      expect(charters).toHaveLength(2);
    }
  });

  it("another organization's fingerprint is refused", () => {
    expect(reason(() => verifyChain(utf8(vectors.chain), "0".repeat(64)))).toBe("signature");
  });

  it("a chain is refused if any letter of what is signed was changed", () => {
    for (const [from, to] of [
      ["threshold 2", "threshold 1"],
      ["example.org/contact", "example.com/contact"],
      ["version 2", "version 3"],
    ] as const) {
      expect(reason(() => verifyChain(utf8(vectors.chain.replaceAll(from, to)), second))).not.toBe("accepted");
    }
  });

  it("a charter is refused that too few keys of the one before have signed", () => {
    const [old, changed] = JSON.parse(vectors.chain) as [string, string];
    const oneSignature = changed.slice(0, changed.lastIndexOf("\u2014"));
    expect(reason(() => verifyChain(utf8(JSON.stringify([old, oneSignature])), second))).toBe("signature");
  });

  it("the same key twice counts once", () => {
    const [old, changed] = JSON.parse(vectors.chain) as [string, string];
    const lines = changed.split("\n");
    const twice = [...lines.slice(0, -2), lines.at(-3), ""].join("\n");
    expect(reason(() => verifyChain(utf8(JSON.stringify([old, twice])), second))).toBe("signature");
  });

  it("the first charter alone is a chain, and the second alone is none", () => {
    const [old, changed] = JSON.parse(vectors.chain) as [string, string];
    expect(verifyChain(utf8(JSON.stringify([old])), first).newest.version).toBe(1);
    expect(reason(() => verifyChain(utf8(JSON.stringify([changed])), second))).toBe("signature");
  });
});

describe("manifest", () => {
  const manifest = () => verifyManifest(utf8(vectors.manifest), chain());

  it("says what the Rust code says of it", () => {
    const { hash, epoch, slots, limit, questions, contacts, board } = manifest();
    expect(hash).toBe(vectors.manifest_hash);
    expect({ epoch, limit, questions: questions.length, slots: slots.length > 0 }).toEqual({
      epoch: 2950,
      limit: 268_435_456,
      questions: 1,
      slots: true,
    });
    expect(contacts).toEqual([
      { locale: undefined, text: "+00 000 000" },
      { locale: "zh-Hant", text: "緊急聯絡" },
    ]);
    expect(board).toEqual({ shards: 1, tags: 2048, cells: 64, days: 7 });
  });

  it("is refused outside its dates", () => {
    const open = (day: string) => reason(() => checkOpen(manifest(), parseDay(day)));
    expect(["2026-07-19", "2026-07-20", "2026-07-26", "2026-07-27"].map(open)).toEqual([
      "dates",
      "accepted",
      "accepted",
      "dates",
    ]);
  });

  it("is refused if a recipient is not post-quantum, and by that name", () => {
    const classical = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kudyt0c8sqrxv8g";
    const changed = vectors.manifest.replace(/age1pq1\S+/, classical);
    expect(reason(() => verifyManifest(utf8(changed), chain()))).toBe("not_post_quantum");
  });

  it("is refused if any line was changed, moved, repeated or left out", () => {
    const lines = vectors.manifest.split("\n");
    const end = lines.indexOf("");
    for (let at = 0; at < end; at++) {
      for (const changed of [
        lines.toSpliced(at, 1),
        lines.toSpliced(at, 0, lines[at]!),
        lines.toSpliced(at, 1, `${lines[at]} `),
      ]) {
        expect(reason(() => verifyManifest(utf8(changed.join("\n")), chain())), lines[at]).not.toBe("accepted");
      }
    }
  });

  it("is refused under a chain whose newest charter it does not name", () => {
    const [old] = JSON.parse(vectors.chain) as [string];
    const shorter = verifyChain(utf8(JSON.stringify([old])), first);
    expect(reason(() => verifyManifest(utf8(vectors.manifest), shorter))).toBe("signature");
  });
});

describe("receipt", () => {
  const log = PublicKey.parse("+ycOQkIX4FxH0ObRS+snX3RNJMtGqOwVXDZcaWc+v5I=");
  const instance = "5e3d02dc710ff2c23994ff5904f4f002";
  const leaf = UntrustedNote.parse(utf8(vectors.receipt)).text.split("\n")[2]!.slice(5);
  const sent = {
    digest: Uint8Array.from(Buffer.from(leaf, "base64").subarray(0, 32)),
    epoch: 2950,
    size: 32_768,
  };
  const check = (given: Partial<typeof sent>, day = "2026-07-22", receipt = vectors.receipt) =>
    reason(() => verifyReceipt(utf8(receipt), instance, log, { ...sent, ...given }, parseDay(day)));

  it("is accepted for exactly what was sent, from yesterday's clock to that of three days later", () => {
    expect(["2026-07-20", "2026-07-21", "2026-07-22", "2026-07-25", "2026-07-26"].map((day) => check({}, day))).toEqual([
      "dates",
      "accepted",
      "accepted",
      "accepted",
      "dates",
    ]);
  });

  it("is refused for another report, epoch or size, and if a letter was changed", () => {
    expect(check({ digest: new Uint8Array(32) })).toBe("signature");
    expect(check({ epoch: 2951 })).toBe("signature");
    expect(check({ size: 65_536 })).toBe("signature");
    expect(check({}, "2026-07-22", vectors.receipt.replace("leaf p", "leaf q"))).toBe("signature");
    expect(check({}, "2026-07-22", `${vectors.receipt}\n`)).toBe("format");
  });
});

describe("keys and signatures", () => {
  it("points of low order and non-canonical encodings are no keys", () => {
    for (const point of [
      "0100000000000000000000000000000000000000000000000000000000000000",
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0000000000000000000000000000000000000000000000000000000000000080",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "0100000000000000000000000000000000000000000000000000000000000080",
    ]) {
      expect(reason(() => PublicKey.fromBytes(fromHex(point, 32))), point).toBe("format");
    }
  });

  it("a signature that only the cofactored equation accepts is refused (speccheck, vector 4)", () => {
    // https://github.com/novifinancial/ed25519-speccheck, case 4: A and R of mixed order.
    const key = fromHex("cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d", 32);
    const message = fromHex("e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c", 32);
    const signature = fromHex(
      "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed5125ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
      64,
    );
    expect(PublicKey.fromBytes(key).verifies(message, signature)).toBe(false);
  });

  it("a signature with S not below the order is refused, and RFC 8032's own vector is accepted", () => {
    const key = PublicKey.fromBytes(fromHex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", 32));
    const signature = fromHex(
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
      64,
    );
    expect(key.verifies(Uint8Array.of(0x72), signature)).toBe(true);
    expect(key.verifies(Uint8Array.of(0x73), signature)).toBe(false);
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    let s = signature.subarray(32).reduceRight((value, byte) => value * 256n + BigInt(byte), 0n) + order;
    const high = signature.slice();
    for (let at = 32; at < 64; at++, s >>= 8n) high[at] = Number(s & 255n);
    expect(key.verifies(Uint8Array.of(0x72), high)).toBe(false);
  });
});

describe("digits and link", () => {
  it("digits are the digest modulo ten to the sixty", () => {
    expect(digits(toHex(digest(utf8("abc")))).join(" ")).toBe(
      "36652 38349 28142 26366 01048 83695 01651 43774 62985 82971 68170 89965",
    );
    expect(digits("ff".repeat(32)).join(" ")).toBe(
      "42357 09850 08687 90785 32699 84665 64056 40394 57584 00791 31296 39935",
    );
  });

  it("a link gives origin and fingerprint, and everything else is none", () => {
    const print = "0123456789abcdef".repeat(4);
    const onion = `${"a".repeat(56)}.onion`;
    expect(parseLink(` HTTPS://Report.Example.org:8443/#${print}\n`)).toEqual({
      origin: "https://report.example.org:8443",
      fingerprint: print,
    });
    for (const origin of [`http://${onion}`, "http://127.0.0.1:8080", "http://localhost", "https://xn--fiq228c.example"]) {
      expect(parseLink(`${origin}/#${print}`)?.origin, origin).toBe(origin);
    }
    for (const link of [
      `http://example.org/#${print}`,
      `http://short.onion/#${print}`,
      `https://user@example.org/#${print}`,
      `https://example.org/path#${print}`,
      `https://example.org/?q#${print}`,
      `https://example.org:0/#${print}`,
      `https://example.org:65536/#${print}`,
      `https://example..org/#${print}`,
      `https://-a.org/#${print}`,
      `https://example.org/#${print.toUpperCase()}`,
      `https://example.org/#${print}0`,
      `javascript://example.org/#${print}`,
      `#${print}`,
    ]) {
      expect(parseLink(link), link).toBeUndefined();
    }
  });
});

describe("questions", () => {
  const json = (value: unknown) => JSON.stringify(value);
  const good = { id: "q", kind: "choice", text: { en: "?" }, choices: [{ code: "a", text: { en: "A" } }, { code: "b", text: { en: "B" } }] };

  it("are refused with unknown fields, doubled keys, a missing English wording, and choices that do not fit", () => {
    expect(parseQuestion(json(good)).choices).toHaveLength(2);
    for (const bad of [
      json({ ...good, more: 1 }),
      json({ ...good, kind: "text" }),
      json({ ...good, text: { ug: "?" } }),
      json({ ...good, choices: [good.choices[0]] }),
      json({ ...good, choices: [good.choices[0], good.choices[0]] }),
      json({ ...good, text: { en: "a\nb" } }),
      json({ ...good, id: "Q" }),
      '{"id":"q","kind":"text","text":{"en":"?","\\u0065n":"!"}}',
      '{"id":"q","id":"q","kind":"text","text":{"en":"?"}}',
    ]) {
      expect(reason(() => parseQuestion(bad)), bad).toBe("format");
    }
  });

  it("strict JSON looks for doubled keys in every object, and in no array or string", () => {
    expect(strictJson('{"a":["a","a",{"a":"{\\"a\\":1,\\"a\\":2}"}],"b":{"a":1}}')).toBeDefined();
    expect(reason(() => strictJson('[{"b":[{"a":1,"c":{"d":1},"a":2}]}]'))).toBe("format");
  });
});
