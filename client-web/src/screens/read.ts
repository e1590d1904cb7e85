import { type Answer, acknowledged, answers, shardOf, verifyBoard } from "../crypto/board";
import { wipe } from "../crypto/bytes";
import { Codename, type WordsProblem } from "../crypto/codename";
import { asDate } from "../crypto/day";
import { Refused } from "../crypto/refused";
import { type Child, button, foreign, h, notice } from "../app/dom";
import { show } from "../app/frame";
import { fetchBoard } from "../app/network";
import { today } from "../app/organization";
import { type Organization, forgetEverything, session } from "../app/session";
import { formatDate, languages, plural, t } from "../texts/texts";
import { ask } from "./ask";
import { longTextField } from "./fields";
import { start } from "./start";

/** Asks for the twelve words. */
export function readAnswers(organization: Organization): void {
  show({
    title: () => t("read.title"),
    body: () => {
      const field = longTextField({ label: t("read.label"), isHeading: false, required: true }, "");
      const area = field.node.querySelector("textarea")!;
      area.rows = 4;
      area.autocapitalize = "none";
      const lists = h("div", { class: "actions" });
      const go = (list?: string) => {
        const codename = Codename.fromWords(String(field.value()), list);
        if (codename instanceof Codename) {
          area.value = "";
          session.codename = codename;
          void look(organization, codename);
          return;
        }
        field.complain(complaint(codename));
        // The language that was meant, if words are valid in two.
        const ambiguous = codename.problem === "ambiguous" ? codename.lists : [];
        lists.replaceChildren(
          ...ambiguous.map((tag) =>
            button(languages.find((language) => language.tag === tag)?.name ?? tag, "secondary", () => go(tag)),
          ),
        );
      };
      return [
        h("p", { class: "lead" }, t("read.text")),
        field.node,
        lists,
        h(
          "div",
          { class: "actions" },
          button(t("read.go"), "primary", () => go()),
          button(t("page.start"), "plain", () => void start(organization)),
        ),
      ];
    },
  });
}

function complaint(problem: WordsProblem): string {
  switch (problem.problem) {
    case "count":
      return t("read.words.count", { n: problem.count });
    case "unknown":
      return t("read.words.unknown", { n: problem.position });
    case "checksum":
      return t("read.words.checksum");
    case "ambiguous":
      return t("read.words.ambiguous");
  }
}

async function look(organization: Organization, codename: Codename): Promise<void> {
  show({ title: () => t("read.title"), body: () => h("p", { role: "status" }, t("read.looking")) });
  const { link, manifest } = organization;
  if (link === undefined) {
    found(organization, () => h("p", { class: "lead" }, t("read.board.network")), true);
    return;
  }
  const replyKey = codename.replyKey();
  try {
    const shard = shardOf(replyKey, manifest.board.shards);
    const bytes = await fetchBoard(link, shard);
    if (bytes === undefined) {
      found(organization, () => h("p", { class: "lead" }, t("read.board.none")));
      return;
    }
    const board = verifyBoard(bytes, manifest, shard, today());
    const count = acknowledged(board, replyKey);
    const { answers: all } = await answers(board, replyKey);
    if (session.codename !== codename) return;
    const day = () => formatDate(asDate(board.day));
    found(organization, () => [
      board.stale && notice("urgent", t("read.board.stale", { day: day() })),
      h("p", { class: "lead" }, count > 0 ? plural("read.acknowledged", count) : t("read.acknowledged.none")),
      count === 0 && !board.stale && h("p", { class: "help" }, t("read.acknowledged.late")),
      all.length > 0
        ? [h("h2", {}, t("read.answers")), all.map(shown), h("p", { class: "help" }, t("read.answer.keep"))]
        : h("p", {}, t("read.answers.none")),
      h("p", { class: "help" }, t("read.board.day", { day: day() })),
    ]);
  } catch (error) {
    if (session.codename !== codename) return;
    const text = () => (error instanceof Refused ? t("read.board.invalid") : t("read.board.network"));
    found(organization, () => (error instanceof Refused ? notice("urgent", text()) : h("p", { class: "lead" }, text())), true);
  } finally {
    wipe(replyKey);
  }
}

const shown = ({ day, text }: Answer): HTMLElement =>
  h("article", { class: "card answer" }, h("h3", {}, t("read.answer.day", { day: formatDate(asDate(day)) })), foreign(text, "p"));

function found(organization: Organization, body: () => Child, again = false): void {
  show({
    title: () => t("read.title"),
    body: () => [
      body(),
      h(
        "div",
        { class: "actions" },
        again && button(t("page.again"), "primary", () => void (session.codename && look(organization, session.codename))),
        button(t("read.add"), again ? "secondary" : "primary", () => {
          session.continues = true;
          show({
            title: () => t("read.add"),
            body: () => [
              h("p", { class: "lead" }, t("read.add.text")),
              h("div", { class: "actions" }, button(t("word.continue"), "primary", () => ask(organization))),
            ],
          });
        }),
        button(t("page.start"), "plain", () => {
          forgetEverything();
          void start(organization);
        }),
      ),
    ],
  });
}
