import { digits } from "../crypto/fingerprint";
import { type Child, button, details, foreign, h, notice } from "../app/dom";
import { show } from "../app/frame";
import { type Organization, forgetEverything, session } from "../app/session";
import { language, plural, t } from "../texts/texts";
import { ask } from "./ask";
import { inAppBrowser, isOnion, isSaved } from "./surroundings";
import { readAnswers } from "./read";

/** The first screen once the organization is verified: what to know before a word is written. */
export function welcome(organization: Organization): void {
  const { chain, manifest } = organization;
  const { name } = chain.newest;
  const app = inAppBrowser(navigator.userAgent);
  show({
    title: () => t("welcome.title", { name }),
    body: () => [
      app !== undefined && notice("urgent", t("welcome.in_app", { app })),
      h("p", { class: "lead" }, t("welcome.text", { name })),
      notice(
        "urgent",
        t("welcome.emergency"),
        h("p", {}, t("question.safety.emergency")),
        h("p", {}, t("question.safety.emergency.help")),
        contacts(organization).map((text) => h("p", { class: "contact" }, foreign(text))),
      ),
      notice(
        "calm",
        t("question.safety.device"),
        h("p", {}, t("question.safety.device.help")),
        h("p", {}, t("welcome.private")),
        !isOnion(organization.link) && h("p", {}, t("welcome.not_onion")),
      ),
      h(
        "div",
        { class: "actions" },
        button(t("welcome.write"), "primary", () => {
          // Whoever began to add to a report and came back here writes a new one, under new words.
          if (session.continues) forgetEverything();
          // Just read, on this very screen.
          session.interview.see("safety.device", "safety.emergency");
          ask(organization);
        }),
        organization.link !== undefined &&
          button(t("welcome.read"), "secondary", () => readAnswers(organization)),
      ),
      details(t("welcome.who"), who(organization)),
      !isSaved() &&
        organization.link !== undefined &&
        details(
          t("welcome.save"),
          h("p", {}, t("welcome.save.text")),
          h("p", {}, t("welcome.save.link")),
          h("p", { class: "code", dir: "ltr" }, `${organization.link.origin}/#${organization.link.fingerprint}`),
        ),
    ],
  });

  function who({ link }: Organization): Child {
    const { contact, fingerprint } = chain.newest;
    const row = (label: string, value: Child) => h("div", {}, h("dt", {}, label), value);
    return [
      h(
        "dl",
        {},
        row(t("welcome.who.name"), foreign(name, "dd")),
        row(t("welcome.who.contact"), foreign(contact, "dd")),
        row(t("welcome.who.server"), h("dd", { dir: "ltr" }, link?.origin ?? t("welcome.who.files"))),
        row(t("welcome.who.promise"), h("dd", {}, plural("welcome.who.promise.text", manifest.promiseDays))),
        row(t("welcome.who.retention"), h("dd", {}, plural("welcome.who.retention.text", manifest.retentionDays))),
        row(t("welcome.who.readers"), h("dd", {}, t("welcome.who.readers.text"))),
      ),
      h("p", {}, t("welcome.who.checked")),
      h("p", { class: "digits", dir: "ltr", translate: "no" }, digits(fingerprint).map((group) => h("span", {}, group))),
    ];
  }
}

/** Emergency contacts for readers of this language, and those for everybody. */
function contacts({ manifest }: Organization): string[] {
  const primary = (tag: string) => tag.split("-")[0]!.toLowerCase();
  return manifest.contacts
    .filter(({ locale }) => locale === undefined || primary(locale) === primary(language()))
    .map(({ text }) => text);
}
