import { base64, base64nopad, hex } from "@scure/base";

import { malformed } from "./refused";

export type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();
// `ignoreBOM` keeps a byte order mark as the character it is, so that text and bytes stay the same thing.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export const utf8 = (text: string): Bytes => encoder.encode(text);

/** UTF-8 to text; anything else is refused. */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw malformed("not UTF-8");
  }
}

export function concat(...parts: Uint8Array[]): Bytes {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Compares what is public. */
export const same = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, index) => byte === b[index]);

export const toHex = (bytes: Uint8Array): string => hex.encode(bytes);

/** `length` bytes from lower-case hexadecimal digits. */
export function fromHex(text: string, length: number): Bytes {
  if (text.length !== 2 * length || !/^[0-9a-f]*$/.test(text)) {
    throw malformed(`not ${2 * length} lower-case hexadecimal digits`);
  }
  return Uint8Array.from(hex.decode(text));
}

export const toBase64 = (bytes: Uint8Array): string => base64.encode(bytes);
export const toUnpadded = (bytes: Uint8Array): string => base64nopad.encode(bytes);

/** Padded base64 in its one spelling. */
export function fromBase64(text: string): Bytes {
  try {
    const bytes = Uint8Array.from(base64.decode(text));
    if (base64.encode(bytes) === text) return bytes;
  } catch {
    // Below.
  }
  throw malformed("not base64");
}

export function bigEndian(value: number, length: number): Bytes {
  const bytes = new Uint8Array(length);
  for (let at = length - 1; at >= 0; at--) {
    bytes[at] = value % 256;
    value = Math.floor(value / 256);
  }
  return bytes;
}

export const fromBigEndian = (bytes: Uint8Array): number => bytes.reduce((value, byte) => value * 256 + byte, 0);

/** Overwrites secrets. The engine may have made copies; this is what JavaScript allows. */
export function wipe(...secrets: Uint8Array[]): void {
  for (const secret of secrets) secret.fill(0);
}

/** Randomness as an argument, so that tests can fix it. */
export type Random = (length: number) => Bytes;

export const random: Random = (length) => {
  const bytes = new Uint8Array(length);
  // At most 65,536 bytes at a time (Web Crypto, section 10.1.1).
  for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
};

/** A number drawn uniformly from 0 to `below` - 1; `below` is at most 256. */
export function uniform(random: Random, below: number): number {
  const accepted = 256 - (256 % below);
  for (;;) {
    const byte = random(1)[0]!;
    if (byte < accepted) return byte % below;
  }
}
