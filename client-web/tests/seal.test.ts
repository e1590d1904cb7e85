import { execFileSync } from "node:child_process";
import { createHash, createPublicKey, verify } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { x25519 } from "@noble/curves/ed25519.js";
import { XWing } from "@noble/post-quantum/hybrid.js";
import { bech32 } from "@scure/base";
import { Decrypter, generateHybridIdentity, identityToRecipient } from "age-encryption";
import { HybridIdentity } from "typage/recipients.js";
import { describe, expect, it } from "vitest";

import { TooLarge, bucketFor, capacity, fill, payloadLength, smallest } from "../src/crypto/bucket";
import { fromHex, random, toBase64, toHex, utf8 } from "../src/crypto/bytes";
import { Codename } from "../src/crypto/codename";
import { digest } from "../src/crypto/digest";
import { grease, headerLength, longest } from "../src/crypto/header";
import { Recipient } from "../src/crypto/hybrid";
import { PublicKey, x25519Base } from "../src/crypto/key";
import type { Content } from "../src/crypto/report";
import { measure, seal, sizeOf } from "../src/crypto/seal";
import { archiveLength, entryHeader } from "../src/crypto/ustar";

const identities = await Promise.all(Array.from({ length: 8 }, generateHybridIdentity));
const signer = PublicKey.parse("+ycOQkIX4FxH0ObRS+snX3RNJMtGqOwVXDZcaWc+v5I=");
const slots = await Promise.all(
  identities.map(async (identity) => ({ recipient: Recipient.parse(await identityToRecipient(identity)), signer })),
);
const target = { instance: "ab".repeat(16), epoch: 2950, hash: "cd".repeat(32), limit: 2 ** 28, slots };
const content: Content = { continues: false, answers: { q: "yes" }, incident: { schema: "marram/incident/v1", narrative: "他们晚上来了。" } };

const encodeRecipient = (bytes: Uint8Array) => bech32.encode("age1pq", bech32.toWords(bytes), false);
const recipientOf = (seed: Uint8Array) => encodeRecipient(XWing.keygen(seed).publicKey);
const open = async (blob: Blob, identity: string) => {
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  return decrypter.decrypt(new Uint8Array(await blob.arrayBuffer()));
};

describe("hybrid keys", () => {
  it("multiples of X25519's base point are those of its own ladder", () => {
    const secrets = [...Array.from({ length: 50 }, () => random(32)), new Uint8Array(32), new Uint8Array(32).fill(255)];
    for (const secret of secrets) expect(toHex(x25519Base(secret))).toBe(toHex(x25519.scalarMultBase(secret)));
  });

  it("the stanza of the protocol's vector comes out, byte for byte", () => {
    const recipient = Recipient.parse(recipientOf(new Uint8Array(32).fill(1)));
    expect(toHex(digest(recipient.bytes))).toBe("f37b99b2db732a7df55f61fa442606133b1aeea462df9f8225fb5c82674523db");
    const stanza = recipient.wrap(new Uint8Array(16).fill(9));
    const lines = `-> ${stanza.args.join(" ")}\n${toBase64(stanza.body).replace(/=+$/, "")}\n`;
    expect(toHex(digest(utf8(lines)))).toBe("677dad818ab09cc2486e99a70387b902f81765c7ac60d3da4230ff4574ccb04e");
  });

  it("classical, damaged and low-order recipients are refused", () => {
    const good = slots[0]!.recipient;
    const last = good.text.at(-1) === "q" ? "p" : "q";
    for (const text of [
      "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kudyt0c8sqrxv8g",
      good.text.toUpperCase(),
      good.text.slice(0, -1) + last,
      good.text.slice(0, -1),
      "age1pq1",
    ]) {
      expect(() => Recipient.parse(text), text.slice(0, 20)).toThrow();
    }
    for (const low of ["00".repeat(32), `01${"00".repeat(31)}`, `ed${"ff".repeat(30)}7f`, "ff".repeat(32)]) {
      const bytes = good.bytes.slice();
      bytes.set(fromHex(low, 32), 1184);
      expect(() => Recipient.parse(encodeRecipient(bytes)), low).toThrow(/unusable point/);
    }
    const words = bech32.toWords(good.bytes);
    for (const [change, what] of [[1, "a second spelling"], [2, "another second spelling"]] as const) {
      const other = [...words.slice(0, -1), words.at(-1)! | change];
      expect(() => Recipient.parse(bech32.encode("age1pq", other, false)), what).toThrow(/damaged/);
    }
    expect(() => Recipient.parse(bech32.encode("age1pq", [...words, 0], false))).toThrow(/damaged/);
    const bytes = good.bytes.slice();
    bytes.fill(0xff, 0, 3);
    expect(() => Recipient.parse(encodeRecipient(bytes))).toThrow(/coefficient/);
  });
});

