import { ed25519 } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";

import { type Bytes, concat, toBase64 } from "./bytes";
import { bytes32 } from "./lines";
import { malformed } from "./refused";

const { Point } = ed25519;
const ORDER = Point.Fn.ORDER;
type Point = InstanceType<typeof Point>;

const littleEndian = (bytes: Uint8Array): bigint => bytes.reduceRight((value, byte) => value * 256n + BigInt(byte), 0n);

/** The point that 32 bytes are the canonical encoding of; none if there is none, or it is of small order. */
function usable(bytes: Uint8Array): Point | undefined {
  try {
    const point = Point.fromBytes(bytes, false);
    return point.isSmallOrder() ? undefined : point;
  } catch {
    return undefined;
  }
}

/** An Ed25519 public key that is canonical and not of small order. */
export class PublicKey {
  readonly #point: Point;

  private constructor(
    readonly bytes: Bytes,
    point: Point,
  ) {
    this.#point = point;
  }

  static fromBytes(bytes: Bytes): PublicKey {
    const point = bytes.length === 32 ? usable(bytes) : undefined;
    if (point === undefined) throw malformed("not a usable Ed25519 public key");
    return new PublicKey(bytes, point);
  }

  static parse(text: string): PublicKey {
    return PublicKey.fromBytes(bytes32(text));
  }

  toString(): string {
    return toBase64(this.bytes);
  }

  /**
   * The strict check of the protocol (section 1): cofactorless equation, canonical S, R not of small order. noble's own
   * `verify` multiplies by the cofactor even with `zip215: false`, and so takes signatures that ed25519-dalek refuses.
   */
  verifies(message: Uint8Array, signature: Uint8Array): boolean {
    if (signature.length !== 64) return false;
    const r = usable(signature.subarray(0, 32));
    const s = littleEndian(signature.subarray(32));
    if (r === undefined || s >= ORDER) return false;
    const hash = sha512(concat(signature.subarray(0, 32), this.bytes, message));
    const k = littleEndian(hash) % ORDER;
    return r.add(this.#point.multiplyUnsafe(k)).equals(Point.BASE.multiplyUnsafe(s));
  }
}

export const publicKeyOf = (seed: Uint8Array): Bytes => Uint8Array.from(ed25519.getPublicKey(seed));
export const sign = (seed: Uint8Array, message: Uint8Array): Bytes => Uint8Array.from(ed25519.sign(message, seed));
