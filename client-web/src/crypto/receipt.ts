import { fromBase64, same } from "./bytes";
import type { Day, Epoch } from "./day";
import type { PublicKey } from "./key";
import { type Leaf, parseLeaf } from "./leaf";
import { Lines } from "./lines";
import { UntrustedNote } from "./note";
import { Refused, malformed } from "./refused";

export const RECEIPT_LEN = 218;

/** What was sent, as a receipt must name it. */
export interface Sent {
  readonly digest: Uint8Array;
  readonly epoch: Epoch;
  readonly size: number;
}

/** Reads a receipt and verifies that it promises exactly what was sent (docs/protocol.md, section 13). */
export function verifyReceipt(bytes: Uint8Array, instance: string, log: PublicKey, sent: Sent, today: Day): Leaf {
  if (bytes.length !== RECEIPT_LEN) throw malformed(`a receipt has ${RECEIPT_LEN} bytes, this has ${bytes.length}`);
  const note = UntrustedNote.parse(bytes);
  if (note.signatures.length !== 1) throw malformed("a receipt has one signature");
  const lines = new Lines(note.verify("marram/receipt/v1", instance, [log], 1));
  const leaf = parseLeaf(fromBase64(lines.value("leaf")));
  lines.end();
  if (!same(leaf.digest, sent.digest) || leaf.epoch !== sent.epoch || leaf.size !== sent.size) {
    throw new Refused("signature", "the receipt is for another report");
  }
  if (leaf.day > today + 1 || leaf.day < today - 3) throw new Refused("dates", "the receipt is of another time");
  return leaf;
}
