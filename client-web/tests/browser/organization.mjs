// An organization for looking at the page: founded in a moment, with keys that nobody keeps. What it writes is written
// from docs/protocol.md alone, and shares no code with the page.
import { createCipheriv, createHash, generateKeyPairSync, hkdfSync, randomBytes, sign } from "node:crypto";

import { generateHybridIdentity, identityToRecipient } from "age-encryption";

const base64 = (bytes) => Buffer.from(bytes).toString("base64");
const sha256 = (bytes) => createHash("sha256").update(bytes).digest();
const hkdf = (salt, key, info, length) => Buffer.from(hkdfSync("sha256", key, salt, info, length));

export function keyPair() {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const bytes = publicKey.export({ format: "der", type: "spki" }).subarray(12);
  return { privateKey, bytes, text: base64(bytes) };
}

function signed(text, keys) {
  const lines = keys.map(({ privateKey, bytes }) => {
    const id = sha256(Buffer.concat([Buffer.from("marram\n"), Buffer.of(1), bytes])).subarray(0, 4);
    return `\u2014 marram ${base64(Buffer.concat([id, sign(null, Buffer.from(text), privateKey)]))}\n`;
  });
  return `${text}\n${lines.join("")}`;
}

export const epochOf = (day) => Math.floor((day - 4) / 7);
export const dayOf = (date) => Math.floor(date / 86_400_000);
const iso = (day) => new Date(day * 86_400_000).toISOString().slice(0, 10);

/** Founds one. `today` is a day number; `recipients` replaces those of the slots; `signatures` of three keyholders sign the manifest. */
export async function found({ today = dayOf(Date.now()), name = "Harbour House", questions = [], contacts = ["* In danger now: 112 (Europe), 911 (North America)."], board = "1 2048 64 7", recipients, limit = 2 ** 28, signatures = 2 } = {}) {
  const instance = randomBytes(16).toString("hex");
  const roots = [keyPair(), keyPair(), keyPair()].sort((a, b) => Buffer.compare(a.bytes, b.bytes));
  const charterText = `marram/charter/v1\n${instance}\nversion 1\nprevious -\nname ${name}\ncontact https://harbour.example/contact\nthreshold 2\n${roots.map(({ text }) => `root ${text}\n`).join("")}`;
  const fingerprint = sha256(charterText).toString("hex");
  const log = keyPair();
  const signers = Array.from({ length: 8 }, keyPair);
  const identities = await Promise.all(signers.map(() => generateHybridIdentity()));
  const keys = recipients ?? (await Promise.all(identities.map(identityToRecipient)));
  const epoch = epochOf(today);
  const manifestText = [
    "marram/manifest/v1",
    instance,
    `epoch ${epoch}`,
    "version 1",
    `opens ${iso(7 * epoch + 4)}`,
    `closes ${iso(7 * epoch + 11)}`,
    `charter ${fingerprint}`,
    `log ${log.text}`,
    `limit ${limit}`,
    "retention 90",
    "promise 14",
    `board ${board}`,
    ...contacts.map((contact) => `contact ${contact}`),
    ...questions.map((question) => `question ${JSON.stringify(question)}`),
    ...keys.map((recipient, slot) => `slot ${recipient} ${signers[slot].text}`),
    "",
  ].join("\n");
  const [, tags, cells] = board.split(" ").map(Number);

  const charters = [signed(charterText, roots.slice(0, 2))];
  const manifest = signed(manifestText, roots.slice(0, signatures));
  return {
    instance,
    epoch,
    fingerprint,
    identities,
    charters,
    manifest,
    /** What `/v1/organization` answers. */
    file: JSON.stringify({ charters, manifest }),
    hash: sha256(manifestText).toString("hex"),

    /** The receipt for a sealed report. */
    receipt(body, day = today) {
      const number = (value) => {
        const bytes = Buffer.alloc(4);
        bytes.writeUInt32BE(value);
        return bytes;
      };
      const leaf = Buffer.concat([sha256(body), number(epoch), number(day), Buffer.of(Math.log2(body.length))]);
      return signed(`marram/receipt/v1\n${instance}\nleaf ${base64(leaf)}\n`, [log]);
    },

    /** A board, for `[reply key, reports read]` and `[reply key, answer]`; `signer` makes it instead of a caseworker. */
    board({ acknowledged = [], answers = [], day = today, shard = "000", signer = signers[5], week = epoch } = {}) {
      const image = randomBytes(tags * 16 + cells * 4096);
      const salt = randomBytes(16);
      acknowledged.forEach(([key, count], place) => {
        const n = Buffer.from([0, 0, 0, count]);
        hkdf("marram/v1/board/acknowledgement-tag", key, Buffer.concat([salt, n]), 16).copy(image, 16 * (place + 7));
      });
      let cell = 0;
      for (const [key, text] of answers) {
        const bytes = Buffer.from(text);
        const id = randomBytes(16);
        const parts = Math.ceil(bytes.length / 4024);
        for (let part = 0; part < parts; part++) {
          const piece = bytes.subarray(part * 4024, (part + 1) * 4024);
          const plain = Buffer.alloc(4048);
          id.copy(plain);
          plain[16] = part;
          plain[17] = parts;
          plain.writeUInt32BE(day - 1, 18);
          plain.writeUInt16BE(piece.length, 22);
          piece.copy(plain, 24);
          const at = tags * 16 + 4096 * (2 * cell++ + 1);
          const cellSalt = randomBytes(32);
          const cipher = createCipheriv("chacha20-poly1305", hkdf("marram/v1/board/cell-key", key, cellSalt, 32), Buffer.alloc(12), { authTagLength: 16 });
          cipher.setAAD(Buffer.from(instance, "hex"), { plaintextLength: plain.length });
          Buffer.concat([cellSalt, cipher.update(plain), cipher.final(), cipher.getAuthTag()]).copy(image, at);
        }
      }
      const header = `marram/board/v1\n${instance}\nepoch ${week}\nday ${iso(day)}\nshard ${shard}\nsalt ${salt.toString("hex")}\nimage ${sha256(image).toString("hex")}\n`;
      return Buffer.concat([Buffer.from(signed(header, [signer, keyPair()])), image]);
    },
  };
}

/** The reply key of twelve English words, as their entropy. */
export const replyKeyOf = (entropy) => hkdf("marram/v1/codename/reply-key", entropy, "", 32);

/** Which of so many shards a reply key's answers hang in. */
export const shardOf = (key, shards) =>
  Math.floor((hkdf("marram/v1/board/shard", key, "", 2).readUInt16BE() * shards) / 65_536).toString(16).padStart(3, "0");
