import { TooLarge } from "../crypto/bucket";
import { random, toHex, utf8 } from "../crypto/bytes";
import { Codename } from "../crypto/codename";
import { wording } from "../crypto/question";
import { type Content, MAX_LEN } from "../crypto/report";
import { measure, sizeOf } from "../crypto/seal";
import type { Answer, Evidence, Prompt } from "../incident/interview";
import { type Child, button, foreign, h } from "../app/dom";
import { show } from "../app/frame";
import { type Organization, forgetEverything, session } from "../app/session";
import { formatSize, language, lookup, t, writable } from "../texts/texts";
import { ask, back, labelOf, labelOfChoice } from "./ask";
import { keepCodename } from "./codename";
import { countryName } from "./fields";
import { chosenBlob } from "./files";
import { sealing } from "./send";
import { start } from "./start";

/** The last look before sealing. */
export function review(organization: Organization): void {
  session.codename ??= Codename.draw(random);
  const problem = h("p", { class: "error", role: "alert" });
  show({
    title: () => t("review.title"),
    body: () => {
      const size = h("p", { class: "help" }, t("page.wait"));
      void measured(organization).then(
        (bytes) => (size.textContent = t("review.size", { size: formatSize(bytes) })),
        (error: unknown) => (size.textContent = tooLarge(error)),
      );
      return [
        h("p", { class: "lead" }, t("review.text")),
        answersBySection(organization),
        ownAnswers(organization),
        chosenFiles(organization),
        size,
        problem,
        h(
          "div",
          { class: "actions" },
          button(t("review.go"), "primary", () => void go(organization, problem)),
          button(t("word.back"), "plain", () => back(organization)),
        ),
        h("p", { class: "aside" }, button(t("review.stop"), "plain", () => gone(organization))),
      ];
    },
  });
}

const tooLarge = (error: unknown): string =>
  error instanceof TooLarge ? t("files.too_large", { size: formatSize(error.limit) }) : String(error);

/** What the report says, of what was answered and chosen. */
export function content(): Content {
  const evidence = session.files.map((file, index): Evidence => {
    const { sha256, blob } = session.measured[index]!;
    return {
      sha256: toHex(sha256),
      size_bytes: blob.size,
      ...(file.mime !== undefined && { mime: file.mime }),
      ...nameOf(file.name),
      // Whether it is the original is known only where a copy could be made.
      ...(file.findings !== undefined && { is_original: file.keep === "original" || file.findings.length === 0 }),
    };
  });
  const answers = Object.fromEntries([...session.own].filter(([, answer]) => answer !== ""));
  return { continues: session.continues, answers, incident: session.interview.toIncident(evidence) };
}

/** The name alone, without folders and control characters, as the schema wants it. */
function nameOf(name: string): { original_filename?: string } {
  const clean = [...name.replace(/[/\\\p{Cc}\p{Surrogate}]/gu, "_")].slice(-255).join("");
  return /\S/.test(clean) && clean !== "." && clean !== ".." ? { original_filename: clean } : {};
}

async function measured(organization: Organization): Promise<number> {
  const files = session.files.map(chosenBlob);
  const known = files.length === session.measured.length && files.every((blob, n) => session.measured[n]!.blob === blob);
  if (!known) {
    const all = [];
    for (const blob of files) all.push(await measure(blob));
    session.measured = all;
  }
  return sizeOf(organization.manifest, session.codename!, content(), session.measured);
}

async function go(organization: Organization, problem: HTMLElement): Promise<void> {
  try {
    await measured(organization);
    // The rest of report.json has less than 16 KiB, but for the answers to own questions, which are counted here, too.
    if (utf8(JSON.stringify(content())).length > MAX_LEN - (1 << 14)) throw new TooLarge(0, MAX_LEN);
  } catch (error) {
    problem.textContent = tooLarge(error);
    problem.focus();
    return;
  }
  if (session.continues) sealing(organization);
  else keepCodename(organization, () => sealing(organization));
}

export function gone(organization: Organization | undefined): void {
  forgetEverything();
  show({
    title: () => t("gone.title"),
    body: () => [
      h("p", { class: "lead" }, t("gone.text")),
      h("div", { class: "actions" }, button(t("page.start"), "secondary", () => void start(organization))),
    ],
  });
}

// ── What is shown ───────────────────────────────────────────────────────────────────────────────────────────────────

function answersBySection(organization: Organization): Child {
  const sections = new Map<string, (readonly [Prompt, Answer])[]>();
  for (const [prompt, answer] of session.interview.answered()) {
    const { section, question } = prompt;
    const told = answer.kind !== "skipped" && answer.kind !== "seen" && question.input !== "gate";
    // The answers about safety are not part of the report.
    if (told && section.id !== "safety") {
      sections.set(section.id, [...(sections.get(section.id) ?? []), [prompt, answer]]);
    }
  }
  return [...sections].map(([id, answers]) =>
    h(
      "section",
      { class: "review" },
      h("h2", {}, lookup(`section.${id}`)),
      h(
        "dl",
        {},
        answers.map(([prompt, answer]) => {
          const { label } = labelOf(prompt);
          const change = () => {
            session.interview.takeBack(prompt.key);
            ask(organization);
          };
          return row(label, foreign(answerText(prompt, answer), "dd"), change);
        }),
      ),
    ),
  );
}

const row = (label: string, value: HTMLElement, change: () => void): HTMLElement =>
  h(
    "div",
    {},
    h("dt", {}, label),
    value,
    h("dd", { class: "change" }, button(t("review.change"), "plain", change, { "aria-label": t("review.change_what", { what: label }) })),
  );

function answerText(prompt: Prompt, answer: Answer): string {
  const { input } = prompt.question;
  if (answer.kind === "yes_no") return t(answer.yes ? "word.yes" : "word.no");
  if (answer.kind === "many") {
    return answer.codes.map((code) => (input === "countries" ? countryName(code) : labelOfChoice(prompt, code))).join(" · ");
  }
  if (answer.kind !== "one") return "";
  if (input === "country") return countryName(answer.text);
  if (input === "language") return writable.find(({ tag }) => tag === answer.text)?.name ?? answer.text;
  if (input === "choice" || input === "person" || input === "earlier_act") return labelOfChoice(prompt, answer.text);
  return answer.text;
}

function ownAnswers(organization: Organization): Child {
  const { questions } = organization.manifest;
  const answered = questions.filter(({ id }) => session.own.get(id));
  return (
    answered.length > 0 &&
    h(
      "section",
      { class: "review" },
      h("h2", {}, t("ask.own")),
      h(
        "dl",
        {},
        answered.map((question) => {
          const answer = session.own.get(question.id)!;
          const choice = question.choices.find(({ code }) => code === answer);
          const said =
            choice !== undefined
              ? wording(choice.text, language())
              : question.kind === "yes_no"
                ? t(answer === "yes" ? "word.yes" : "word.no")
                : answer;
          return row(wording(question.text, language()), foreign(said, "dd"), () => {
            session.own.delete(question.id);
            ask(organization);
          });
        }),
      ),
    )
  );
}

function chosenFiles(organization: Organization): Child {
  return (
    session.files.length > 0 &&
    h(
      "section",
      { class: "review" },
      h("h2", {}, t("review.files")),
      h(
        "dl",
        {},
        session.files.map((file) =>
          row(file.name, h("dd", {}, formatSize(chosenBlob(file).size)), () => {
            session.interview.takeBack("evidence");
            ask(organization);
          }),
        ),
      ),
    )
  );
}
