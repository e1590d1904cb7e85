// Gathers every language's texts, the questionnaire's and the page's own, and fails where one is missing.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { wordlist as simplified } from "@scure/bip39/wordlists/simplified-chinese.js";
import { wordlist as traditional } from "@scure/bip39/wordlists/traditional-chinese.js";

const here = fileURLToPath(new URL("..", import.meta.url));
const ASKED = join(here, "../incident/data/texts");
const OWN = join(here, "src/texts");
/** In this order they are offered. */
const LANGUAGES = ["en", "zh-Hans", "zh-Hant", "ug", "bo", "fa", "ar", "tr", "ru", "vi", "es", "fr"];
/** In this order they are packed: what is alike is near, and 650 bytes of the compressed page are saved. */
const ALIKE = ["en", "es", "fr", "tr", "vi", "ru", "bo", "ar", "fa", "ug", "zh-Hant", "zh-Hans"];
/** Only in the part without scripts, which is written at build time. */
const STATIC = /^noscript\./;
/** Typed answers, which the page asks for with choices instead, and what is said about them. */
const NEVER_SHOWN = /^(language\.|word\.part$|message\.(yes_or_no|choose|choose_several|country|empty)$)/;
const PICKED = ["country", "countries", "date", "language"];
const FORMS = /\.(zero|one|two|few|many|other)$/;

/**
 * The texts as the page carries them: `{ keys, languages: [{ language, direction, reviewed, texts }] }`, and for the part
 * without scripts `fixed`. A language is there once both of its files are. Throws on a text that is missing, or that the
 * source language does not know.
 */
export function gatherTexts({ asked = ASKED, own = OWN } = {}) {
  const unknown = readdirSync(own).filter((name) => name.endsWith(".json") && !LANGUAGES.includes(name.slice(0, -5)));
  if (unknown.length > 0) throw new Error(`no language of the page: ${unknown.join(", ")}`);
  const read = (folder, language) => {
    const file = join(folder, `${language}.json`);
    if (!existsSync(file)) return undefined;
    const texts = JSON.parse(readFileSync(file, "utf8"));
    if (texts.language !== language) throw new Error(`${file} calls itself ${texts.language}`);
    return texts;
  };
  const all = LANGUAGES.map((language) => ({ language, asked: read(asked, language), own: read(own, language) }));
  const source = all[0];
  const problems = [];
  const spoken = all.filter(({ asked, own }) => asked !== undefined && own !== undefined);
  for (const { language, asked, own } of spoken) {
    for (const key of Object.keys(source.asked.texts)) {
      if (!asked.texts[key]?.trim()) problems.push(`${language}: incident/data/texts lacks ${key}`);
    }
    problems.push(...compare(language, source.own.texts, own.texts));
  }
  for (const { language, asked, own } of spoken) {
    for (const [key, text] of Object.entries({ ...asked.texts, ...own.texts })) {
      if (text.includes("\n")) problems.push(`${language}: ${key} has a line break`);
    }
  }
  if (problems.length > 0) throw new Error(`texts:\n  ${problems.join("\n  ")}`);

  const merged = spoken.map(({ language, asked, own }) => ({
    language,
    direction: own.direction,
    reviewed: asked.reviewed && own.reviewed,
    all: { ...asked.texts, ...own.texts },
  }));
  const unexplained = new Set(pickedQuestions().map((id) => `question.${id}.help`));
  const keys = [...new Set(merged.flatMap(({ all }) => Object.keys(all)))].filter(
    (key) => !STATIC.test(key) && !NEVER_SHOWN.test(key) && !unexplained.has(key),
  );
  return {
    packed: {
      keys,
      languages: [...merged]
        .sort((a, b) => ALIKE.indexOf(a.language) - ALIKE.indexOf(b.language))
        .map(({ language, direction, reviewed, all }) => ({
          language,
          direction,
          reviewed,
          texts: keys.map((key) => all[key] ?? ""),
        })),
    },
    fixed: merged.map(({ language, direction, all }) => ({
      language,
      direction,
      text: (key) => all[key],
    })),
  };
}

/** Signs that mean nothing to JavaScript, and of which any may be written for another. */
const PRINTABLE = Array.from({ length: 94 }, (_, n) => String.fromCharCode(33 + n)).filter((sign) => !'"\\`${}'.includes(sign));

