import { type Condition, type Question, type Section, codes, question, sections } from "./catalogue";
import { isDate } from "./date";
import { isLanguage } from "./language";

/** An answer. `seen` is a notice that was read, or files that were chosen. */
export type Answer =
  | { readonly kind: "skipped" | "seen" }
  | { readonly kind: "yes_no"; readonly yes: boolean }
  | { readonly kind: "one"; readonly text: string }
  | { readonly kind: "many"; readonly codes: readonly string[] };

/** One question, where it stands. */
export interface Prompt {
  /** Under which key the answer stands: `act[0].method`. */
  readonly key: string;
  readonly question: Question;
  readonly section: Section;
  /** Which part, from 1, of how many. */
  readonly part: number;
  readonly parts: number;
  /** The rounds of the groups around it, from 0. */
  readonly rounds: readonly number[];
  readonly required: boolean;
}

/** Why an answer was not taken: a `message.*` of the texts. */
export interface Message {
  readonly key:
    | "message.required"
    | "message.required_in_round"
    | "message.store"
    | "message.date"
    | "message.language"
    | "message.too_long"
    | "message.not_accepted";
  readonly values?: Readonly<Record<string, string | number>>;
}

/** What stands in the incident about a file. */
export interface Evidence {
  readonly sha256: string;
  readonly size_bytes: number;
  readonly mime?: string;
  readonly original_filename?: string;
  readonly is_original?: boolean;
}

/**
 * A walk through the catalogue, as incident/src/interview.rs walks it: next is the first question, in order, that is
 * shown and has no answer. Unlike there, an earlier answer can be changed and later ones stay; what a changed answer
 * hides is left out of the incident. Holds the answers in memory and nowhere else.
 */
export class Interview {
  #answers = new Map<string, Answer>();
  /** Answers that were taken back, to fill in again. */
  #drafts = new Map<string, Answer>();
  #order: string[] = [];

