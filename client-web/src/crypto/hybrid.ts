import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { expand, extract } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { sha3_256 } from "@noble/hashes/sha3.js";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import { bech32 } from "@scure/base";
import { Stanza } from "typage/format.js";

import { type Bytes, bigEndian, concat, fromHex, same, toUnpadded, utf8, wipe } from "./bytes";
import { ENCAPSULATION, derive } from "./labels";
import { x25519Base } from "./key";
import { Refused, malformed } from "./refused";

export const STANZA_TYPE = "mlkem768x25519";
const LEN = 1216;
const MLKEM_LEN = 1184;

/** X25519 points that eight times are the identity (docs/protocol.md, section 20), in their canonical spelling. */
const LOW_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
].map((point) => fromHex(point, 32));

/** The public half of a post-quantum age key (docs/protocol.md, section 9). */
export class Recipient {
  private constructor(
    readonly text: string,
    readonly bytes: Bytes,
  ) {}

  static parse(text: string): Recipient {
    if (/^age1(?!pq1)/i.test(text)) {
      throw new Refused("not_post_quantum", `a recipient of an old kind: ${text.slice(0, 12)}…`);
    }
    if (!text.startsWith("age1pq1") || text !== text.toLowerCase()) throw malformed("not a recipient age1pq1…");
    const bytes = decode(text);
    if (bytes.length !== LEN) throw malformed("a recipient of another length");
    for (let at = 0; at < MLKEM_LEN - 32; at += 3) {
      const [a, b, c] = [bytes[at]!, bytes[at + 1]!, bytes[at + 2]!];
      if (a + 256 * (b % 16) >= 3329 || (b >> 4) + 16 * c >= 3329) {
        throw malformed("a recipient with a coefficient out of range");
      }
    }
    const point = bytes.subarray(MLKEM_LEN);
    // Not below 2^255 - 19: the top bit, or all ones from 0xed on.
    const canonical =
      point[31]! < 0x7f || (point[31] === 0x7f && (point.subarray(1, 31).some((byte) => byte !== 0xff) || point[0]! < 0xed));
    if (!canonical || LOW_ORDER.some((low) => same(low, point))) throw malformed("a recipient with an unusable point");
    return new Recipient(text, bytes);
  }

  /** Wraps a file key. The encapsulation is derived from it, so that the same key gives the same stanza. */
  wrap(fileKey: Uint8Array): Stanza {
    return wrap(fileKey, this.bytes);
  }
}

function decode(text: string): Bytes {
  try {
    const { prefix, words } = bech32.decode<string>(text as `${string}1${string}`, false);
    if (prefix === "age1pq") {
      // One spelling: `fromWords` refuses what is left over of the last character unless it is zero.
      return Uint8Array.from(bech32.fromWords(words));
    }
  } catch {
    // Below.
  }
  throw malformed("a damaged recipient");
}

/**
 * X-Wing's EncapsulateDerand (draft-connolly-cfrg-xwing-kem). noble has it, behind a module that brings NIST's curves
 * along; these are its ten lines over the same ML-KEM and X25519.
 */
function encapsulate(recipient: Bytes, randomness: Bytes): { cipherText: Bytes; sharedSecret: Bytes } {
  const point = recipient.subarray(MLKEM_LEN);
  const ephemeral = randomness.subarray(32);
  const mlkem = ml_kem768.encapsulate(recipient.subarray(0, MLKEM_LEN), randomness.subarray(0, 32));
  const ours = x25519Base(ephemeral);
  const shared = x25519.scalarMult(ephemeral, point);
  const label = Uint8Array.of(0x5c, 0x2e, 0x2f, 0x2f, 0x5e, 0x5c);
  const sharedSecret = Uint8Array.from(sha3_256(concat(mlkem.sharedSecret, shared, ours, point, label)));
  wipe(mlkem.sharedSecret, shared);
  return { cipherText: concat(mlkem.cipherText, ours), sharedSecret };
}

// HPKE base mode (RFC 9180): KEM 0x647a (X-Wing), HKDF-SHA256, ChaCha20Poly1305. Sequence number 0 only.
const SUITE = concat(utf8("HPKE"), bigEndian(0x647a, 2), bigEndian(1, 2), bigEndian(3, 2));
const INFO = utf8("age-encryption.org/mlkem768x25519");
const EMPTY = new Uint8Array(0);

const labeled = (label: string, bytes: Uint8Array) => concat(utf8("HPKE-v1"), SUITE, utf8(label), bytes);
const labeledExtract = (salt: Uint8Array, label: string, bytes: Uint8Array) =>
  extract(sha256, labeled(label, bytes), salt);
const labeledExpand = (secret: Uint8Array, label: string, info: Uint8Array, length: number) =>
  expand(sha256, secret, concat(bigEndian(length, 2), labeled(label, info)), length);

/** The key schedule's context, the same for every recipient. */
let context: Bytes | undefined;

function wrap(fileKey: Uint8Array, recipient: Bytes): Stanza {
  const randomness = derive(ENCAPSULATION, fileKey, recipient, 64);
  const { cipherText, sharedSecret } = encapsulate(recipient, randomness);
  context ??= concat(Uint8Array.of(0), labeledExtract(EMPTY, "psk_id_hash", EMPTY), labeledExtract(EMPTY, "info_hash", INFO));
  const secret = labeledExtract(sharedSecret, "secret", EMPTY);
  const key = labeledExpand(secret, "key", context, 32);
  const nonce = labeledExpand(secret, "base_nonce", context, 12);
  const body = chacha20poly1305(key, nonce).encrypt(fileKey);
  wipe(randomness, sharedSecret, secret, key);
  return new Stanza([STANZA_TYPE, toUnpadded(cipherText)], body);
}
