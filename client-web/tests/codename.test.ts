import { entropyToMnemonic, mnemonicToEntropy } from "@scure/bip39";
import { wordlist as english } from "@scure/bip39/wordlists/english.js";
import { describe, expect, it } from "vitest";

import { fromHex, random, toBase64, toHex, utf8 } from "../src/crypto/bytes";
import { Codename, listFor } from "../src/crypto/codename";
import { CODENAME_SIGNING_KEY, derive } from "../src/crypto/labels";
import { PublicKey } from "../src/crypto/key";

const LISTS = ["en", "zh-Hans", "zh-Hant", "es", "fr"];
const vector = fromHex("000102030405060708090a0b0c0d0e0f", 16);

describe("codename", () => {
  it("the protocol's vector gives its words and keys", () => {
    const codename = Codename.fromEntropy(vector);
    expect(codename.words("en").join(" ")).toBe(
      "abandon amount liar amount expire adjust cage candy arch gather drum buyer",
    );
    expect(toHex(derive(CODENAME_SIGNING_KEY, vector, new Uint8Array(0), 32))).toBe(
      "f9c5bf0bb86c0893b61327b3901cce2790fce3b9e7ce8f91379906ea3f5c5293",
    );
    expect(toBase64(codename.publicKey())).toBe("x2nzA5rbGNJD+ZIYKXUpjihNz8PTRoP7UTM6MY4VCqU=");
    expect(toHex(codename.replyKey())).toBe("56a84e3ff11da2994bb5db8987494b73aca841a13e248e2c222f52f04dc7371b");
  });

  it("its words are read again in every list, in any capitals, spacing and encoding of accents", () => {
    for (let n = 0; n < 40; n++) {
      const codename = Codename.draw(random);
      for (const list of LISTS) {
        const words = codename.words(list);
        expect(words).toHaveLength(12);
        for (const typed of [words.join(" "), words.join("\n \t").toUpperCase(), words.join("　").normalize("NFD")]) {
          const again = Codename.fromWords(typed);
          expect(again, list).toBeInstanceOf(Codename);
          expect(toHex((again as Codename).replyKey())).toBe(toHex(codename.replyKey()));
        }
      }
    }
  });

  it("its words are BIP 39's, as a library of BIP 39 reads and writes them", () => {
    const edges = Array.from({ length: 128 }, (_, bit) => new Uint8Array(16).fill(1 << (7 - (bit & 7)), bit >> 3, (bit >> 3) + 1));
    for (const entropy of [new Uint8Array(16), new Uint8Array(16).fill(255), ...edges, ...edges.map(() => random(16))]) {
      const words = entropyToMnemonic(entropy, english);
      expect(Codename.fromEntropy(entropy).words("en").join(" ")).toBe(words);
      const again = Codename.fromWords(words) as Codename;
      expect(toHex(again.replyKey())).toBe(toHex(Codename.fromEntropy(entropy).replyKey()));
    }
  });

  it("of all words in the last place, those are taken that a library of BIP 39 takes", () => {
    const eleven = Codename.fromEntropy(vector).words("en").slice(0, 11).join(" ");
    const taken = english.filter((word) => Codename.fromWords(`${eleven} ${word}`, "en") instanceof Codename);
    const right = english.filter((word) => {
      try {
        return mnemonicToEntropy(`${eleven} ${word}`, english).length === 16;
      } catch {
        return false;
      }
    });
    expect(right).toHaveLength(128);
    expect(taken).toEqual(right);
  });

  it("a mistake is named by its position, and no word is repeated", () => {
    const words = [...Codename.fromEntropy(vector).words("en")];
    expect(Codename.fromWords(words.slice(1).join(" "))).toEqual({ problem: "count", count: 11 });
    expect(Codename.fromWords("")).toEqual({ problem: "count", count: 0 });
    expect(Codename.fromWords(words.with(4, "xpire").join(" "))).toEqual({ problem: "unknown", position: 5 });
    expect(Codename.fromWords(words.with(11, "zoo").join(" "))).toEqual({ problem: "checksum" });
  });

  it("the right word at a place is recognized, and no other is", () => {
    const codename = Codename.draw(random);
    for (const list of LISTS) {
      const words = codename.words(list);
      words.forEach((word, place) => {
        expect(codename.isWord(list, place, ` ${word.toUpperCase().normalize("NFD")} `)).toBe(true);
        expect(codename.isWord(list, place, "")).toBe(false);
        expect(codename.isWord(list, place, `${word} ${word}`)).toBe(false);
        for (const other of words) expect(codename.isWord(list, place, other)).toBe(other === word);
      });
    }
  });

  it("languages without a list take English", () => {
    expect(["zh", "zh-CN", "zh-Hans", "zh-TW", "zh-Hant-HK", "es-MX", "fr", "ug", "bo", "en-GB", "ar"].map(listFor)).toEqual([
      "zh-Hans", "zh-Hans", "zh-Hans", "zh-Hant", "zh-Hant", "es", "fr", "en", "en", "en", "en",
    ]);
  });

  it("signs with the codename's key, until it is forgotten", () => {
    const codename = Codename.draw(random);
    const key = PublicKey.fromBytes(codename.publicKey());
    expect(key.verifies(utf8("report"), codename.sign(utf8("report")))).toBe(true);
    codename.forget();
    expect(toHex(codename.publicKey())).not.toBe(toHex(key.bytes));
    expect(toHex(codename.publicKey())).toBe(toHex(Codename.fromEntropy(new Uint8Array(16)).publicKey()));
  });
});