describe("buckets", () => {
  it("are those of the protocol's table", () => {
    const rows: [number, number, (number | undefined)[]][] = [
      [1, 32, [30_919, 63_687, 129_207, 260_247, 1_046_487]],
      [8, 32, [20_020, 52_788, 118_308, 249_348, 1_035_588]],
      [10, 32, [16_906, 49_674, 115_194, 246_234, 1_032_474]],
      [11, 64, [undefined, 48_117, 113_637, 244_677, 1_030_917]],
      [31, 64, [undefined, 16_977, 82_497, 213_537, 999_777]],
      [32, 128, [undefined, undefined, 80_940, 211_980, 998_220]],
    ];
    for (const [slots, least, capacities] of rows) {
      expect(smallest(slots)).toBe(least * 1024);
      for (const [index, kib] of [32, 64, 128, 256, 1024].entries()) {
        if (capacities[index] !== undefined) expect(capacity(kib * 1024, slots)).toBe(capacities[index]);
      }
    }
    expect(capacity(2 ** 28, 8)).toBe(268_357_204);
  });

  it("a payload takes the least that holds it, and one that fits none is refused", () => {
    expect(bucketFor(20_020, 8, 2 ** 28)).toBe(32_768);
    expect(bucketFor(20_021, 8, 2 ** 28)).toBe(65_536);
    expect(() => bucketFor(268_357_205, 8, 2 ** 28)).toThrow(TooLarge);
    expect(payloadLength(65_552 + 16)).toBeUndefined();
    expect(fill(131_072, longest(8))).toBe(118_308);
  });
});

describe("grease", () => {
  it("has the bounds and the spread that the protocol gives it", () => {
    const lengths = new Set<number>();
    const sizes = new Set<number>();
    const extra = new Set<number>();
    for (let n = 0; n < 4000; n++) {
      const stanza = grease(random);
      const length = headerLength(8, stanza) - headerLength(8, { args: ["x"], body: new Uint8Array(0) }) + 6;
      expect(length).toBeGreaterThanOrEqual(13);
      expect(length).toBeLessThanOrEqual(190);
      expect(stanza.args[0]).toMatch(/^[\x21-\x7e]{1,8}-grease$/);
      for (const word of stanza.args.slice(1)) expect(word).toMatch(/^[\x21-\x7e]{1,8}$/);
      lengths.add(length);
      sizes.add(stanza.body.length);
      extra.add(stanza.args.length - 1);
    }
    expect(extra).toEqual(new Set([0, 1, 2, 3, 4]));
    expect(sizes.size).toBe(100);
    expect(Math.max(...sizes)).toBe(99);
    expect(lengths.size).toBeGreaterThan(120);
  });
});

describe("ustar", () => {
  it("the header of the protocol's example comes out", () => {
    const header = Buffer.from(entryHeader("report.json", 1234));
    expect(header.subarray(100, 157).toString("latin1").replaceAll("\0", "·")).toBe(
      "0000600·0000000·0000000·00000002322·00000000000·0010142·0",
    );
    expect(header.subarray(257, 265).toString("latin1")).toBe("ustar\x0000");
    expect(archiveLength([1234, 64])).toBe(4096);
  });
});

