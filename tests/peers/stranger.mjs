// A stranger's client, written from docs/protocol.md alone: it shares no code with ours. It takes a manifest's file and
// the text of an incident, and writes a sealed report with one attachment to standard output.
//
//   node stranger.mjs MANIFEST INCIDENT >report.age
import { createCipheriv, createHash, createHmac, createPrivateKey, createPublicKey, randomBytes, randomInt, sign }
  from "node:crypto";
import { readFileSync } from "node:fs";
import { XWing } from "@noble/post-quantum/hybrid.js";
import { bech32 } from "@scure/base";

const [manifestFile, incident] = process.argv.slice(2);
const base64 = (bytes) => Buffer.from(bytes).toString("base64");
const unpadded = (bytes) => base64(bytes).replace(/=+$/, "");
const sha256 = (bytes) => createHash("sha256").update(bytes).digest();
const hmac = (key, bytes) => createHmac("sha256", key).update(bytes).digest();
const empty = Buffer.alloc(0);

// RFC 5869. node's own caps the context at 1,024 bytes, and a recipient has 1,216.
function expand(prk, info, length) {
  let block = empty;
  let out = empty;
  for (let counter = 1; out.length < length; counter++) {
    block = hmac(prk, Buffer.concat([block, info, Buffer.from([counter])]));
    out = Buffer.concat([out, block]);
  }
  return out.subarray(0, length);
}
const hkdf = (salt, secret, info, length) => expand(hmac(salt, secret), Buffer.from(info), length);

function chacha20poly1305(key, nonce, plaintext) {
  const cipher = createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: 16 });
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

// ── The manifest ────────────────────────────────────────────────────────────────────────────────────────────────────
const note = readFileSync(manifestFile, "utf8");
const text = note.slice(0, note.lastIndexOf("\n\n") + 1);
const instance = text.split("\n")[1];
const epoch = Number(text.match(/^epoch (\d+)$/m)[1]);
const slots = [...text.matchAll(/^slot (\S+) /gm)].map(([, recipient]) =>
  Uint8Array.from(bech32.fromWords(bech32.decode(recipient, false).words)));

// ── A slot's stanza: HPKE base mode (RFC 9180), KEM 0x647a, HKDF-SHA256, ChaCha20Poly1305 ───────────────────────────
const suite = Buffer.from("HPKE\x64\x7a\x00\x01\x00\x03", "latin1");
const labeled = (label, bytes) => Buffer.concat([Buffer.from("HPKE-v1"), suite, Buffer.from(label), bytes]);
const extract = (salt, label, bytes) => hmac(salt, labeled(label, bytes));

function stanza(fileKey, recipient) {
  const randomness = hkdf("marram/v1/seal/encapsulation", fileKey, recipient, 64);
  const { cipherText, sharedSecret } = XWing.encapsulate(recipient, new Uint8Array(randomness));
  const zeros = Buffer.alloc(32);
  const context = Buffer.concat([
    Buffer.from([0]),
    extract(zeros, "psk_id_hash", empty),
    extract(zeros, "info_hash", Buffer.from("age-encryption.org/mlkem768x25519")),
  ]);
  const secret = extract(Buffer.from(sharedSecret), "secret", empty);
  const derive = (label, length) =>
    expand(secret, Buffer.concat([Buffer.from([0, length]), labeled(label, context)]), length);
  const wrapped = chacha20poly1305(derive("key", 32), derive("base_nonce", 12), fileKey);
  return `-> mlkem768x25519 ${unpadded(cipherText)}\n${unpadded(wrapped)}\n`;
}

function grease() {
  const word = () => String.fromCharCode(...Array.from({ length: 1 + randomInt(8) }, () => 33 + randomInt(94)));
  const words = [`${word()}-grease`, ...Array.from({ length: randomInt(5) }, word)];
  const body = unpadded(randomBytes(randomInt(100)));
  const lines = Array.from({ length: Math.floor(body.length / 64) + 1 }, (_, line) => body.slice(line * 64, line * 64 + 64));
  return `-> ${words.join(" ")}\n${lines.join("\n")}\n`;
}

// ── The payload ─────────────────────────────────────────────────────────────────────────────────────────────────────
function entry(path, content) {
  const header = Buffer.alloc(512);
  const octal = (value, at, digits) => header.write(value.toString(8).padStart(digits, "0"), at);
  header.write(path);
  octal(0o600, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(content.length, 124, 11);
  octal(0, 136, 11);
  header.write("0", 156);
  header.write("ustar\x0000", 257);
  octal(header.reduce((sum, byte) => sum + byte, 8 * 32), 148, 7);
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

const entropy = randomBytes(16);
const seed = hkdf("marram/v1/codename/signing-key", entropy, "", 32);
const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
const codename = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
const attachment = randomBytes(30_000);
const report = Buffer.from(JSON.stringify({
  type: "marram/report/v1",
  instance,
  epoch,
  manifest: sha256(text).toString("hex"),
  codename_key: base64(createPublicKey(codename).export({ format: "der", type: "spki" }).subarray(12)),
  reply_key: base64(hkdf("marram/v1/codename/reply-key", entropy, "", 32)),
  continues: false,
  attachments: [{ sha256: sha256(attachment).toString("hex"), size_bytes: attachment.length }],
  answers: {},
  incident: JSON.parse(incident),
}));
const archive = Buffer.concat([
  entry("report.json", report),
  entry("report.sig", sign(null, report, codename)),
  entry("attachments/00", attachment),
]);

// ── The bucket: the least power of two that holds it with the longest grease there is ───────────────────────────────
function capacity(bucket) {
  for (let room = bucket - (260 + 1557 * slots.length) - 16; room > 0; room--) {
    const chunks = Math.ceil(room / 65_552);
    if (room - 65_552 * (chunks - 1) > 16) return room - 16 * chunks;
  }
  return 0;
}
let bucket = 16_384;
while (capacity(bucket) < Math.max(16_384, archive.length + 1024)) bucket *= 2;

// ── The age file ────────────────────────────────────────────────────────────────────────────────────────────────────
const fileKey = randomBytes(16);
const start = `age-encryption.org/v1\n${slots.map((slot) => stanza(fileKey, slot)).join("")}${grease()}---`;
const header = Buffer.from(`${start} ${unpadded(hmac(hkdf("", fileKey, "header", 32), Buffer.from(start)))}\n`);
const nonce = randomBytes(16);
const payloadKey = hkdf(nonce, fileKey, "payload", 32);
const body = bucket - header.length - nonce.length;
const chunks = Math.ceil(body / 65_552);
const payload = Buffer.concat([archive, Buffer.alloc(body - 16 * chunks - archive.length)]);
const sealed = Array.from({ length: chunks }, (_, chunk) => {
  const counter = Buffer.alloc(12);
  counter.writeUInt32BE(chunk, 7);
  counter[11] = chunk === chunks - 1 ? 1 : 0;
  return chacha20poly1305(payloadKey, counter, payload.subarray(chunk * 65_536, (chunk + 1) * 65_536));
});
process.stdout.write(Buffer.concat([header, nonce, ...sealed]));
