import { closes, type Day, type Epoch, formatDay, MAX_EPOCH, opens, parseDay } from "./day";
import type { CharterChain } from "./charter";
import { isBucket, smallest } from "./bucket";
import { PublicKey } from "./key";
import { Lines, distinct, hexadecimal, locale, number, text } from "./lines";
import { UntrustedNote } from "./note";
import { parseQuestion, type Question } from "./question";
import { Recipient } from "./hybrid";
import { Refused, malformed } from "./refused";

const TYPE = "marram/manifest/v1";
const U32 = 4_294_967_295;

export interface Slot {
  readonly recipient: Recipient;
  readonly signer: PublicKey;
}

/** What is valid for one epoch (docs/protocol.md, section 6). Exists only verified. */
export interface Manifest {
  readonly instance: string;
  readonly epoch: Epoch;
  readonly version: number;
  readonly opens: Day;
  readonly closes: Day;
  readonly charter: string;
  readonly log: PublicKey;
  readonly limit: number;
  readonly retentionDays: number;
  readonly promiseDays: number;
  readonly board: { readonly shards: number; readonly tags: number; readonly cells: number; readonly days: number };
  /** The locale is undefined for everybody. */
  readonly contacts: readonly { readonly locale: string | undefined; readonly text: string }[];
  readonly questions: readonly Question[];
  readonly slots: readonly Slot[];
  /** The digest of its text. */
  readonly hash: string;
}

/** Reads a manifest and verifies it under the newest charter of a verified chain. */
export function verifyManifest(bytes: Uint8Array, chain: CharterChain): Manifest {
  const note = UntrustedNote.parse(bytes);
  const { instance, fingerprint, roots, threshold } = chain.newest;
  const lines = new Lines(note.body(TYPE, instance));
  const manifest = read(lines, instance, note);
  if (manifest.charter !== fingerprint) {
    const known = chain.charters.some((charter) => charter.fingerprint === manifest.charter);
    throw new Refused(known ? "old_keys" : "signature", "the manifest is not signed under the newest charter");
  }
  note.verify(TYPE, instance, roots, threshold);
  return manifest;
}

/** A submitter seals only within the manifest's dates. */
export function checkOpen(manifest: Manifest, today: Day): void {
  if (today < manifest.opens || today >= manifest.closes) {
    throw new Refused(
      "dates",
      `the manifest of epoch ${manifest.epoch} is valid from ${formatDay(manifest.opens)} until before ${formatDay(manifest.closes)}`,
    );
  }
}

function read(lines: Lines, instance: string, note: UntrustedNote): Manifest {
  const epoch = number(lines.value("epoch"), 0, MAX_EPOCH);
  const version = number(lines.value("version"), 1, U32);
  if (parseDay(lines.value("opens")) !== opens(epoch)) throw malformed("`opens` is not the epoch's");
  if (parseDay(lines.value("closes")) !== closes(epoch)) throw malformed("`closes` is not the epoch's");
  const charter = hexadecimal(lines.value("charter"), 64);
  const log = PublicKey.parse(lines.value("log"));
  distinct(lines.values("courier", 0, 16).map((line) => PublicKey.parse(line).toString()), "a courier");
  const limit = number(lines.value("limit"), 1, 2 ** 32);
  const retentionDays = number(lines.value("retention"), 1, 36_500);
  const promiseDays = number(lines.value("promise"), 1, 36_500);
  const board = readBoard(lines.value("board"));
  distinct(lines.values("page", 0, 16).map((line) => hexadecimal(line, 64)), "a page");
  const contacts = lines.values("contact", 0, 64).map((line) => {
    const space = line.indexOf(" ");
    const named = line.slice(0, Math.max(space, 0));
    return { locale: named === "*" ? undefined : locale(named), text: text(line.slice(space + 1)) };
  });
  const questions = lines.values("question", 0, 32).map(parseQuestion);
  distinct(questions.map((question) => question.id), "a question");
  const slots = lines.values("slot", 1, 32).map((line): Slot => {
    const [recipient, signer, more] = line.split(" ");
    if (recipient === undefined || signer === undefined || more !== undefined) throw malformed("a damaged slot");
    return { recipient: Recipient.parse(recipient), signer: PublicKey.parse(signer) };
  });
  lines.end();
  distinct(slots.map(({ recipient }) => recipient.text), "a recipient");
  distinct(slots.map(({ signer }) => signer.toString()), "a signer");
  if (limit < smallest(slots.length) || !isBucket(limit, slots.length, 2 ** 32)) throw malformed("`limit` is no bucket");
  return {
    instance,
    epoch,
    version,
    opens: opens(epoch),
    closes: closes(epoch),
    charter,
    log,
    limit,
    retentionDays,
    promiseDays,
    board,
    contacts,
    questions,
    slots,
    // Only a report needs it, and digesting takes as long as verifying a signature.
    get hash() {
      return note.digest();
    },
  };
}

function readBoard(line: string): Manifest["board"] {
  const [shards, tags, cells, days, more] = line.split(" ");
  if (days === undefined || more !== undefined) throw malformed("a damaged `board` line");
  const board = {
    shards: number(shards!, 1, 4096),
    tags: number(tags!, 1, 1_048_576),
    cells: number(cells!, 1, 65_536),
    days: number(days, 1, 36_500),
  };
  if (!Number.isInteger(Math.log2(board.shards))) throw malformed("the number of shards is no power of two");
  return board;
}
