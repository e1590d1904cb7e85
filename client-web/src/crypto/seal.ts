import { hkdf } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { encodeHeader, encodeHeaderNoMAC } from "typage/format.js";
import { encryptSTREAM } from "typage/stream.js";

import { NONCE_LEN, bucketFor, fill } from "./bucket";
import { type Bytes, type Random, concat, same, utf8, wipe } from "./bytes";
import type { Codename } from "./codename";
import type { Epoch } from "./day";
import { digestOfBlob, pieces } from "./digest";
import { grease, headerLength } from "./header";
import type { Manifest } from "./manifest";
import { pause } from "./pause";
import { type Attachment, type Content, MAX_ATTACHMENTS, MAX_LEN, reportJson } from "./report";
import { archiveLength, entryHeader, padding } from "./ustar";

/** A sealed report: one age file of exactly a bucket's length. */
export interface Sealed {
  readonly blob: Blob;
  readonly digest: Bytes;
  readonly size: number;
  readonly epoch: Epoch;
}

type Target = Pick<Manifest, "instance" | "epoch" | "hash" | "limit" | "slots">;

/** The length that a report will have on its way. */
export function sizeOf(target: Target, codename: Codename, content: Content, files: readonly Attachment[]): number {
  const measured = files.map(({ blob, sha256 }) => ({ sha256, size: blob.size }));
  const length = utf8(reportJson(target, codename, content, measured)).length;
  const archive = archiveLength([length, 64, ...files.map(({ blob }) => blob.size)]);
  return bucketFor(archive, target.slots.length, target.limit);
}

/** Seals a report (docs/protocol.md, section 10.8). */
export async function seal(
  target: Target,
  codename: Codename,
  content: Content,
  files: readonly Attachment[],
  random: Random,
  progress: (done: number, of: number) => void = () => {},
): Promise<Sealed> {
  if (files.length > MAX_ATTACHMENTS) throw new Error(`at most ${MAX_ATTACHMENTS} files`);
  const json = utf8(
    reportJson(
      target,
      codename,
      content,
      files.map(({ blob, sha256 }) => ({ sha256, size: blob.size })),
    ),
  );
  if (json.length > MAX_LEN) throw new Error(`report.json has at most ${MAX_LEN} bytes`);
  const archive = archiveLength([json.length, 64, ...files.map(({ blob }) => blob.size)]);
  const slots = target.slots.length;
  const bucket = bucketFor(archive, slots, target.limit);

  // With some lengths of the header no payload gives exactly the bucket: then another grease is drawn.
  let last = grease(random);
  let payload = fill(bucket, headerLength(slots, last));
  while (payload === undefined) {
    last = grease(random);
    payload = fill(bucket, headerLength(slots, last));
  }

  const fileKey = random(16);
  const stanzas = [...target.slots.map(({ recipient }) => recipient.wrap(fileKey)), last];
  const mac = hmac(sha256, hkdf(sha256, fileKey, undefined, utf8("header"), 32), encodeHeaderNoMAC(stanzas));
  const start = concat(encodeHeader(stanzas, mac), random(NONCE_LEN));
  const payloadKey = hkdf(sha256, fileKey, start.subarray(-NONCE_LEN), utf8("payload"), 32);
  const plain = streamOf(archiveOf(json, codename.sign(json), files, payload - archive));
  const reader = plain.pipeThrough(encryptSTREAM(payloadKey)).getReader();

  const hash = sha256.create().update(start);
  const parts: Blob[] = [];
  let gathered: Bytes[] = [start];
  let size = start.length;
  let held = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    hash.update(value);
    size += value.length;
    held += value.length;
    gathered.push(value as Bytes);
    // A browser keeps large blobs outside the memory of the page.
    if (held >= 4 << 20) {
      parts.push(new Blob(gathered));
      gathered = [];
      held = 0;
    }
    progress(size, bucket);
    await pause();
  }
  parts.push(new Blob(gathered));
  wipe(json, fileKey, payloadKey);
  progress(size, bucket);
  if (size !== bucket) throw new Error(`sealed to ${size} bytes instead of ${bucket}`);
  return {
    blob: new Blob(parts, { type: "application/octet-stream" }),
    digest: Uint8Array.from(hash.digest()),
    size,
    epoch: target.epoch,
  };
}

/** The archive and its fill, piece by piece. A file that is not what was measured stops it. */
async function* archiveOf(
  json: Bytes,
  signature: Bytes,
  files: readonly Attachment[],
  rest: number,
): AsyncGenerator<Uint8Array> {
  yield entryHeader("report.json", json.length);
  yield json;
  yield new Uint8Array(padding(json.length));
  yield entryHeader("report.sig", signature.length);
  yield signature;
  yield new Uint8Array(padding(signature.length));
  for (const [index, file] of files.entries()) {
    yield entryHeader(`attachments/${String(index).padStart(2, "0")}`, file.blob.size);
    const hash = sha256.create();
    for await (const piece of pieces(file.blob)) {
      hash.update(piece);
      yield piece;
    }
    if (!same(hash.digest(), file.sha256)) throw new Error("a file has changed since it was chosen");
    yield new Uint8Array(padding(file.blob.size));
  }
  // The end of the archive, and the fill: at least 1,024 zeros.
  const zeros = new Uint8Array(1 << 16);
  for (let left = 1024 + rest; left > 0; left -= zeros.length) yield zeros.subarray(0, Math.min(left, zeros.length));
}

/** Not `ReadableStream.from`, which WebKit has not got. */
const streamOf = (source: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> =>
  new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await source.next();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        controller.error(error);
      }
    },
  });

/** Measures a file. */
export const measure = async (blob: Blob): Promise<Attachment> => ({ blob, sha256: await digestOfBlob(blob) });
