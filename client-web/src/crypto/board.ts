import { chacha20poly1305 } from "@noble/ciphers/chacha.js";

import { type Bytes, bigEndian, concat, fromBigEndian, fromHex, fromUtf8, same, toHex, wipe } from "./bytes";
import { type Day, MAX_EPOCH, parseDay } from "./day";
import { digest } from "./digest";
import { ACKNOWLEDGEMENT_TAG, CELL_KEY, SHARD, derive } from "./labels";
import { Lines, hexadecimal, number } from "./lines";
import type { Manifest } from "./manifest";
import { UntrustedNote } from "./note";
import { pause } from "./pause";
import { Refused, malformed } from "./refused";

const TYPE = "marram/board/v1";
const TAG_LEN = 16;
const CELL_LEN = 4096;
const SALT_LEN = 32;
const PART_LEN = 4024;
const MAX_PARTS = 8;
const MAX_COUNT = 100;
const MAX_IMAGE_LEN = 1 << 24;

/** Largest board in bytes: an image, and a header that has less than a kilobyte. */
export const MAX_LEN = MAX_IMAGE_LEN + 1024;

/** A verified board (docs/protocol.md, section 24). */
export interface Board {
  readonly instance: string;
  readonly day: Day;
  readonly salt: Bytes;
  readonly tags: Bytes;
  readonly cells: Bytes;
  /** Whether it is too old for what it lacks to mean anything. */
  readonly stale: boolean;
}

export interface Answer {
  readonly id: string;
  readonly day: Day;
  readonly text: string;
}

/** The shard in which what is for a reply key hangs. */
export function shardOf(replyKey: Uint8Array, shards: number): string {
  const leading = fromBigEndian(derive(SHARD, replyKey, new Uint8Array(0), 2));
  return Math.floor((leading * shards) / 65_536).toString(16).padStart(3, "0");
}

export function verifyBoard(bytes: Bytes, manifest: Manifest, shard: string, today: Day): Board {
  const { shards, tags, cells, days } = manifest.board;
  const imageLength = tags * TAG_LEN + cells * CELL_LEN;
  if (imageLength > MAX_IMAGE_LEN || bytes.length <= imageLength || bytes.length > MAX_LEN) {
    throw malformed("the board has not the size that the manifest says");
  }
  const image = bytes.subarray(bytes.length - imageLength);
  const note = UntrustedNote.parse(bytes.subarray(0, bytes.length - imageLength));
  if (note.signatures.length !== 2) throw malformed("a board has two signatures");
  const signers = manifest.slots.map((slot) => slot.signer);
  const lines = new Lines(note.verify(TYPE, manifest.instance, signers, 1));
  const epoch = number(lines.value("epoch"), 0, MAX_EPOCH);
  const day = parseDay(lines.value("day"));
  const shown = hexadecimal(lines.value("shard"), 3);
  const salt = fromHex(lines.value("salt"), 16);
  const hash = fromHex(lines.value("image"), 32);
  lines.end();
  if (epoch !== manifest.epoch && epoch + 1 !== manifest.epoch) throw new Refused("dates", "a board of another week");
  if (shown !== shard || Number.parseInt(shard, 16) >= shards) throw malformed("another shard of the board");
  if (!same(digest(image), hash)) throw new Refused("signature", "the image is not the one that was signed");
  if (day > today + 1) throw new Refused("dates", "the board is dated after tomorrow");
  return {
    instance: manifest.instance,
    day,
    salt,
    tags: image.subarray(0, tags * TAG_LEN),
    cells: image.subarray(tags * TAG_LEN),
    stale: today > day + 2 * days,
  };
}

/** How many reports were read under a reply key: up to 100, which means that many or more. */
export function acknowledged(board: Board, replyKey: Uint8Array): number {
  const there = new Set<string>();
  for (let at = 0; at < board.tags.length; at += TAG_LEN) there.add(toHex(board.tags.subarray(at, at + TAG_LEN)));
  for (let count = MAX_COUNT; count > 0; count--) {
    const tag = derive(ACKNOWLEDGEMENT_TAG, replyKey, concat(board.salt, bigEndian(count, 4)), TAG_LEN);
    if (there.has(toHex(tag))) return count;
  }
  return 0;
}

interface Part {
  readonly id: string;
  readonly number: number;
  readonly parts: number;
  readonly day: Day;
  readonly text: Bytes;
}

/** The answers to a reply key, by day, and how many hang there only in part. */
export async function answers(board: Board, replyKey: Uint8Array): Promise<{ answers: Answer[]; incomplete: number }> {
  const byId = new Map<string, Part[]>();
  for (let at = 0; at < board.cells.length; at += CELL_LEN) {
    const part = open(board.cells.subarray(at, at + CELL_LEN), board.instance, replyKey);
    if (part !== undefined) byId.set(part.id, [...(byId.get(part.id) ?? []), part]);
    // Without a JIT a large board takes a while.
    if (at % (CELL_LEN * 16) === 0) await pause();
  }
  const found: Answer[] = [];
  let incomplete = 0;
  for (const [id, parts] of byId) {
    const answer = join(id, parts);
    if (answer === undefined) incomplete++;
    else found.push(answer);
  }
  found.sort((a, b) => a.day - b.day || (a.id < b.id ? -1 : 1));
  return { answers: found, incomplete };
}

function open(cell: Bytes, instance: string, replyKey: Uint8Array): Part | undefined {
  const key = derive(CELL_KEY, replyKey, cell.subarray(0, SALT_LEN), 32);
  let plain: Uint8Array;
  try {
    plain = chacha20poly1305(key, new Uint8Array(12), fromHex(instance, 16)).decrypt(cell.subarray(SALT_LEN));
  } catch {
    return undefined;
  } finally {
    wipe(key);
  }
  const [index, parts] = [plain[16]!, plain[17]!];
  const length = fromBigEndian(plain.subarray(22, 24));
  const text = Uint8Array.from(plain.subarray(24, 24 + length));
  const sound =
    index < parts &&
    parts <= MAX_PARTS &&
    length > 0 &&
    length <= PART_LEN &&
    (index + 1 === parts || length === PART_LEN) &&
    plain.subarray(24 + length).every((byte) => byte === 0);
  if (!sound) return undefined;
  return { id: toHex(plain.subarray(0, 16)), number: index, parts, day: fromBigEndian(plain.subarray(18, 22)), text };
}

function join(id: string, parts: Part[]): Answer | undefined {
  parts.sort((a, b) => a.number - b.number);
  const { day, parts: count } = parts[0]!;
  const whole =
    parts.length === count &&
    parts.every((part, index) => part.number === index && part.parts === count && part.day === day);
  if (!whole) return undefined;
  try {
    return { id, day, text: fromUtf8(concat(...parts.map((part) => part.text))) };
  } catch {
    return undefined;
  }
}
