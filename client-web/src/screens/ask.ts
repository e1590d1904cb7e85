import { wording } from "../crypto/question";
import type { Question as OwnQuestion } from "../crypto/question";
import type { Answer, Message, Prompt } from "../incident/interview";
import { type Child, button, h, notice, on } from "../app/dom";
import { type Screen, show } from "../app/frame";
import { type Organization, session } from "../app/session";
import { language, lookup, t } from "../texts/texts";
import {
  type Asked,
  type Field,
  choiceField,
  countriesField,
  countryField,
  dateField,
  languageField,
  longTextField,
  textField,
} from "./fields";
import { filesField } from "./files";
import { review } from "./review";
import { welcome } from "./welcome";


/** Shows what is to be asked next: of the catalogue, then of the organization itself, then the last look. */
export function ask(organization: Organization): void {
  const prompts = session.interview.nextTogether();
  const own = organization.manifest.questions.find(({ id }) => !session.own.has(id));
  if (prompts.length > 0) show(questions(organization, prompts));
  else if (own !== undefined) show(ownQuestion(organization, own));
  else review(organization);
}

/** Goes back by one screen. */
export function back(organization: Organization): void {
  const own = organization.manifest.questions.filter(({ id }) => session.own.has(id)).at(-1);
  if (own !== undefined) session.own.delete(own.id);
  else if (!session.interview.back()) {
    welcome(organization);
    return;
  }
  ask(organization);
}

// ── The catalogue's questions ───────────────────────────────────────────────────────────────────────────────────────

/** The texts of a question: a group is asked by `.first`, then by `.again`. */
export function labelOf({ question: { id, input }, rounds }: Prompt): { label: string; help: string | undefined } {
  const key = input === "gate" ? `question.${id}.${rounds.at(-1) === 0 ? "first" : "again"}` : `question.${id}`;
  return { label: lookup(key), help: lookup(`${key}.help`) || undefined };
}

export function labelOfChoice(prompt: Prompt, code: string): string {
  const { input, codes } = prompt.question;
  const said = (key: string) => {
    const answer = session.interview.get(key);
    return answer?.kind === "one" ? answer.text : "";
  };
  const n = Number(/\d+/.exec(code)?.[0] ?? 0) + 1;
  if (input === "person" && code === "target") return t("person.target");
  if (input === "person") {
    return t("person.relative", { relation: lookup(`code.relation.${said(`${code}.relation`)}`), n });
  }
  if (input === "earlier_act") return t("earlier_act", { n, method: lookup(`code.method.${said(`${code}.method`)}`) });
  return lookup(`code.${codes}.${code}`);
}

function questions(organization: Organization, prompts: readonly Prompt[]): Screen {
  const first = prompts[0]!;
  const section = () => lookup(`section.${first.section.id}`);
  const alone = prompts.length === 1;
  return {
    title: () => (alone ? labelOf(first).label : section()),
    above: () => progress(first.part, first.parts, alone ? section() : ""),
    body: () => {
      const asked = prompts.map((prompt) => ({ prompt, field: shown(prompt, alone) }));
      const isGate = asked.at(-1)!.prompt.question.input === "gate";
      const take = (answerOf: (prompt: Prompt, field: Field | undefined) => Answer) => {
        for (const { prompt, field } of asked) {
          const message = session.interview.answer(prompt, answerOf(prompt, field));
          field?.complain(message && words(message));
          if (message !== undefined) return;
        }
        ask(organization);
      };
      const skipped = ({ question }: Prompt): Answer => ({ kind: kindOfNothing(question.input) });
      const given = (prompt: Prompt, field: Field | undefined) => answerOf(prompt, field);
      const optional = prompts.every(({ required }) => !required);
      const nothing = prompts.every(({ question }) => question.input === "notice" || question.input === "files");
      const gate = (yes: boolean) =>
        take((prompt, field) =>
          prompt.question.input === "gate" ? { kind: "yes_no", yes } : answerOf(prompt, field),
        );
      return [
        asked.map(({ prompt, field }) => (field === undefined ? told(prompt, alone) : field.node)),
        !optional && prompts.length > 1 && h("p", { class: "help" }, t("word.required")),
        h(
          "div",
          { class: "actions" },
          isGate
            ? [
                button(t("word.yes"), "primary", () => gate(true)),
                button(t("word.no"), "secondary", () => gate(false)),
              ]
            : button(t("word.continue"), "primary", () => take(given)),
          !isGate && optional && !nothing && button(t("word.skip"), "secondary", () => take(skipped)),
          button(t("word.back"), "plain", () => back(organization)),
        ),
        !nothing &&
          optional &&
          h(
            "p",
            { class: "aside" },
            button(t("ask.skip_part"), "plain", () => {
              session.interview.skipPart();
              ask(organization);
            }),
          ),
      ];
    },
  };
}

