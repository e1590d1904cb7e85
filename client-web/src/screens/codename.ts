import { random, uniform } from "../crypto/bytes";
import { WORDS, listFor } from "../crypto/codename";
import { button, h, notice } from "../app/dom";
import { show } from "../app/frame";
import { type Organization, session } from "../app/session";
import { language, t } from "../texts/texts";
import { textField } from "./fields";
import { review } from "./review";

/** Shows the twelve words, and goes on only once one of them could be typed from what was kept. */
export function keepCodename(organization: Organization, then: () => void): void {
  const { codename } = session;
  if (codename === undefined) return;
  // The language in which they were shown first stays theirs, whatever language the page is switched to.
  const list = listFor(language());
  show({
    title: () => t("codename.title"),
    body: () => [
      h("p", { class: "lead" }, t("codename.text")),
      h(
        "ol",
        { class: "words", lang: list, dir: "ltr", translate: "no", "aria-label": t("codename.list") },
        codename.words(list).map((word) => h("li", {}, h("b", {}, word))),
      ),
      h("p", {}, t("codename.keep")),
      notice("urgent", t("codename.finder")),
      h(
        "div",
        { class: "actions" },
        button(t("codename.kept"), "primary", () => check()),
        button(t("word.back"), "plain", () => review(organization)),
      ),
    ],
  });

  const check = () => {
    const place = uniform(random, WORDS);
    show({
      title: () => t("codename.check.title"),
      body: () => {
        const label = t("codename.check.label", { n: place + 1 });
        const asked = { label, help: t("codename.check.text", { n: place + 1 }), isHeading: false, required: true };
        const field = textField(asked, "", undefined, { autocapitalize: "none", lang: list });
        const go = () => {
          if (codename.isWord(list, place, String(field.value()))) then();
          else field.complain(t("codename.check.wrong"));
        };
        field.node.addEventListener("keydown", (event) => {
          if (event.key === "Enter") go();
        });
        return [
          field.node,
          h(
            "div",
            { class: "actions" },
            button(t("word.continue"), "primary", go),
            button(t("codename.check.again"), "secondary", () => keepCodename(organization, then)),
          ),
        ];
      },
    });
  };
}
