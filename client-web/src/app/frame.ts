import { type Child, h, on } from "./dom";
import { forgetEverything } from "./session";
import { direction, language, languages, reviewed, speak, t } from "../texts/texts";

/** One screen: its heading, and what stands under it. Built anew when the language changes. */
export interface Screen {
  readonly title: () => string;
  /** What stands above the heading: the part of the questionnaire. */
  readonly above?: () => Child;
  readonly body: () => Child;
}

const element = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;

let current: Screen | undefined;

/** Shows a screen, from its top, and tells a screen reader so. */
export function show(screen: Screen): void {
  current = screen;
  draw();
  scrollTo(0, 0);
  document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
}

function draw(): void {
  if (current === undefined) return;
  const main = element("main");
  main.replaceChildren();
  const above = current.above?.();
  if (above) main.append(h("div", { class: "above" }, above));
  main.append(h("h1", { id: "heading", tabindex: "-1" }, current.title()), h("div", { class: "body" }, current.body()));
}

function drawFrame(): void {
  const root = document.documentElement;
  root.lang = language();
  root.dir = direction();
  element("skip").textContent = t("page.skip_link");
  element("exit").textContent = t("exit.leave");
  element("exit-explain").textContent = t("exit.explain");
  const note = element("not-reviewed");
  note.textContent = reviewed() ? "" : t("message.not_reviewed");
  note.hidden = reviewed();
  const id = "language";
  const select = h(
    "select",
    { id, autocomplete: "off" },
    languages.map(({ tag, name }) => h("option", { value: tag, lang: tag, selected: tag === language() }, name)),
  );
  on(select, {
    change: () => {
      speak(select.value);
      drawFrame();
      draw();
      element(id).focus();
    },
  });
  element("language-choice").replaceChildren(h("label", { for: id, class: "unseen" }, t("page.language")), select);
}

/** Leaves at once: first nothing is to be seen and nothing is kept, then another page takes the place of this one. */
function leave(event: Event): void {
  event.preventDefault();
  const { href } = element<HTMLAnchorElement>("exit");
  leaving = true;
  current = undefined;
  document.title = "\u200b";
  document.body.replaceChildren();
  document.documentElement.className = "gone";
  forgetEverything();
  location.replace(href);
}

let leaving = false;
let somethingToLose: () => boolean = () => false;

/** Says when a browser should ask before the page is closed by mistake. */
export function guard(lose: () => boolean): void {
  somethingToLose = lose;
}

export function startFrame(): void {
  on(element("exit"), { click: leave });
  addEventListener("beforeunload", (event) => {
    if (!leaving && somethingToLose()) event.preventDefault();
  });
  // What the browser keeps of a page that was left must not come back to life with what was written in it.
  addEventListener("pagehide", () => {
    forgetEverything();
    document.getElementById("main")?.replaceChildren();
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
  drawFrame();
}
