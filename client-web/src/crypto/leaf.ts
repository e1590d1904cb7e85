import type { Day, Epoch } from "./day";
import { fromBigEndian } from "./bytes";
import { malformed } from "./refused";

export const LEAF_LEN = 41;

/** What the log says about one report (docs/protocol.md, section 12). */
export interface Leaf {
  readonly digest: Uint8Array;
  readonly epoch: Epoch;
  readonly day: Day;
  /** Of the ciphertext, in bytes. */
  readonly size: number;
}

export function parseLeaf(bytes: Uint8Array): Leaf {
  const log2 = bytes[LEAF_LEN - 1];
  if (bytes.length !== LEAF_LEN || log2 === undefined || log2 > 63) throw malformed("not a leaf");
  return {
    digest: bytes.subarray(0, 32),
    epoch: fromBigEndian(bytes.subarray(32, 36)),
    day: fromBigEndian(bytes.subarray(36, 40)),
    size: 2 ** log2,
  };
}