export function progress(part: number, parts: number, title: string): Child {
  return [
    h("p", { class: "part" }, t("ask.part", { part, parts }), title !== "" && h("b", {}, title)),
    h(
      "div",
      { class: "progress", "aria-hidden": "true" },
      Array.from({ length: parts }, (_, n) => h("i", { class: n < part ? "done" : "" })),
    ),
  ];
}

const kindOfNothing = (input: Prompt["question"]["input"]) => (input === "notice" || input === "files" ? "seen" : "skipped");

const words = ({ key, values }: Message): string => t(key, values);

/** A notice: there is nothing to fill in. */
function told(prompt: Prompt, alone: boolean): Child {
  const { label, help } = labelOf(prompt);
  if (alone) return help !== undefined && h("p", { class: "lead" }, help);
  return notice("calm", label, help !== undefined && h("p", {}, help));
}

/** The field of a question, filled in with what was answered before; undefined for notices and groups on their own. */
function shown(prompt: Prompt, isHeading: boolean): Field | undefined {
  const { question } = prompt;
  const asked: Asked = { ...labelOf(prompt), isHeading, required: prompt.required };
  if (question.input === "notice") return undefined;
  if (question.input === "gate") {
    const node = h("div", {}, !isHeading && h("h2", {}, asked.label), asked.help !== undefined && h("p", { class: "help" }, asked.help));
    return { node, value: () => "", complain: () => {} };
  }
  const draft = session.interview.draft(prompt.key);
  const text = draft?.kind === "one" ? draft.text : "";
  const many = draft?.kind === "many" ? draft.codes : [];
  const field = fieldFor(prompt, asked, text, many, draft);
  // What was typed outlives a change of the language.
  const keep = () => session.interview.keepDraft(prompt.key, answerOf(prompt, field));
  on(field.node, { input: keep, change: keep });
  return field;
}

function fieldFor(prompt: Prompt, asked: Asked, text: string, many: readonly string[], draft: Answer | undefined): Field {
  const { input, most } = prompt.question;
  const options = () =>
    session.interview.choices(prompt).map((code) => ({ code, label: labelOfChoice(prompt, code) }));
  switch (input) {
    case "long_text":
      return longTextField(asked, text, most);
    case "yes_no": {
      const options = (["yes", "no"] as const).map((code) => ({ code, label: t(`word.${code}`) }));
      const chosen = draft?.kind === "yes_no" ? [draft.yes ? "yes" : "no"] : [];
      return choiceField(asked, options, chosen, false);
    }
    case "choice":
    case "person":
    case "earlier_act":
      return choiceField(asked, options(), [text], false);
    case "multi_choice":
      return choiceField(asked, options(), many, true);
    case "date":
      return dateField({ ...asked, help: undefined }, text);
    case "country":
      return countryField({ ...asked, help: undefined }, text);
    case "countries":
      return countriesField({ ...asked, help: undefined }, many);
    case "language":
      return languageField({ ...asked, help: undefined }, text || (draft === undefined ? language() : ""));
    case "files":
      return filesField(asked);
    default:
      return textField(asked, text, most);
  }
}

function answerOf({ question: { input } }: Prompt, field: Field | undefined): Answer {
  const value = field?.value() ?? "";
  if (input === "notice" || input === "files") return { kind: "seen" };
  if (value.length === 0) return { kind: "skipped" };
  if (typeof value !== "string") return { kind: "many", codes: value };
  return input === "yes_no" ? { kind: "yes_no", yes: value === "yes" } : { kind: "one", text: value };
}

// ── The organization's own questions ────────────────────────────────────────────────────────────────────────────────

function ownQuestion(organization: Organization, question: OwnQuestion): Screen {
  const { questions } = organization.manifest;
  let draft = "";
  return {
    title: () => wording(question.text, language()),
    above: () => progress(questions.indexOf(question) + 1, questions.length, t("ask.own")),
    body: () => {
      const asked: Asked = { label: wording(question.text, language()), isHeading: true, required: false };
      const field = ownField(question, asked, draft);
      on(field.node, { input: () => (draft = String(field.value())), change: () => (draft = String(field.value())) });
      const take = (answer: string) => {
        session.own.set(question.id, answer);
        ask(organization);
      };
      return [
        field.node,
        h(
          "div",
          { class: "actions" },
          button(t("word.continue"), "primary", () => take(String(field.value()))),
          button(t("word.skip"), "secondary", () => take("")),
          button(t("word.back"), "plain", () => back(organization)),
        ),
      ];
    },
  };
}

function ownField(question: OwnQuestion, asked: Asked, draft: string): Field {
  switch (question.kind) {
    case "text":
      return textField(asked, draft);
    case "long_text":
      return longTextField(asked, draft);
    case "yes_no": {
      const options = (["yes", "no"] as const).map((code) => ({ code, label: t(`word.${code}`) }));
      return choiceField(asked, options, [draft], false);
    }
    case "choice": {
      const options = question.choices.map(({ code, text }) => ({ code, label: wording(text, language()) }));
      return choiceField(asked, options, [draft], false);
    }
  }
}
