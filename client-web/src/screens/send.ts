import { random } from "../crypto/bytes";
import { asDate } from "../crypto/day";
import { checkOpen } from "../crypto/manifest";
import { Refused } from "../crypto/refused";
import { type Sealed, seal } from "../crypto/seal";
import { type Child, button, h, notice } from "../app/dom";
import { guard, show } from "../app/frame";
import { Problem, findOrganization, send } from "../app/network";
import { today } from "../app/organization";
import { type Organization, forgetEverything, session } from "../app/session";
import { formatDate, plural, t } from "../texts/texts";
import { content, gone, review } from "./review";

/** Days for which the server takes a closed week's reports (docs/protocol.md, section 6). */
const GRACE_DAYS = 2;

/** Seals, and then offers to send or to save. */
export function sealing(organization: Organization, said?: () => string): void {
  const bar = h("progress", { max: 1 });
  show({
    title: () => t("send.sealing"),
    body: () => {
      bar.setAttribute("aria-label", t("send.sealing"));
      return [said !== undefined && h("p", {}, said()), bar];
    },
  });
  void attempt();

  async function attempt(): Promise<void> {
    try {
      const current = await ofThisWeek(organization);
      const { codename, measured } = session;
      if (codename === undefined) return;
      const sealed = await seal(current.manifest, codename, content(), measured, random, (done, of) => {
        bar.max = of;
        bar.value = done;
      });
      // Somebody may have left in the meantime.
      if (session.codename !== codename) return;
      session.sealed = sealed;
      ready(current, sealed);
    } catch (error) {
      failed(organization, () => t("send.failed.seal", { what: message(error) }), () => sealing(organization));
    }
  }
}

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The organization with keys that are valid today: writing may have taken until a new week. */
async function ofThisWeek(organization: Organization): Promise<Organization> {
  try {
    checkOpen(organization.manifest, today());
    return organization;
  } catch (error) {
    if (organization.link === undefined) throw error;
    return findOrganization(organization.link);
  }
}

function ready(organization: Organization, sealed: Sealed): void {
  const { link } = organization;
  const saved = h("div", { role: "status" });
  show({
    title: () => t("send.ready"),
    body: () => [
      h("p", { class: "lead" }, t("send.ready.text")),
      saved,
      h(
        "div",
        { class: "actions" },
        link !== undefined && button(t("send.go"), "primary", () => sending(organization, sealed)),
        button(t("send.save"), link === undefined ? "primary" : "secondary", () => {
          save(sealed);
          saved.replaceChildren(afterSaving(organization));
        }),
        button(t("word.back"), "plain", () => review(organization)),
      ),
      h("p", { class: "aside" }, button(t("review.stop"), "plain", () => gone(organization))),
    ],
  });
}

const afterSaving = ({ manifest }: Organization): HTMLElement =>
  notice("calm", t("send.saved", { day: formatDate(asDate(manifest.closes + GRACE_DAYS - 1)) }));

/** Hands the sealed file to the browser's downloads. */
function save({ blob, epoch }: Sealed): void {
  const url = URL.createObjectURL(blob);
  const anchor = h("a", { href: url, download: `report-${epoch}.age` });
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function sending(organization: Organization, sealed: Sealed): void {
  const { link } = organization;
  if (link === undefined) return;
  const bar = h("progress", { max: 1, value: 0 });
  show({
    title: () => t("send.title"),
    body: () => {
      bar.setAttribute("aria-label", t("send.sending"));
      return [h("p", {}, t("send.sending")), bar];
    },
  });
  send(link, organization, sealed, (done, of) => {
    bar.max = of;
    bar.value = done;
  }).then(
    (day) => {
      if (session.sealed === sealed) arrived(organization, day);
    },
    (error: unknown) => {
      if (session.sealed !== sealed) return;
      const again = () => sending(organization, sealed);
      if (error instanceof Problem && (error.type === "epoch-closed" || error.type === "epoch-not-open")) {
        sealing(organization, () => t("send.failed.week"));
      } else if (error instanceof Problem) {
        failed(organization, () => t("send.failed.refused", { what: error.message }), again, sealed);
      } else if (error instanceof Refused) {
        failed(organization, () => t("send.failed.receipt"), again, sealed);
      } else {
        failed(organization, () => t("send.failed.network"), again, sealed);
      }
    },
  );
}

function failed(organization: Organization, why: () => string, again: () => void, sealed?: Sealed): void {
  const saved = h("div", { role: "status" });
  show({
    title: () => t("send.failed"),
    body: (): Child => [
      h("p", { class: "lead" }, why()),
      saved,
      h(
        "div",
        { class: "actions" },
        button(t("page.again"), "primary", again),
        sealed !== undefined &&
          button(t("send.save"), "secondary", () => {
            save(sealed);
            saved.replaceChildren(afterSaving(organization));
          }),
        button(t("word.back"), "plain", () => review(organization)),
      ),
    ],
  });
}

function arrived(organization: Organization, day: number): void {
  forgetEverything();
  guard(() => false);
  const { manifest, chain } = organization;
  show({
    title: () => t("sent.title"),
    body: () => [
      h("p", { class: "lead" }, t("sent.text", { day: formatDate(asDate(day)) })),
      h("p", {}, plural("sent.later", manifest.promiseDays, { name: chain.newest.name })),
      h("p", {}, t("sent.again")),
      notice("calm", t("sent.done"), h("p", {}, t("sent.trace"))),
    ],
  });
}
