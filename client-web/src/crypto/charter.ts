import { fromUtf8, utf8 } from "./bytes";
import { PublicKey } from "./key";
import { Lines, distinct, hexadecimal, number, text } from "./lines";
import { UntrustedNote } from "./note";
import { Refused, malformed } from "./refused";

const TYPE = "marram/charter/v1";
const MAX_CHAIN = 64;
const MAX_CHAIN_LEN = 1_000_000;

/** Who the organization is (docs/protocol.md, section 3). */
export interface Charter {
  readonly instance: string;
  readonly version: number;
  readonly previous: string | undefined;
  readonly name: string;
  readonly contact: string;
  readonly threshold: number;
  readonly roots: readonly PublicKey[];
  readonly fingerprint: string;
}

interface Untrusted {
  readonly note: UntrustedNote;
  readonly claims: Charter;
}

/** A verified chain: its charters, oldest first. */
export interface CharterChain {
  readonly charters: readonly Charter[];
  readonly newest: Charter;
}

function read(note: UntrustedNote): Untrusted {
  const instance = note.instance();
  const lines = new Lines(note.body(TYPE, instance));
  const version = number(lines.value("version"), 1, 4_294_967_295);
  const previous = lines.value("previous");
  if ((previous === "-") !== (version === 1)) throw malformed("`previous` does not fit the version");
  const name = text(lines.value("name"));
  const contact = text(lines.value("contact"));
  const threshold = number(lines.value("threshold"), 1, 16);
  const roots = lines.values("root", 1, 16).map((line) => PublicKey.parse(line));
  lines.end();
  distinct(roots.map(String), "a root key");
  roots.forEach((root, index) => {
    const before = roots[index - 1];
    if (before !== undefined && !ascends(before.bytes, root.bytes)) throw malformed("root keys out of order");
  });
  if (threshold > roots.length) throw malformed("a threshold above the number of root keys");
  return {
    note,
    claims: {
      instance,
      version,
      previous: previous === "-" ? undefined : hexadecimal(previous, 64),
      name,
      contact,
      threshold,
      roots,
      fingerprint: note.digest(),
    },
  };
}

function ascends(a: Uint8Array, b: Uint8Array): boolean {
  const at = a.findIndex((byte, index) => byte !== b[index]);
  return at >= 0 && a[at]! < b[at]!;
}

/** Reads and verifies a chain up to the pinned fingerprint. */
export function verifyChain(json: Uint8Array, fingerprint: string): CharterChain {
  if (json.length > MAX_CHAIN_LEN) throw malformed("the charter chain is too long");
  let notes: unknown;
  try {
    notes = JSON.parse(fromUtf8(json));
  } catch {
    throw malformed("the charter chain is not JSON");
  }
  if (!Array.isArray(notes) || notes.length < 1 || notes.length > MAX_CHAIN) throw malformed("not a charter chain");
  const chain = notes.map((note: unknown) => {
    if (typeof note !== "string") throw malformed("not a charter chain");
    return read(UntrustedNote.parse(utf8(note)));
  });
  // First of all, so that another organization is called by that name.
  if (!chain.some(({ claims }) => claims.fingerprint === fingerprint)) {
    throw new Refused("signature", "the fingerprint is not that of any charter in the chain: another organization");
  }
  chain.forEach(({ note, claims }, index) => {
    const before = chain[index - 1]?.claims;
    if (before === undefined) {
      if (claims.version !== 1) throw new Refused("signature", "the chain does not begin with version 1");
    } else {
      const follows =
        claims.version === before.version + 1 &&
        claims.previous === before.fingerprint &&
        claims.instance === before.instance;
      if (!follows) throw new Refused("signature", `charter ${claims.version} does not follow the one before it`);
      if (note.signers(before.roots).size < before.threshold) {
        throw new Refused("signature", `too few keys of the charter before have signed charter ${claims.version}`);
      }
    }
    note.verify(TYPE, claims.instance, claims.roots, claims.threshold);
  });
  const charters = chain.map(({ claims }) => claims);
  return { charters, newest: charters.at(-1)! };
}
