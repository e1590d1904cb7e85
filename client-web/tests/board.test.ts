import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { describe, expect, it } from "vitest";

import { acknowledged, answers, shardOf, verifyBoard } from "../src/crypto/board";
import { type Bytes, bigEndian, concat, fromHex, random, toBase64, toHex, utf8 } from "../src/crypto/bytes";
import { Codename } from "../src/crypto/codename";
import { formatDay } from "../src/crypto/day";
import { digest } from "../src/crypto/digest";
import { PublicKey, publicKeyOf, sign } from "../src/crypto/key";
import { ACKNOWLEDGEMENT_TAG, CELL_KEY, derive } from "../src/crypto/labels";
import type { Manifest } from "../src/crypto/manifest";

// A desk as the protocol describes it (section 24), made for these tests.
const instance = "ab".repeat(16);
const seeds = [random(32), random(32), random(32)];
const shape = { shards: 4, tags: 64, cells: 10, days: 7 };
const manifest = {
  instance,
  epoch: 2951,
  board: shape,
  slots: seeds.slice(0, 2).map((seed) => ({ signer: PublicKey.fromBytes(publicKeyOf(seed)) })),
} as unknown as Manifest;
const today = 7 * 2951 + 4;

function note(text: string, by: Bytes[]): Bytes {
  const lines = by.map((seed) => {
    const key = publicKeyOf(seed);
    const id = digest(concat(utf8("marram\n"), Uint8Array.of(1), key)).subarray(0, 4);
    return `\u2014 marram ${toBase64(concat(id, sign(seed, utf8(text))))}\n`;
  });
  return utf8(`${text}\n${lines.join("")}`);
}

interface Hung {
  tags?: [Bytes, number][];
  texts?: [Bytes, string][];
  by?: Bytes[];
  epoch?: number;
  day?: number;
  shard?: string;
}

function board({ tags = [], texts = [], by = [seeds[2]!, seeds[1]!], epoch = 2950, day = today, shard = "000" }: Hung): Bytes {
  const image = random(shape.tags * 16 + shape.cells * 4096);
  const salt = random(16);
  tags.forEach(([key, count], place) =>
    image.set(derive(ACKNOWLEDGEMENT_TAG, key, concat(salt, bigEndian(count, 4)), 16), 16 * (place + 3)),
  );
  let cell = 9;
  for (const [key, text] of texts) {
    const bytes = utf8(text);
    const id = random(16);
    const parts = Math.ceil(bytes.length / 4024);
    for (let part = 0; part < parts; part++) {
      const piece = bytes.subarray(part * 4024, (part + 1) * 4024);
      const plain = new Uint8Array(4048);
      plain.set(concat(id, Uint8Array.of(part, parts), bigEndian(today - 2, 4), bigEndian(piece.length, 2), piece));
      const cellSalt = random(32);
      const sealed = chacha20poly1305(derive(CELL_KEY, key, cellSalt, 32), new Uint8Array(12), fromHex(instance, 16)).encrypt(plain);
      image.set(concat(cellSalt, sealed), shape.tags * 16 + 4096 * cell--);
    }
  }
  const header =
    `marram/board/v1\n${instance}\nepoch ${epoch}\nday ${formatDay(day)}\nshard ${shard}\n` +
    `salt ${toHex(salt)}\nimage ${toHex(digest(image))}\n`;
  return concat(note(header, by), image);
}

const mine = Codename.fromEntropy(new Uint8Array(16).fill(7)).replyKey();
const other = Codename.draw(random).replyKey();
const verified = (hung: Hung) => verifyBoard(board(hung), manifest, "000", today);

describe("board", () => {
  it("shows the acknowledgements and answers of the own codename, and nobody else's", async () => {
    const long = "ئۇيغۇر ".repeat(1200);
    const hung = verified({ tags: [[mine, 3], [other, 8]], texts: [[mine, long], [other, "for somebody else"], [mine, "short"]] });
    expect(acknowledged(hung, mine)).toBe(3);
    expect(acknowledged(hung, other)).toBe(8);
    expect(acknowledged(hung, random(32))).toBe(0);
    const found = await answers(hung, mine);
    expect(found.incomplete).toBe(0);
    expect(found.answers.map(({ text }) => text).sort()).toEqual(["short", long]);
    expect(found.answers[0]!.day).toBe(today - 2);
    expect((await answers(hung, random(32))).answers).toEqual([]);
  });

  it("an answer of which a part is missing is counted and not shown", async () => {
    const bytes = board({ texts: [[mine, "x".repeat(9000)]] });
    const cells = bytes.length - shape.cells * 4096;
    const image = bytes.subarray(bytes.length - (shape.tags * 16 + shape.cells * 4096));
    bytes.set(random(4096), cells + 8 * 4096);
    const text = new TextDecoder().decode(bytes.subarray(0, bytes.length - image.length)).split("\n\n")[0]!;
    const again = concat(note(`${text.replace(/image .*/, `image ${toHex(digest(image))}`)}\n`, [seeds[1]!, seeds[0]!]), image);
    const found = await answers(verifyBoard(again, manifest, "000", today), mine);
    expect(found).toEqual({ answers: [], incomplete: 1 });
  });

  it("is refused if no slot has signed, if a byte of it was changed, and for another shard, week, size or day", () => {
    const refused = (hung: Hung, change = (bytes: Bytes) => bytes, shard = "000") =>
      expect(() => verifyBoard(change(board(hung)), manifest, shard, today), JSON.stringify(hung)).toThrow();
    expect(() => verified({ epoch: 2951 })).not.toThrow();
    refused({ by: [seeds[2]!, random(32)] });
    refused({ by: [seeds[1]!] });
    refused({ epoch: 2949 });
    refused({ epoch: 2952 });
    refused({ shard: "001" });
    refused({ shard: "004" }, undefined, "004");
    refused({ day: today + 2 });
    refused({}, (bytes) => bytes.subarray(0, -1));
    refused({}, (bytes) => concat(bytes, Uint8Array.of(0)));
    for (const at of [60, 400, 1200, 30_000]) {
      refused({}, (bytes) => {
        bytes[at]! ^= 1;
        return bytes;
      });
    }
  });

  it("is stale after twice its cadence", () => {
    expect(verified({ day: today - 14 }).stale).toBe(false);
    expect(verified({ day: today - 15 }).stale).toBe(true);
    expect(verified({ day: today + 1 }).stale).toBe(false);
  });

  it("the shard is the leading bits of a hash of the reply key", () => {
    expect(shardOf(mine, 1)).toBe("000");
    const shards = [2, 4, 4096].map((shards) => Number.parseInt(shardOf(mine, shards), 16));
    expect(shards[0]).toBe(shards[1]! >> 1);
    expect(shards[1]).toBe(shards[2]! >> 10);
  });
});
