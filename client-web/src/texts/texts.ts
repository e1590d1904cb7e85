import { wordlist as simplified } from "@scure/bip39/wordlists/simplified-chinese.js";
import { wordlist as traditional } from "@scure/bip39/wordlists/traditional-chinese.js";
import packed from "virtual:texts";

import type asked from "../../../incident/data/texts/en.json";
import type own from "./en.json";

type OwnKey = keyof (typeof own)["texts"];
type AskedKey = keyof (typeof asked)["texts"];
/** Plural texts have one key for each form: `x.one`, `x.other`. */
type Base<K> = K extends `${infer Start}.other` ? (`${Start}.one` extends OwnKey ? Start : never) : never;
export type PluralKey = Base<OwnKey>;
/** A key of which the compiler knows that English has it. */
export type Key = OwnKey | AskedKey;

const index = new Map(packed.keys.split("\n").map((key, place) => [key, place]));

/** A language as the build packed it (`exchanged` in tools/texts.mjs). A text is unpacked when it is shown: most never are. */
function unpacked({ letters, texts, ...language }: (typeof packed.languages)[number]) {
  const pairs =
    language.language === "zh-Hans"
      ? simplified.flatMap((sign, place) => (sign === traditional[place] ? [] : [sign, traditional[place]!]))
      : Array.from(letters);
  const other = new Map(pairs.map((sign, n) => [sign, pairs[n ^ 1]!]));
  const lines = texts.split("\n");
  const text = (place: number) => Array.from(lines[place] ?? "", (sign) => other.get(sign) ?? sign).join("");
  return { ...language, text };
}

const source = unpacked(packed.languages[0]!);
let current = source;

export interface Language {
  readonly tag: string;
  readonly name: string;
}

/** What a language calls itself, in the order in which they are offered. */
const NAMES: Readonly<Record<string, string>> = {
  en: "English",
  "zh-Hans": "简体中文",
  "zh-Hant": "繁體中文",
  ug: "ئۇيغۇرچە",
  bo: "བོད་ཡིག",
  fa: "فارسی",
  ar: "العربية",
  tr: "Türkçe",
  ru: "Русский",
  vi: "Tiếng Việt",
  es: "Español",
  fr: "Français",
};

/** Every language that a report can be written in by a press of a button, whether or not the page speaks it. */
export const writable: readonly Language[] = Object.entries(NAMES).map(([tag, name]) => ({ tag, name }));

export const languages: readonly Language[] = writable.filter(({ tag }) => packed.languages.some(({ language }) => language === tag));

export const language = (): string => current.language;
export const direction = (): "ltr" | "rtl" => current.direction;
export const reviewed = (): boolean => current.reviewed;

export function speak(tag: string): void {
  const found = packed.languages.find(({ language }) => language === tag);
  current = found === undefined ? source : unpacked(found);
}

/** The first of the wanted languages that the page speaks; English if none. */
export function preferred(wanted: readonly string[]): string {
  const known = packed.languages.map(({ language }) => language);
  for (const tag of wanted) {
    const parts = tag.split("-");
    const script = parts.some((part) => /^(hant|tw|hk|mo)$/i.test(part)) ? "zh-Hant" : "zh-Hans";
    const found = known.find((tag) => tag === (parts[0] === "zh" ? script : parts[0]));
    if (found !== undefined) return found;
  }
  return source.language;
}

export type Values = Readonly<Record<string, string | number>>;

/** A text by a key that is put together; empty if there is none. */
export function lookup(key: string, values: Values = {}): string {
  const place = index.get(key);
  if (place === undefined) return "";
  const text = current.text(place) || source.text(place);
  return text.replace(/\{(\w+)\}/g, (all, name: string) => {
    const value = values[name];
    return value === undefined ? all : typeof value === "number" ? formatNumber(value) : value;
  });
}

export const t = (key: Key, values?: Values): string => lookup(key, values);

/** A text with a number in it, in the form that the language has for this number. */
export function plural(key: PluralKey, n: number, values: Values = {}): string {
  const known = Intl.PluralRules.supportedLocalesOf(current.language).length > 0;
  const form = known ? new Intl.PluralRules(current.language).select(n) : "other";
  return lookup(`${key}.${form}`, { ...values, n }) || lookup(`${key}.other`, { ...values, n });
}

/** A whole number. From left to right, one below a thousand needs no `Intl`, whose first use takes more than ten milliseconds. */
export const formatNumber = (n: number): string =>
  n < 1000 && direction() === "ltr" ? String(n) : new Intl.NumberFormat(current.language).format(n);

export function formatDate(date: Date): string {
  const known = Intl.DateTimeFormat.supportedLocalesOf(current.language).length > 0;
  if (!known) return date.toISOString().slice(0, 10);
  return new Intl.DateTimeFormat(current.language, { dateStyle: "long", timeZone: "UTC" }).format(date);
}

export function formatSize(bytes: number): string {
  const unit = bytes < 1 << 20 ? "KB" : "MB";
  const value = bytes / (bytes < 1 << 20 ? 1 << 10 : 1 << 20);
  // The unit is isolated, so that it stays behind its number from right to left, too.
  return `\u2068${new Intl.NumberFormat(current.language, { maximumFractionDigits: 1 }).format(value)}\u00a0${unit}\u2069`;
}
