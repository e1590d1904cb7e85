// A walk through every screen of the page, with an organization of organization.mjs: for pictures, and for whoever looks
// for barriers.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { choose, open, press, type } from "./browser.mjs";
import { found, replyKeyOf } from "./organization.mjs";
import { photo, screenshot } from "./samples.mjs";
import { handlersOf, serve } from "./served.mjs";

const ROOT = new URL("../../../", import.meta.url);

/** The texts that the page shows in a language. */
export function textsOf(language, root = ROOT) {
  const read = (path) => {
    const file = new URL(`${path}/${language}.json`, root);
    const url = existsSync(file) ? file : new URL(`${path}/en.json`, root);
    return JSON.parse(readFileSync(url, "utf8")).texts;
  };
  return { ...read("incident/data/texts"), ...read("client-web/src/texts") };
}

export const WORDS = "abandon amount liar amount expire adjust cage candy arch gather drum buyer";
export const ENTROPY = Buffer.from("000102030405060708090a0b0c0d0e0f", "hex");

/** Shows every screen in turn, and calls `visit(name, page)` on each. */
export async function tour(browser, visit, { language = "en", root = ROOT, ...view } = {}) {
  const t = textsOf(language, root);
  const organization = await found({
    questions: [
      { id: "member", kind: "choice", text: { en: "Are you a member of our association?", ar: "هل أنت عضو في جمعيتنا؟" }, choices: [{ code: "yes", text: { en: "Yes" } }, { code: "rather_not", text: { en: "I would rather not say" } }] },
    ],
  });
  const key = replyKeyOf(ENTROPY);
  const answer = "We have read what you told us, and we believe you.\n\nPlease do not call your brother on this phone. Somebody will be at the place you named on Thursday.";
  const { handlers } = handlersOf(organization, {
    "/v1/board/000": () => ({ body: organization.board({ acknowledged: [[key, 2]], answers: [[key, answer]] }), type: "application/octet-stream" }),
  });
  const server = await serve(handlers);
  const folder = mkdtempSync(join(tmpdir(), "tour-"));
  const link = `${server.origin}/#${organization.fingerprint}`;
  const pages = [];
  const start = async (url, more = {}) => {
    const page = await open(browser, url, { languages: [language], ...view, ...more });
    pages.push(page);
    return page;
  };
  const title = (page) => page.$eval("main h1", (h1) => h1.textContent);
  const until = (page, title) => page.waitForFunction((title) => document.querySelector("main h1")?.textContent === title, {}, title);
  try {
    let page = await start(`${server.origin}/`);
    await until(page, t["link.title"]);
    await visit("link", page);
    await press(page, t["link.files"]);
    await press(page, t["link.open"]);
    await visit("link-refused", page);

    page = await start(`${server.origin}/#${"0".repeat(64)}`);
    await until(page, t["failed.title"]);
    await visit("failed", page);

    page = await start(link, { userAgent: "Mozilla/5.0 (Linux; Android 14) MicroMessenger/8.0" });
    await until(page, t["welcome.title"].replace("{name}", "Harbour House"));
    await visit("welcome-in-app", page);

    page = await start(link);
    await until(page, t["welcome.title"].replace("{name}", "Harbour House"));
    await visit("welcome", page);
    await press(page, t["welcome.who"]);
    await press(page, t["welcome.save"]);
    await visit("welcome-open", page);

    await press(page, t["welcome.write"]);
    const next = async (name, fill = async () => {}, how = t["word.continue"]) => {
      await visit(`ask-${name}`, page);
      await fill();
      const before = await title(page);
      await press(page, how);
      await page.waitForFunction((before) => document.querySelector("main h1").textContent !== before, { timeout: 3000 }, before).catch(() => {});
    };
    const skip = t["word.skip"];
    await next("safety", () => choose(page, t["code.yes_no_unknown.yes"]));
    await next("safety-know", undefined, skip);
    await next("safety-careful");
    await press(page, t["word.continue"]);
    await visit("ask-role-refused", page);
    await next("role", () => choose(page, t["code.reporter_role.relative"]));
    await next("language");
    await next("narrative", () => type(page, "三月十日早上六点，国保把我弟弟带走了。\n他们说：“叫你姐姐闭嘴。”"));
    await next("places", async () => {
      await page.select("main select", "CN");
      await page.select("main .sub select", "CN-XJ");
    });
    await next("relative", undefined, t["word.yes"]);
    await next("relation", () => choose(page, t["code.relation.sibling"]));
    for (let n = 0; n < 4; n++) await press(page, skip);
    await next("relative-again", undefined, t["word.no"]);
    await next("act", undefined, t["word.yes"]);
    await next("method", () => choose(page, t["code.method.F03"]));
    await press(page, skip); // note
    await next("date", async () => {
      await type(page, "2024", "main .date input");
      await page.select("main .date select", "3");
    });
    await next("victim", () => choose(page, t["person.relative"].replace("{relation}", t["code.relation.sibling"]).replace("{n}", "1")));
    await press(page, skip); // country
    await press(page, skip); // channel
    await next("demand", async () => {
      await choose(page, t["code.demand.silence"]);
      await choose(page, t["code.demand.inform"]);
    });
    await press(page, t["word.no"]); // perpetrator
    await press(page, skip); // result
    await press(page, t["word.no"]); // another act
    await next("nationality", async () => {
      await page.select("main select", "CN");
      await page.select("main select", "TR");
    });
    await press(page, t["ask.skip_part"]);
    await press(page, t["word.no"]); // legal
    await press(page, t["ask.skip_part"]); // outcome
    writeFileSync(join(folder, "照片 2024-03-10.jpg"), photo());
    writeFileSync(join(folder, "screenshot.png"), screenshot());
    writeFileSync(join(folder, "summons.pdf"), "%PDF-1.7 summons");
    await next("files", async () => {
      const input = await page.$("#files");
      await input.uploadFile(...["照片 2024-03-10.jpg", "screenshot.png", "summons.pdf"].map((name) => join(folder, name)));
      await page.waitForFunction(() => document.querySelectorAll("main .files .card").length === 3);
      await page.$eval("main .files .card:first-child .choices label:last-child", (label) => label.click());
      await visit("ask-files-chosen", page);
    });
    await next("consent", () => choose(page, t["word.yes"]));
    await next("aggregate", undefined, skip);
    await next("share", undefined, skip);
    await press(page, t["ask.skip_part"]);
    await next("contact", () => choose(page, t["word.yes"]));
    await next("channel", () => choose(page, t["code.contact_channel.signal"]));
    await next("handle", () => type(page, "@dune.01"));
    await press(page, t["ask.skip_part"]);
    await next("own", undefined, skip);
    await until(page, t["review.title"]);
    await page.waitForFunction((wait) => !document.querySelector("main").textContent.includes(wait), {}, t["page.wait"]);
    await visit("review", page);
    await press(page, t["review.go"]);
    await visit("codename", page);
    const words = await page.$$eval(".words b", (words) => words.map((word) => word.textContent));
    await press(page, t["codename.kept"]);
    await press(page, t["word.continue"]);
    await visit("codename-check", page);
    const label = await page.$eval("main .label", (label) => label.textContent);
    const n = words.findIndex((_, n) => label === t["codename.check.label"].replace("{n}", new Intl.NumberFormat(language).format(n + 1))) + 1;
    await type(page, words[n - 1]);
    await press(page, t["word.continue"]);
    await until(page, t["send.ready"]);
    await visit("send-ready", page);
    const take = handlers["/v1/reports"];
    handlers["/v1/reports"] = () => ({ status: 422, body: JSON.stringify({ type: "urn:marram:problem:wrong-grease", title: "x", detail: "the report has another shape" }) });
    await press(page, t["send.go"]);
    await until(page, t["send.failed"]);
    await visit("send-failed", page);
    handlers["/v1/reports"] = take;
    await press(page, t["page.again"]);
    await until(page, t["sent.title"]);
    await visit("sent", page);

    page = await start(link);
    await until(page, t["welcome.title"].replace("{name}", "Harbour House"));
    await press(page, t["welcome.read"]);
    await type(page, "abandon amount");
    await press(page, t["read.go"]);
    await visit("read", page);
    await type(page, WORDS);
    await press(page, t["read.go"]);
    await page.waitForSelector("main .answer");
    await visit("answers", page);
    await press(page, t["read.add"]);
    await visit("add", page);

    page = await start("about:blank");
    await page.setJavaScriptEnabled(false);
    await page.goto(`${server.origin}/`);
    await visit("without-scripts", page);
  } finally {
    for (const page of pages) await page.browserContext().close();
    await server.close();
    rmSync(folder, { recursive: true });
  }
}
