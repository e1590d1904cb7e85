import { longest } from "./header";

const LEAST_PAYLOAD = 16 * 1024;
/** Length of age's payload nonce. */
export const NONCE_LEN = 16;
const CHUNK_TAG_LEN = 16;
const SEALED_CHUNK_LEN = 64 * 1024 + CHUNK_TAG_LEN;

/** The payload does not fit the largest bucket. */
export class TooLarge extends Error {
  constructor(
    readonly needs: number,
    readonly limit: number,
  ) {
    super(`the report needs ${needs} bytes, and ${limit} is the limit`);
    this.name = "TooLarge";
  }
}

/**
 * The payload whose sealed chunks have exactly this length, if there is one: age has no empty last chunk, so 1 to 16
 * bytes beyond full chunks cannot be.
 */
export function payloadLength(body: number): number | undefined {
  const chunks = Math.ceil(body / SEALED_CHUNK_LEN);
  const last = body - SEALED_CHUNK_LEN * (chunks - 1);
  return body > 0 && last > CHUNK_TAG_LEN ? body - CHUNK_TAG_LEN * chunks : undefined;
}

/** Payload bytes that surely fit a bucket, whatever grease is drawn. */
export function capacity(bucket: number, slots: number): number {
  const room = bucket - longest(slots) - NONCE_LEN;
  for (let less = 0; less <= CHUNK_TAG_LEN; less++) {
    const payload = payloadLength(room - less);
    if (payload !== undefined) return payload;
  }
  return 0;
}

export function smallest(slots: number): number {
  let bucket = LEAST_PAYLOAD;
  while (capacity(bucket, slots) < LEAST_PAYLOAD) bucket *= 2;
  return bucket;
}

export const isBucket = (length: number, slots: number, limit: number): boolean =>
  Number.isInteger(Math.log2(length)) && length >= smallest(slots) && length <= limit;

/** The smallest bucket that holds this payload. */
export function bucketFor(payload: number, slots: number, limit: number): number {
  for (let bucket = smallest(slots); bucket <= limit; bucket *= 2) {
    if (capacity(bucket, slots) >= payload) return bucket;
  }
  throw new TooLarge(payload, capacity(limit, slots));
}

/** The payload that fills a bucket exactly behind a header of this length. */
export const fill = (bucket: number, header: number): number | undefined => payloadLength(bucket - header - NONCE_LEN);
