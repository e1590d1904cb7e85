import { utf8 } from "./bytes";
import { distinct, locale, text } from "./lines";
import { malformed } from "./refused";
import { fields, strictJson } from "./strict_json";

/** A question of the organization itself (docs/protocol.md, section 6). */
export interface Question {
  readonly id: string;
  readonly kind: "text" | "long_text" | "yes_no" | "choice";
  readonly text: Wordings;
  readonly choices: readonly { readonly code: string; readonly text: Wordings }[];
}

/** Wordings by locale; `en` is always there. */
export type Wordings = ReadonlyMap<string, string>;

const KINDS = ["text", "long_text", "yes_no", "choice"] as const;

export function parseQuestion(line: string): Question {
  if (utf8(line).length > 65_536) throw malformed("a question is too long");
  const json = fields(strictJson(line), ["id", "kind", "text"], ["choices"]);
  const kind = KINDS.find((kind) => kind === json["kind"]);
  if (kind === undefined) throw malformed("a question of an unknown kind");
  const list = json["choices"] ?? [];
  if (!Array.isArray(list)) throw malformed("choices that are no list");
  const choices = list.map((choice: unknown) => {
    const { code: id, text } = fields(choice, ["code", "text"]);
    return { code: code(id), text: wordings(text) };
  });
  if (kind === "choice" ? choices.length < 2 || choices.length > 64 : choices.length > 0) {
    throw malformed("a choice has 2 to 64 choices, and any other kind has none");
  }
  distinct(choices.map((choice) => choice.code), "a choice");
  return { id: code(json["id"]), kind, text: wordings(json["text"]), choices };
}

function code(value: unknown): string {
  if (typeof value !== "string" || !/^[a-z0-9_]{1,32}$/.test(value)) throw malformed("not an id or code");
  return value;
}

function wordings(value: unknown): Wordings {
  const texts = new Map<string, string>();
  for (const [tag, wording] of Object.entries(fields(value, ["en"], Object.keys(Object(value))))) {
    if (typeof wording !== "string") throw malformed("a wording that is no text");
    texts.set(locale(tag), text(wording));
  }
  return texts;
}

/** The wording in a language, or one near to it, or English. */
export function wording(texts: Wordings, language: string): string {
  const primary = (tag: string) => tag.split("-")[0]!.toLowerCase();
  const near = [...texts].find(([tag]) => primary(tag) === primary(language))?.[1];
  return texts.get(language) ?? near ?? texts.get("en")!;
}
