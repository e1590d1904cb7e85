// What most tests with an organization of organization.mjs begin with: somebody opens its link, and writes.
import { at, choose, open, press, type, walk } from "./browser.mjs";
import { found } from "./organization.mjs";
import { handlersOf, serve } from "./served.mjs";
import { textsOf } from "./tour.mjs";

export const t = textsOf("en");
export const title = t["welcome.title"].replace("{name}", "Harbour House");

/** An organization that is served, and the page opened at its link. */
export async function opened(browser, { change = {}, fingerprint, organization, ...view } = {}) {
  const organizationHere = organization ?? (await found());
  const { handlers, sent } = handlersOf(organizationHere, change);
  const server = await serve(handlers);
  const page = await open(browser, `${server.origin}/#${fingerprint ?? organizationHere.fingerprint}`, { still: true, ...view });
  return {
    page,
    sent,
    server,
    handlers,
    organization: organizationHere,
    async done() {
      await page.browserContext().close();
      await server.close();
    },
  };
}

/**
 * Writes the shortest report there is, from the first screen, which has this title, up to where the words are asked for, or
 * sealed and waiting to be sent. Gives the words.
 */
export async function write(page, { files = [], seal = true, from = title } = {}) {
  await at(page, from);
  await press(page, t["welcome.write"]);
  await walk(page, t, t["review.title"], {
    [t["question.reporter.role"]]: async () => {
      await choose(page, t["code.reporter_role.target"]);
      await press(page, t["word.continue"]);
    },
    [t["question.narrative"]]: async () => {
      await type(page, "They came at night.");
      await press(page, t["word.continue"]);
    },
    [t["section.evidence"]]: async () => {
      const input = await page.$("#files");
      if (files.length > 0) await input.uploadFile(...files);
      await page.waitForFunction((n) => document.querySelectorAll("main .files .card").length === n, {}, files.length);
      await press(page, t["word.continue"]);
    },
    [t["section.consent"]]: async () => {
      await choose(page, t["word.yes"]);
      await press(page, t["word.continue"]);
    },
  });
  await press(page, t["review.go"]);
  await at(page, t["codename.title"]);
  const words = await page.$$eval(".words b", (words) => words.map((word) => word.textContent));
  await press(page, t["codename.kept"]);
  await at(page, t["codename.check.title"]);
  const n = Number(/\d+/.exec(await page.$eval("main .label", (label) => label.textContent))[0]);
  await type(page, words[n - 1]);
  if (!seal) return words;
  await press(page, t["word.continue"]);
  await at(page, t["send.ready"]);
  return words;
}
