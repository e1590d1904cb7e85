import { asDate } from "../crypto/day";
import { Refused, malformed } from "../crypto/refused";
import { type Link, parseLink } from "../crypto/fingerprint";
import { button, details, freshId, h, on } from "../app/dom";
import { show } from "../app/frame";
import { Problem, findOrganization } from "../app/network";
import { MAX_LEN, parseFiles, today, verifyOrganization } from "../app/organization";
import { type Organization, use } from "../app/session";
import { formatDate, t } from "../texts/texts";
import { textField } from "./fields";
import { isSaved, named } from "./surroundings";
import { welcome } from "./welcome";

/** How long an answer may take before the page says that it waits. */
const SLOW_MS = 150;

/** From the address to the first screen; with an organization that was verified already, straight to it. */
export async function start(organization?: Organization): Promise<void> {
  if (organization !== undefined) {
    welcome(organization);
    return;
  }
  const from = named(location.hash, location.origin, isSaved());
  if (from.kind === "link") await check(from.link);
  else askForLink(from.kind === "nothing" ? undefined : `link.${from.kind}`);
}

async function check(link: Link): Promise<void> {
  // A server that answers at once is not worth a screen of its own, which only flickers and takes as long.
  const slow = setTimeout(() => {
    show({
      title: () => t("checking.title"),
      body: () => h("p", { role: "status" }, t("checking.text")),
    });
  }, SLOW_MS);
  try {
    const organization = await findOrganization(link);
    clearTimeout(slow);
    use(organization);
    welcome(organization);
  } catch (error) {
    clearTimeout(slow);
    failed(error, () => void check(link));
  }
}

function failed(error: unknown, again: () => void): void {
  // A server that is busy may answer in a while; one that knows no such address shows something else than a Marram server.
  const unreadable = error instanceof Problem && error.status < 500;
  const reason = error instanceof Refused ? error.reason : unreadable ? "format" : "network";
  show({
    title: () => t("failed.title"),
    body: () => [
      h("p", { class: "lead" }, t(`failed.${reason}`, { today: formatDate(asDate(today())) })),
      reason !== "network" && h("p", { class: "help" }, t("failed.detail", { what: (error as Error).message })),
      h(
        "div",
        { class: "actions" },
        button(t("page.again"), "primary", again),
        button(t("page.start"), "plain", () => askForLink()),
      ),
    ],
  });
}

function askForLink(complaint?: "link.not_a_link" | "link.other_server"): void {
  let typed = "";
  show({
    title: () => t("link.title"),
    body: () => {
      const asked = { label: t("link.label"), help: t("link.text"), isHeading: false, required: true };
      const field = textField(asked, typed, undefined, { inputmode: "url", dir: "ltr", autocapitalize: "none" });
      on(field.node, { input: () => (typed = String(field.value())) });
      const go = () => {
        const from = named(`#${String(field.value())}`, location.origin, isSaved());
        if (from.kind === "link") void check(from.link);
        else field.complain(t(from.kind === "other_server" ? "link.other_server" : "link.not_a_link"));
      };
      on(field.node, {
        keydown: (event) => {
          if (event.key === "Enter") go();
        },
      });
      if (complaint !== undefined) queueMicrotask(() => field.complain(t(complaint)));
      return [
        field.node,
        h("div", { class: "actions" }, button(t("link.open"), "primary", go)),
        details(t("link.files"), files()),
      ];
    },
  });
}

function files(): HTMLElement {
  const id = freshId("file");
  const input = h("input", { id, type: "file", multiple: true });
  const print = textField({ label: t("link.files.fingerprint"), isHeading: false, required: true }, "", undefined, {
    dir: "ltr",
    autocapitalize: "none",
  });
  const go = async () => {
    const value = String(print.value());
    const fingerprint = /^[0-9a-f]{64}$/.test(value) ? value : parseLink(value)?.fingerprint;
    if (fingerprint === undefined) {
      print.complain(t("link.not_a_link"));
      return;
    }
    try {
      const chosen = [...(input.files ?? [])];
      if (chosen.some(({ size }) => size > MAX_LEN)) throw malformed("the file is too large");
      const bytes = await Promise.all(chosen.map(async (file) => new Uint8Array(await file.arrayBuffer())));
      const organization = verifyOrganization(parseFiles(bytes), fingerprint, undefined);
      use(organization);
      welcome(organization);
    } catch (error) {
      failed(error, () => askForLink());
    }
  };
  return h(
    "div",
    {},
    h("p", {}, t("link.files.text")),
    h("div", { class: "field" }, h("label", { for: id, class: "label" }, t("link.files.choose")), input),
    print.node,
    h("div", { class: "actions" }, button(t("link.files.open"), "secondary", () => void go())),
  );
}
