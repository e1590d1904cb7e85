import { Stanza } from "typage/format.js";

import { type Random, uniform } from "./bytes";

const SLOT_LEN = 1557;
const FIXED_LEN = 70; // The version line and the line of the HMAC.
const LONGEST_GREASE = 190;

/** Length of the longest header for this many slots. */
export const longest = (slots: number): number => FIXED_LEN + LONGEST_GREASE + SLOT_LEN * slots;

/** Length of the header with this grease. */
export const headerLength = (slots: number, grease: Stanza): number => FIXED_LEN + SLOT_LEN * slots + stanzaLength(grease);

function stanzaLength(stanza: Stanza): number {
  const base64 = Math.ceil((stanza.body.length * 4) / 3);
  const lines = Math.floor(base64 / 64) + 1;
  return "-> \n".length + stanza.args.join(" ").length + base64 + lines;
}

/** The random stanza at the end of a header, drawn as the Rust age library draws it (docs/protocol.md, section 10.1). */
export function grease(random: Random): Stanza {
  const word = () =>
    String.fromCharCode(...Array.from({ length: 1 + uniform(random, 8) }, () => 33 + uniform(random, 94)));
  const args = [`${word()}-grease`, ...Array.from({ length: uniform(random, 5) }, word)];
  return new Stanza(args, random(uniform(random, 100)));
}
