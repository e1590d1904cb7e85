import { wordlist as english } from "@scure/bip39/wordlists/english.js";
import { wordlist as french } from "@scure/bip39/wordlists/french.js";
import { wordlist as simplifiedChinese } from "@scure/bip39/wordlists/simplified-chinese.js";
import { wordlist as spanish } from "@scure/bip39/wordlists/spanish.js";
import { wordlist as traditionalChinese } from "@scure/bip39/wordlists/traditional-chinese.js";

import { type Bytes, type Random, concat, same, wipe } from "./bytes";
import { digest } from "./digest";
import { publicKeyOf, sign } from "./key";
import { CODENAME_REPLY_KEY, CODENAME_SIGNING_KEY, derive } from "./labels";

export const WORDS = 12;
const ENTROPY_LEN = 16;

/** BIP 39's lists by language tag. */
const LISTS: ReadonlyMap<string, string[]> = new Map([
  ["en", english],
  ["zh-Hans", simplifiedChinese],
  ["zh-Hant", traditionalChinese],
  ["es", spanish],
  ["fr", french],
]);

/** The tag of the list for a language. */
export function listFor(language: string): string {
  const [primary, ...subtags] = language.toLowerCase().split(/[-_]/);
  if (primary === "zh") return subtags.some((tag) => ["hant", "tw", "hk", "mo"].includes(tag)) ? "zh-Hant" : "zh-Hans";
  return primary === "es" || primary === "fr" ? primary : "en";
}

/** Why words are no codename. Names positions, never words. */
export type WordsProblem =
  | { readonly problem: "count"; readonly count: number }
  | { readonly problem: "unknown"; readonly position: number }
  | { readonly problem: "checksum" }
  | { readonly problem: "ambiguous"; readonly lists: readonly string[] };

/** A codename: 128 random bits, and the keys derived from them (docs/protocol.md, section 11). */
export class Codename {
  readonly #entropy: Bytes;

  private constructor(entropy: Bytes) {
    this.#entropy = entropy;
  }

  static draw(random: Random): Codename {
    return new Codename(random(ENTROPY_LEN));
  }

  static fromEntropy(entropy: Uint8Array): Codename {
    if (entropy.length !== ENTROPY_LEN) throw new Error("16 bytes of entropy");
    return new Codename(Uint8Array.from(entropy));
  }

  /** Reads twelve words of any list; of one list, if more than one could be meant. */
  static fromWords(typed: string, list?: string): Codename | WordsProblem {
    const words = splitWords(typed);
    if (words.length !== WORDS) return { problem: "count", count: words.length };
    const found: { list: string; entropy: Bytes }[] = [];
    let furthest: number | undefined = 0;
    for (const [tag, known] of LISTS) {
      if (list !== undefined && tag !== list) continue;
      const places = words.map((word) => known.indexOf(word));
      const unknown = places.indexOf(-1);
      if (unknown >= 0) {
        // The list that goes furthest is the one that was meant.
        if (furthest !== undefined) furthest = Math.max(furthest, unknown);
        continue;
      }
      const entropy = entropyAt(places);
      if (entropy === undefined) furthest = undefined;
      else found.push({ list: tag, entropy });
    }
    const first = found[0];
    if (first === undefined) {
      return furthest === undefined ? { problem: "checksum" } : { problem: "unknown", position: furthest + 1 };
    }
    if (found.some(({ entropy }) => !same(entropy, first.entropy))) {
      return { problem: "ambiguous", lists: found.map(({ list }) => list) };
    }
    return new Codename(first.entropy);
  }

  words(language: string): readonly string[] {
    const list = LISTS.get(listFor(language)) ?? english;
    return placesOf(this.#entropy).map((place) => list[place]!.normalize("NFC"));
  }

  /** Whether `typed` is the word at a place (from 0), however it is capitalized or its accents are encoded. */
  isWord(language: string, place: number, typed: string): boolean {
    const [word, more] = splitWords(typed);
    return more === undefined && word === splitWords(this.words(language)[place] ?? "")[0];
  }

  publicKey(): Bytes {
    return this.#withSeed(publicKeyOf);
  }

  sign(message: Uint8Array): Bytes {
    return this.#withSeed((seed) => sign(seed, message));
  }

  /** The reply key; whoever takes it wipes it. */
  replyKey(): Bytes {
    return derive(CODENAME_REPLY_KEY, this.#entropy, new Uint8Array(0), 32);
  }

  /** Overwrites it. Use nothing of it afterwards. */
  forget(): void {
    wipe(this.#entropy);
  }

  #withSeed<T>(use: (seed: Bytes) => T): T {
    const seed = derive(CODENAME_SIGNING_KEY, this.#entropy, new Uint8Array(0), 32);
    try {
      return use(seed);
    } finally {
      wipe(seed);
    }
  }
}

/** The places of a codename's words in their list: BIP 39's cuts of 11 bits, out of the entropy and 4 bits of its digest. */
function placesOf(entropy: Uint8Array): number[] {
  const bytes = concat(entropy, digest(entropy).subarray(0, 1), Uint8Array.of(0));
  const places = Array.from({ length: WORDS }, (_, n) => {
    const [at, bit] = [(11 * n) >> 3, (11 * n) & 7];
    return (((bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!) >> (13 - bit)) & 2047;
  });
  wipe(bytes);
  return places;
}

/** The entropy of words at these places; nothing if they are no codename's. */
function entropyAt(places: readonly number[]): Bytes | undefined {
  const bytes = new Uint8Array(ENTROPY_LEN + 2);
  places.forEach((place, n) => {
    const [at, cut] = [(11 * n) >> 3, place << (13 - ((11 * n) & 7))];
    bytes[at]! |= cut >> 16;
    bytes[at + 1]! |= cut >> 8;
    bytes[at + 2]! |= cut;
  });
  const entropy = bytes.slice(0, ENTROPY_LEN);
  wipe(bytes);
  // The twelve words have one spelling: the checksum is right where the same words come out again.
  if (placesOf(entropy).every((place, n) => place === places[n])) return entropy;
  wipe(entropy);
  return undefined;
}

const splitWords = (typed: string): string[] =>
  typed.toLowerCase().normalize("NFKD").split(/\p{White_Space}+/u).filter(Boolean);