describe("sealed reports", () => {
  it("have exactly the bucket's length, open with every slot's identity in stock typage, and unpack with tar", async () => {
    const codename = Codename.draw(random);
    const pictures = [random(30_000), random(5), new Uint8Array(0)];
    const files = await Promise.all(pictures.map((bytes) => measure(new Blob([bytes]))));
    const sealed = await seal(target, codename, content, files, random);
    expect(sealed.size).toBe(65_536);
    expect(sealed.size).toBe(sizeOf(target, codename, content, files));
    expect(sealed.blob.size).toBe(sealed.size);
    expect(toHex(sealed.digest)).toBe(toHex(digest(new Uint8Array(await sealed.blob.arrayBuffer()))));

    const payloads = await Promise.all(identities.map((identity) => open(sealed.blob, identity)));
    for (const payload of payloads) expect(Buffer.compare(payload, payloads[0]!)).toBe(0);
    const folder = mkdtempSync(join(tmpdir(), "sealed-"));
    try {
      writeFileSync(join(folder, "payload.tar"), payloads[0]!);
      execFileSync("tar", ["xif", "payload.tar"], { cwd: folder });
      const json = readFileSync(join(folder, "report.json"));
      const report = JSON.parse(json.toString()) as Record<string, unknown>;
      expect(Object.keys(report)).toEqual([
        "type", "instance", "epoch", "manifest", "codename_key", "reply_key", "continues", "attachments", "answers", "incident",
      ]);
      expect(report["incident"]).toEqual(content.incident);
      pictures.forEach((bytes, index) => {
        const written = readFileSync(join(folder, `attachments/0${index}`));
        expect(Buffer.compare(written, bytes)).toBe(0);
        const { sha256, size_bytes } = (report["attachments"] as { sha256: string; size_bytes: number }[])[index]!;
        expect([sha256, size_bytes]).toEqual([createHash("sha256").update(bytes).digest("hex"), bytes.length]);
      });
      const spki = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), codename.publicKey()]);
      const key = createPublicKey({ key: spki, format: "der", type: "spki" });
      expect(verify(null, json, key, readFileSync(join(folder, "report.sig")))).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("have one length, whatever grease is drawn, and at every edge of a bucket", async () => {
    const codename = Codename.draw(random);
    const bare = sizeOf(target, codename, content, []);
    expect(bare).toBe(32_768);
    for (const length of [15_000, 17_400, 17_408, 17_409, 17_900, 17_920, 17_921, 18_432, 18_433, 50_177, 115_713]) {
      const files = [await measure(new Blob([random(length)]))];
      const size = sizeOf(target, codename, content, files);
      const sealed = await seal(target, codename, content, files, random);
      expect(sealed.size, String(length)).toBe(size);
    }
  });

  it("a file that changed after it was measured stops the sealing", async () => {
    const file = await measure(new Blob([utf8("before")]));
    const changed = { ...file, blob: new Blob([utf8("after!")]) };
    await expect(seal(target, Codename.draw(random), content, [changed], random)).rejects.toThrow(/changed/);
  });

  it("a report beyond the limit is refused before anything is sealed", async () => {
    const small = { ...target, limit: 32_768 };
    const files = [await measure(new Blob([random(40_000)]))];
    await expect(seal(small, Codename.draw(random), content, files, random)).rejects.toThrow(TooLarge);
  });

  it("every slot's stanza can be made again from the file key: the report is wholly sealed", async () => {
    const sealed = await seal(target, Codename.draw(random), content, [], random);
    const text = Buffer.from(await sealed.blob.arrayBuffer()).toString("latin1");
    const stanzas = text.slice(22, text.indexOf("\n---")).split("\n-> ").map((stanza) => stanza.replace(/^-> /, ""));
    const bodies = stanzas.slice(0, 8).map((stanza) => {
      const [args, body] = stanza.split("\n");
      return { args: args!.split(" "), body: Uint8Array.from(Buffer.from(body!, "base64")) };
    });
    const fileKey = new HybridIdentity(identities[3]!).unwrapFileKey(bodies);
    expect(fileKey).not.toBeNull();
    slots.forEach(({ recipient }, index) => {
      const again = recipient.wrap(fileKey!);
      expect(again.args).toEqual(bodies[index]!.args);
      expect(Buffer.compare(again.body, bodies[index]!.body)).toBe(0);
    });
    expect(stanzas[8]).toMatch(/^[\x21-\x7e]{1,8}-grease/);
    expect(stanzas).toHaveLength(9);
  });
});
