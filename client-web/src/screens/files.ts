import { capacity } from "../crypto/bucket";
import { MAX_ATTACHMENTS } from "../crypto/report";
import { button, h, on } from "../app/dom";
import { type ChosenFile, currentLimit, session } from "../app/session";
import { inspect } from "../files/metadata";
import { sniff } from "../files/sniff";
import { formatSize, t } from "../texts/texts";
import type { Asked, Field } from "./fields";

/** Choosing files. What is hidden in a picture is shown, and a copy without it is offered: the choice is the sender's. */
export function filesField(asked: Asked): Field {
  const list = h("ul", { class: "files" });
  const says = h("p", { class: "error", role: "alert" });
  const input = h("input", { type: "file", multiple: true, id: "files", class: "unseen", "aria-describedby": "files-help" });
  const node = h(
    "div",
    { class: "field" },
    !asked.isHeading && h("h2", {}, asked.label),
    asked.help !== undefined && h("p", { class: "help", id: "files-help" }, asked.help),
    list,
    says,
    input,
    h("label", { for: "files", class: "button secondary" }, t("files.add")),
  );
  const draw = () =>
    list.replaceChildren(...session.files.map((file, index) => fileCard(file, index, draw)));
  const add = async () => {
    says.textContent = t("page.wait");
    const complaints: string[] = [];
    for (const file of [...(input.files ?? [])]) {
      const complaint = await addFile(file);
      if (complaint !== undefined) complaints.push(complaint);
    }
    input.value = "";
    says.textContent = complaints.join(" ");
    draw();
  };
  on(input, { change: () => void add() });
  draw();
  return { node, value: () => "", complain: () => {} };
}

async function addFile(file: File): Promise<string | undefined> {
  const { name } = file;
  if (session.files.length >= MAX_ATTACHMENTS) return t("message.too_many_files", { limit: MAX_ATTACHMENTS });
  if (file.size === 0) return t("files.empty", { name });
  const same = session.files.some((other) => other.name === name && other.original.size === file.size);
  if (same) return t("files.same", { name });
  const { slots, limit } = currentLimit();
  const room = capacity(limit, slots);
  const used = session.files.reduce((sum, other) => sum + chosenBlob(other).size + 1024, 0);
  // Room for the report itself, which is not written yet.
  if (used + file.size + (1 << 17) > room) return t("files.too_large", { size: formatSize(room - (1 << 17)) });
  try {
    const inspected = await inspect(file);
    const mime = inspected?.mime ?? (await sniff(file));
    session.files.push({
      name,
      mime,
      original: file,
      stripped: inspected?.stripped,
      findings: inspected?.findings,
      keep: "original",
    });
    return undefined;
  } catch {
    return t("files.unreadable", { name });
  }
}

/** The bytes that go along. */
export const chosenBlob = (file: ChosenFile): Blob =>
  file.keep === "stripped" && file.stripped !== undefined ? file.stripped : file.original;

function fileCard(file: ChosenFile, index: number, redraw: () => void): HTMLElement {
  const remove = () => {
    session.files.splice(index, 1);
    redraw();
  };
  const { findings } = file;
  const choice = (keep: ChosenFile["keep"], label: string) => {
    const input = h("input", { type: "radio", name: `keep-${index}`, checked: file.keep === keep, autocomplete: "off" });
    on(input, {
      change: () => {
        file.keep = keep;
        redraw();
      },
    });
    return h("label", { class: "choice small" }, input, h("span", {}, label));
  };
  return h(
    "li",
    { class: "card" },
    h("h3", {}, h("bdi", {}, file.name), h("span", { class: "size" }, formatSize(chosenBlob(file).size))),
    findings === undefined && h("p", {}, t("files.says.unknown")),
    findings?.length === 0 && h("p", {}, t("files.says.nothing")),
    findings !== undefined &&
      findings.length > 0 && [
        h("p", {}, t("files.says")),
        h(
          "ul",
          { class: "findings" },
          findings.map(({ kind, value }) => h("li", {}, t(`files.says.${kind}`, { value: `\u2068${value}\u2069` }))),
        ),
        h(
          "div",
          { class: "choices", role: "radiogroup", "aria-label": file.name },
          choice("original", t("files.keep")),
          choice("stripped", t("files.strip")),
        ),
        file.keep === "stripped" && h("p", { class: "help" }, t("files.stripped")),
      ],
    button(t("files.remove"), "plain", remove, { "aria-label": t("ask.remove", { what: file.name }) }),
  );
}