  /** Everything shown, in order: those of a group after its gate, for each round. */
  *#walk(): Generator<Prompt> {
    for (const [index, section] of sections.entries()) {
      yield* this.#items(section, index, section.items, []);
    }
  }

  *#items(section: Section, part: number, items: readonly Question[], rounds: readonly number[]): Generator<Prompt> {
    for (const item of items) {
      if (!this.#isShown(item, rounds)) continue;
      if (item.input !== "gate") {
        yield this.#prompt(section, part, item, rounds);
        continue;
      }
      for (let round = 0; round < (item.most ?? 1); round++) {
        const inner = [...rounds, round];
        const gate = this.#prompt(section, part, item, inner);
        yield gate;
        const answer = this.#answers.get(gate.key);
        if (answer?.kind !== "yes_no" || !answer.yes) break;
        yield* this.#items(section, part, item.items ?? [], inner);
      }
    }
  }

  #prompt(section: Section, part: number, item: Question, rounds: readonly number[]): Prompt {
    return {
      key: keyOf(item, rounds),
      question: item,
      section,
      part: part + 1,
      parts: sections.length,
      rounds,
      required: item.required === true || (item.required_if !== undefined && this.#holds(item.required_if, rounds)),
    };
  }

  #isShown(item: Question, rounds: readonly number[]): boolean {
    // The first act cannot follow an earlier one.
    if (item.input === "earlier_act" && rounds[0] === 0) return false;
    return item.show_if === undefined || this.#holds(item.show_if, rounds);
  }

  #holds(condition: Condition, rounds: readonly number[]): boolean {
    const other = question(condition.question);
    // An answer that is not shown any more decides nothing.
    if (other === undefined || !this.#isShown(other, rounds)) return false;
    const answer = this.#answers.get(keyOf(other, rounds));
    switch (answer?.kind) {
      case "yes_no":
        return condition.is.includes(answer.yes ? "yes" : "no");
      case "one":
        return condition.is.includes(answer.text);
      case "many":
        return answer.codes.some((code) => condition.is.includes(code));
      default:
        return false;
    }
  }

  /** What to ask next; undefined once everything has been asked. */
  next(): Prompt | undefined {
    for (const prompt of this.#walk()) if (!this.#answers.has(prompt.key)) return prompt;
    return undefined;
  }

  /** What to ask on one screen: notices together with what follows them, and countries together. */
  nextTogether(): readonly Prompt[] {
    const together: Prompt[] = [];
    for (const prompt of this.#walk()) {
      if (this.#answers.has(prompt.key)) {
        if (together.length > 0) break;
        continue;
      }
      const last = together.at(-1);
      const joins =
        last === undefined ||
        (prompt.section === last.section &&
          (last.question.input === "notice"
            ? prompt.question.show_if === undefined
            : last.question.input === "country" &&
              prompt.question.input === "country" &&
              prompt.rounds.length === 0 &&
              last.rounds.length === 0));
      if (!joins) break;
      together.push(prompt);
    }
    return together;
  }

  answer(prompt: Prompt, answer: Answer): Message | undefined {
    const message = this.#check(prompt, answer);
    if (message !== undefined) return message;
    this.#answers.set(prompt.key, answer);
    this.#drafts.delete(prompt.key);
    this.#order.push(prompt.key);
    return undefined;
  }

  /** Counts notices as read that were shown elsewhere. */
  see(...notices: readonly string[]): void {
    for (const id of notices) this.#answers.set(id, { kind: "seen" });
  }

  #check(prompt: Prompt, answer: Answer): Message | undefined {
    const { input, most } = prompt.question;
    if (answer.kind === "skipped" && prompt.required) {
      return { key: prompt.rounds.length > 0 ? "message.required_in_round" : "message.required" };
    }
    if (prompt.key === "consent.store" && answer.kind === "yes_no" && !answer.yes) return { key: "message.store" };
    if (answer.kind !== "one") return undefined;
    const { text } = answer;
    if (input === "date" && !isDate(text)) return { key: "message.date" };
    if (input === "language" && !isLanguage(text)) return { key: "message.language" };
    if (most !== undefined && [...text].length > most) return { key: "message.too_long", values: { limit: most } };
    if (text.includes("\0") || (prompt.key === "safe_contact.time_zone" && !/^[A-Za-z0-9/_+:-]+$/.test(text))) {
      return { key: "message.not_accepted", values: { what: text.replaceAll("\0", "␀") } };
    }
    return undefined;
  }

  /** Skips what is left of the part that is asked now, as far as it can be skipped. */
  skipPart(): void {
    const first = this.next();
    for (let prompt = first; prompt !== undefined && prompt.section === first?.section; prompt = this.next()) {
      if (prompt.required) return;
      const kind = prompt.question.input === "notice" || prompt.question.input === "files" ? "seen" : "skipped";
      this.answer(prompt, { kind });
    }
  }

  /** Takes the last screen's answers back, so that they are asked again. False at the very start. */
  back(): boolean {
    const shown = new Set([...this.#walk()].map(({ key }) => key));
    let key = this.#order.pop();
    while (key !== undefined && !(shown.has(key) && this.#answers.has(key))) key = this.#order.pop();
    if (key === undefined) return false;
    this.takeBack(key);
    // Notices were read together with what followed them.
    for (;;) {
      const before = this.#order.at(-1);
      const input = before === undefined ? undefined : question(before)?.input;
      if (before === undefined || input !== "notice") return true;
      const together = this.#sameScreen(before, key);
      if (!together) return true;
      this.#order.pop();
      this.takeBack(before);
      key = before;
    }
  }

  #sameScreen(notice: string, key: string): boolean {
    const walk = [...this.#walk()];
    const at = walk.findIndex((prompt) => prompt.key === notice);
    const next = walk[at + 1];
    return next?.key === key && next.section === walk[at]?.section && next.question.show_if === undefined;
  }

  /** Takes one answer back, to be changed. */
  takeBack(key: string): void {
    const answer = this.#answers.get(key);
    if (answer !== undefined) this.#drafts.set(key, answer);
    this.#answers.delete(key);
  }

  /** What was answered before it was taken back. */
  draft(key: string): Answer | undefined {
    return this.#drafts.get(key);
  }

  keepDraft(key: string, answer: Answer): void {
    this.#drafts.set(key, answer);
  }

  get(key: string): Answer | undefined {
    return this.#answers.get(key);
  }

  /** Every shown question that has an answer, in order. */
  *answered(): Generator<readonly [Prompt, Answer]> {
    for (const prompt of this.#walk()) {
      const answer = this.#answers.get(prompt.key);
      if (answer !== undefined) yield [prompt, answer];
    }
  }

  /** Whether a round of a group was opened: `relative[0]`. */
  happened(key: string): boolean {
    const answer = this.#answers.get(key);
    return answer?.kind === "yes_no" && answer.yes;
  }

  /** The choices of a question, as codes. */
  choices(prompt: Prompt): readonly string[] {
    const { input } = prompt.question;
    if (input === "person") {
      const relatives: string[] = [];
      for (let n = 0; this.happened(`relative[${n}]`); n++) relatives.push(`relative[${n}]`);
      return ["target", ...relatives];
    }
    if (input === "earlier_act") return Array.from({ length: prompt.rounds[0] ?? 0 }, (_, n) => `act[${n}]`);
    return codes(prompt.question.codes ?? "");
  }

  /** The incident, as incident/schema/incident-v1.json has it. */
  toIncident(evidence: readonly Evidence[]): Record<string, unknown> {
    const incident: Record<string, unknown> = { schema: "marram/incident/v1" };
    for (const [prompt, answer] of this.answered()) {
      const value = this.#value(prompt, answer);
      if (value !== undefined) put(incident, prompt.key, value);
    }
    if (evidence.length > 0) incident["evidence"] = evidence;
    return incident;
  }

  #value(prompt: Prompt, answer: Answer): unknown {
    const { path, input } = prompt.question;
    if (path === undefined || input === "gate") return undefined;
    switch (answer.kind) {
      case "yes_no":
        return answer.yes;
      case "many":
        return answer.codes;
      case "one":
        break;
      default:
        return undefined;
    }
    const { text } = answer;
    if (input === "country") {
      return text.includes("-") ? { country: text.slice(0, 2), subdivision: text } : { country: text };
    }
    // Of somebody, or something, that was taken out again, nothing is said.
    if (input === "person" || input === "earlier_act") {
      if (!this.choices(prompt).includes(text)) return undefined;
      return input === "person" ? text : Number(/\d+/.exec(text)?.[0]);
    }
    return text;
  }

  /** Forgets everything. */
  forget(): void {
    this.#answers.clear();
    this.#drafts.clear();
    this.#order = [];
  }
}

/** The key of a question in these rounds of its groups: its path, with `[]` filled in; its id if it has no path. */
function keyOf(item: Question, rounds: readonly number[]): string {
  if (item.path === undefined || item.input === "files") return item.id;
  let round = 0;
  return item.path.replace(/\[\]/g, () => `[${rounds[round++] ?? 0}]`);
}

/** Puts a value in its place. Rounds are answered in order, so an index is that of the last element or the next. */
function put(json: Record<string, unknown>, key: string, value: unknown): void {
  const segments = key.split(".").map((part) => /^(\w+)(?:\[(\d+)\])?$/.exec(part)!);
  let place = json;
  for (const [at, [, name, index]] of segments.entries()) {
    if (at === segments.length - 1) {
      place[name!] = value;
      return;
    }
    if (index === undefined) {
      place = (place[name!] ??= {}) as Record<string, unknown>;
    } else {
      const list = (place[name!] ??= []) as Record<string, unknown>[];
      place = list[Number(index)] ??= {};
    }
  }
}