/**
 * Every language's texts with some signs in each other's place, so that they become shorter or alike: `texts` is a line for
 * each key, `letters` the pairs that the page cannot find by itself. Exchanged once more, the texts are as before.
 */
export function exchanged(languages) {
  const lines = new Map(languages.map(({ language, texts }) => [language, texts.join("\n")]));
  return languages.map(({ texts: _, ...language }) => {
    const tag = language.language;
    const text = lines.get(tag);
    const alike = ONE_ALPHABET.includes(tag) ? ONE_ALPHABET.map((tag) => lines.get(tag) ?? "").join("") : text;
    const letters = tag.startsWith("zh") ? [] : lettersForSigns(alike);
    const pairs = tag === "zh-Hans" ? charactersInBothScripts() : letters;
    const other = new Map(pairs.map((sign, n) => [sign, pairs[n ^ 1]]));
    const exchange = (text) => Array.from(text, (sign) => other.get(sign) ?? sign).join("");
    const packed = exchange(text);
    if (exchange(packed) !== text) throw new Error(`${tag}: a sign is in two pairs`);
    return { ...language, letters: letters.join(""), texts: packed };
  });
}

/** What these share stays alike where their letters become the same signs. */
const ONE_ALPHABET = ["ar", "fa", "ug"];

/**
 * The most frequent letters and the rarest signs of ASCII: a letter of Arabic is then one byte and not two, one of Tibetan
 * not three, which saves 4 kB of the compressed page. Chinese has too many letters for it to gain.
 */
function lettersForSigns(text) {
  const count = new Map(PRINTABLE.map((sign) => [sign, 0]));
  for (const sign of text) count.set(sign, (count.get(sign) ?? 0) + 1);
  const many = (a, b) => count.get(b) - count.get(a) || (a < b ? -1 : 1);
  const letters = [...count.keys()].filter((sign) => sign > "\u007f").sort(many);
  const signs = [...PRINTABLE].sort(many).reverse();
  const gain = (letter, n) => n < signs.length && count.get(letter) > count.get(signs[n]) + 2;
  return letters.filter(gain).flatMap((letter, n) => [letter, signs[n]]);
}

/**
 * The two Chinese lists of words have each character at the same place, in each script. By this table, which is in the page
 * anyway, simplified texts are written in traditional characters, and are then nearly the traditional texts: 3 kB less.
 */
const charactersInBothScripts = () =>
  simplified.flatMap((sign, place) => (sign === traditional[place] ? [] : [sign, traditional[place]]));

/** The questions that are answered by picking: how to type the answer needs no explaining. */
function pickedQuestions() {
  const ids = [];
  const gather = (items) => {
    for (const { id, input, items: inner } of items) {
      if (PICKED.includes(input)) ids.push(id);
      gather(inner ?? []);
    }
  };
  const { sections } = JSON.parse(readFileSync(join(here, "../incident/data/questions.json"), "utf8"));
  for (const { items } of sections) gather(items);
  return ids;
}

function compare(language, source, own) {
  const problems = [];
  const plural = (key) => FORMS.test(key) && key.replace(FORMS, ".other") in source && key.replace(FORMS, ".one") in source;
  const wanted = new Set();
  for (const key of Object.keys(source)) {
    if (!plural(key)) wanted.add(key);
    else for (const form of formsOf(language)) wanted.add(key.replace(FORMS, `.${form}`));
  }
  for (const key of wanted) {
    if (!own[key]?.trim()) problems.push(`${language}: src/texts lacks ${key}`);
  }
  for (const [key, text] of Object.entries(own)) {
    if (!wanted.has(key)) problems.push(`${language}: nobody shows ${key}`);
    const from = source[key] ?? source[key.replace(FORMS, ".other")] ?? "";
    const names = (text) => new Set(text.match(/\{\w+\}/g) ?? []);
    for (const name of names(text)) if (!names(from).has(name)) problems.push(`${language}: ${key} has ${name}`);
    for (const name of names(from)) {
      // A form for one or two things may say the number in words.
      if (!names(text).has(name) && !(plural(key) && name === "{n}")) problems.push(`${language}: ${key} lacks ${name}`);
    }
  }
  return problems;
}

/** The plural forms of a language (CLDR); Tibetan, which node may not know, has one. */
function formsOf(language) {
  if (Intl.PluralRules.supportedLocalesOf(language).length === 0) return ["other"];
  return new Intl.PluralRules(language).resolvedOptions().pluralCategories;
}
