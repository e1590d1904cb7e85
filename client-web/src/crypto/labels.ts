import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";

import { type Bytes, utf8 } from "./bytes";

/** Every derivation label (docs/protocol.md, section 19). */
export const CODENAME_SIGNING_KEY = "marram/v1/codename/signing-key";
export const CODENAME_REPLY_KEY = "marram/v1/codename/reply-key";
export const ACKNOWLEDGEMENT_TAG = "marram/v1/board/acknowledgement-tag";
export const CELL_KEY = "marram/v1/board/cell-key";
export const SHARD = "marram/v1/board/shard";
export const ENCAPSULATION = "marram/v1/seal/encapsulation";

/** HKDF-SHA256(salt = label, ikm = secret, info = context). */
export const derive = (label: string, secret: Uint8Array, context: Uint8Array, length: number): Bytes =>
  Uint8Array.from(hkdf(sha256, secret, utf8(label), context, length));
