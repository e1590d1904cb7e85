import { sha256 } from "@noble/hashes/sha2.js";

import { type Bytes, toHex, utf8 } from "./bytes";
import { STRETCH, pause } from "./pause";

export const digest = (bytes: Uint8Array): Bytes => Uint8Array.from(sha256(bytes));

/** The digest of a text as 64 hexadecimal digits. */
export const digestOfText = (text: string): string => toHex(digest(utf8(text)));

/** The digest of a file, read piece by piece. */
export async function digestOfBlob(blob: Blob): Promise<Bytes> {
  const hash = sha256.create();
  for await (const piece of pieces(blob)) {
    hash.update(piece);
    await pause();
  }
  return Uint8Array.from(hash.digest());
}

/** A blob's bytes, a stretch at a time, read by the mebibyte. Not `Blob.stream`: older WebKit reads ahead without bound. */
export async function* pieces(blob: Blob): AsyncGenerator<Bytes> {
  const size = 1 << 20;
  for (let at = 0; at < blob.size; at += size) {
    const bytes = new Uint8Array(await blob.slice(at, at + size).arrayBuffer());
    for (let from = 0; from < bytes.length; from += STRETCH) yield bytes.subarray(from, from + STRETCH);
  }
}
