import type { Attachment } from "../crypto/report";
import type { CharterChain } from "../crypto/charter";
import type { Codename } from "../crypto/codename";
import type { Link } from "../crypto/fingerprint";
import type { Manifest } from "../crypto/manifest";
import type { Sealed } from "../crypto/seal";
import { Interview } from "../incident/interview";

/** The organization, verified. Without a link it came from files, and nothing can be sent. */
export interface Organization {
  readonly link: Link | undefined;
  readonly chain: CharterChain;
  readonly manifest: Manifest;
}

/** A file that goes along. */
export interface ChosenFile {
  readonly name: string;
  readonly mime: string | undefined;
  readonly original: Blob;
  /** A copy without what was hidden in it, if one could be made. */
  readonly stripped: Blob | undefined;
  readonly findings: readonly import("../files/metadata").Finding[] | undefined;
  keep: "original" | "stripped";
}

let limits = { slots: 8, limit: 2 ** 28 };

/** How large a report to this organization may be. */
export const currentLimit = (): { readonly slots: number; readonly limit: number } => limits;

export function use(organization: Organization): void {
  limits = { slots: organization.manifest.slots.length, limit: organization.manifest.limit };
}

/** Everything that one visit knows. In memory alone, and in this one place, so that it can be forgotten. */
export interface Session {
  interview: Interview;
  own: Map<string, string>;
  files: ChosenFile[];
  codename: Codename | undefined;
  continues: boolean;
  measured: Attachment[];
  sealed: Sealed | undefined;
}

const empty = (): Session => ({
  interview: new Interview(),
  own: new Map(),
  files: [],
  codename: undefined,
  continues: false,
  measured: [],
  sealed: undefined,
});

export let session: Session = empty();

/** Forgets what was written, chosen and drawn, and overwrites what can be overwritten. */
export function forgetEverything(): void {
  session.interview.forget();
  session.own.clear();
  session.files.length = 0;
  session.codename?.forget();
  session = empty();
}
