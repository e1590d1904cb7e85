import { fromUtf8, utf8 } from "../crypto/bytes";
import { verifyChain } from "../crypto/charter";
import { dayOf, type Day } from "../crypto/day";
import type { Link } from "../crypto/fingerprint";
import { checkOpen, verifyManifest } from "../crypto/manifest";
import { malformed } from "../crypto/refused";
import { fields } from "../crypto/strict_json";
import type { Organization } from "./session";

/** Bytes of the longest answer of `/v1/organization`, and of the longest file. */
export const MAX_LEN = 4_000_000;

export const today = (): Day => dayOf(Date.now());

/** Charter chain and manifest as they came, in one answer or as two files. Nothing of them was verified. */
export interface UntrustedOrganization {
  /** The chain's JSON. */
  readonly charters: Uint8Array;
  readonly manifest: Uint8Array;
}

/** Reads the answer of `/v1/organization` (docs/protocol.md, section 17). */
export function parseOrganization(bytes: Uint8Array): UntrustedOrganization {
  if (bytes.length > MAX_LEN) throw malformed(`more than ${MAX_LEN} bytes`);
  let json: unknown;
  try {
    json = JSON.parse(fromUtf8(bytes));
  } catch {
    throw malformed("charter and manifest are not JSON");
  }
  const { charters, manifest } = fields(json, ["charters", "manifest"]);
  if (typeof manifest !== "string") throw malformed("a manifest that is no text");
  return { charters: utf8(JSON.stringify(charters)), manifest: utf8(manifest) };
}

/** The same from files: `organization.json` alone, or `charter.json` and a manifest, in any order. */
export function parseFiles(files: readonly Uint8Array[]): UntrustedOrganization {
  const startsWith = (sign: string) => files.find(([first]) => first === sign.charCodeAt(0));
  const whole = startsWith("{");
  if (whole !== undefined) return parseOrganization(whole);
  const charters = startsWith("[");
  const manifest = files.find((file) => file !== charters);
  if (charters === undefined || manifest === undefined) throw malformed("organization.json, or charter.json and a .manifest");
  return { charters, manifest };
}

/** Verifies everything up to the fingerprint. The charter first: another organization is called by that name. */
export function verifyOrganization(
  { charters, manifest: note }: UntrustedOrganization,
  fingerprint: string,
  link: Link | undefined,
): Organization {
  const chain = verifyChain(charters, fingerprint);
  const manifest = verifyManifest(note, chain);
  checkOpen(manifest, today());
  return { link, chain, manifest };
}
