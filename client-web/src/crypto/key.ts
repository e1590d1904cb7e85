import { ed25519 } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";

import { type Bytes, concat, toBase64 } from "./bytes";
import { bytes32 } from "./lines";
import { malformed } from "./refused";

const { Point } = ed25519;
const ORDER = Point.Fn.ORDER;
type Point = InstanceType<typeof Point>;

// What noble prepares for signing, by windows of 8 bits, takes longer than the few signatures of a visit win back.
Point.BASE.precompute(4);

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

/**
 * [a]P + [b]Q, both at once, bit by bit (Straus). For public numbers only: its time tells them. noble's two single
 * multiplications would first make a table for signing, which takes longer than all the signatures of a page.
 */
function sum(a: bigint, p: Point, b: bigint, q: Point): Point {
  const bits = (scalar: bigint) => scalar.toString(2).padStart(253, "0");
  const [bitsOfA, bitsOfB] = [bits(a), bits(b)];
  const both = p.add(q);
  let sum = Point.ZERO;
  for (let at = 0; at < 253; at++) {
    sum = sum.double();
    const [one, other] = [bitsOfA[at] === "1", bitsOfB[at] === "1"];
    if (one || other) sum = sum.add(one ? (other ? both : p) : q);
  }
  return sum;
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
    return sum(s, Point.BASE, k, this.#point.negate()).equals(r);
  }
}

/** X25519 with the base point. By way of Ed25519's, whose multiples are prepared: a third of the ladder's time. */
export function x25519Base(secret: Uint8Array): Bytes {
  const clamped = Uint8Array.from(secret);
  clamped[0]! &= 248;
  clamped[31] = (clamped[31]! & 127) | 64;
  const { Y, Z } = Point.BASE.multiply(littleEndian(clamped) % ORDER);
  clamped.fill(0);
  // u = (1 + y) / (1 - y) (RFC 7748, section 4.1), with y = Y / Z.
  const { Fp } = Point;
  return Uint8Array.from(Fp.toBytes(Fp.mul(Fp.add(Z, Y), Fp.inv(Fp.sub(Z, Y)))));
}

export const publicKeyOf = (seed: Uint8Array): Bytes => Uint8Array.from(ed25519.getPublicKey(seed));
export const sign = (seed: Uint8Array, message: Uint8Array): Bytes => Uint8Array.from(ed25519.sign(message, seed));
