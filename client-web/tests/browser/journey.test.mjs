// A report's whole way, with real parts: written and sealed in Chromium, taken by a real server, carried by a real
// courier, and opened by a real caseworker.
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { at, choose, launch, open, press, type, walk } from "./browser.mjs";
import { foundReal } from "./real.mjs";
import { photo, screenshot } from "./samples.mjs";
import { PAGE, serve } from "./served.mjs";
import { textsOf } from "./tour.mjs";

/** Somebody who reads and writes Chinese. */
const texts = textsOf("zh-Hans");
const view = { languages: ["zh-CN"], still: true };
/** Long enough for two cells of the board. */
const ANSWER = `我们读了您的报告，也相信您。\n请不要用这部手机打电话。\n${"星期四有人会在您说的地方。".repeat(120)}完。`;
const NARRATIVE = "三月十日早上六点，国保把我弟弟带走了。\n他们说：“叫你姐姐闭嘴。”";

let real, proxy, browser, folder;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "journey-"));
  writeFileSync(join(folder, "照片.jpg"), photo());
  writeFileSync(join(folder, "screenshot.png"), screenshot());
  real = await foundReal((toml) => `${toml}\n[[questions]]\nid = "heard_of_us"\nkind = "text"\ntext = { en = "How did you hear of us?" }\n`);
  proxy = await serve({ origin: real.origin });
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await proxy?.close();
  real?.stop();
  rmSync(folder, { recursive: true });
});

/** Fills in a report with two pictures, up to the last look. */
async function tell(page) {
  await press(page, texts["welcome.write"]);
  await walk(page, texts, texts["review.title"], {
    [texts["question.reporter.role"]]: async () => {
      await choose(page, texts["code.reporter_role.relative"]);
      await press(page, texts["word.continue"]);
    },
    [texts["question.narrative"]]: async () => {
      await type(page, NARRATIVE);
      await press(page, texts["word.continue"]);
    },
    [texts["section.places"]]: async () => {
      await page.select("main select", "CN");
      await page.select("main .sub select", "CN-XJ");
      await press(page, texts["word.continue"]);
    },
    [texts["section.evidence"]]: async () => {
      const input = await page.$("#files");
      await input.uploadFile(join(folder, "照片.jpg"), join(folder, "screenshot.png"));
      await page.waitForFunction(() => document.querySelectorAll("main .files .card").length === 2);
      const said = await page.$eval("main .files", (list) => list.textContent);
      for (const hidden of ["39.47000° N", "Nokia G42 5G", "Author: Tursun"]) expect(said).toContain(hidden);
      // The photo goes as a copy without what was hidden in it; the screenshot as it is.
      await page.$eval("main .files .card:first-child .choices label:last-child", (label) => label.click());
      await press(page, texts["word.continue"]);
    },
    [texts["section.consent"]]: async () => {
      await choose(page, texts["word.yes"]);
      await press(page, texts["word.continue"]);
    },
    "How did you hear of us?": async () => {
      await type(page, "从朋友那里");
      await press(page, texts["word.continue"]);
    },
  });
}

/** Reads the words, keeps them, and types the one that is asked for. */
async function keepWords(page) {
  await press(page, texts["review.go"]);
  await at(page, texts["codename.title"]);
  const words = await page.$$eval(".words b", (words) => words.map((word) => word.textContent));
  await press(page, texts["codename.kept"]);
  await at(page, texts["codename.check.title"]);
  expect(await page.$eval("main", (main) => main.textContent)).not.toContain(words[0] + words[1]);
  const n = Number(/\d+/.exec(await page.$eval("main .label", (label) => label.textContent))[0]);
  await type(page, words[n === 1 ? 1 : 0]);
  await press(page, texts["word.continue"]);
  expect(await page.$eval("main .error", (error) => error.textContent)).toBe(texts["codename.check.wrong"]);
  await type(page, words[n - 1]);
  await press(page, texts["word.continue"]);
  await at(page, texts["send.ready"]);
  return words;
}

async function send(page) {
  await press(page, texts["send.go"]);
  await at(page, texts["sent.title"]);
}

function expectOpened(reports, id) {
  const shown = real.casework("show", String(id));
  expect(shown).toContain("三月十日早上六点");
  expect(shown).toContain("从朋友那里");
  expect(shown).toContain("CN-XJ");
  const out = mkdtempSync(join(tmpdir(), "extracted-"));
  try {
    real.casework("extract", String(id), "--to", join(out, "files"));
    const files = readdirSync(join(out, "files"), { recursive: true })
      .map((name) => join(out, "files", String(name)))
      .filter((path) => statSync(path).isFile())
      .map((path) => readFileSync(path));
    expect(files.some((bytes) => bytes.equals(screenshot()))).toBe(true);
    const copy = files.find((bytes) => bytes.subarray(0, 2).toString("hex") === "ffd8");
    expect(copy.includes("Nokia")).toBe(false);
    expect(copy.length).toBeLessThan(photo().length);
  } finally {
    rmSync(out, { recursive: true });
  }
}

describe("a report in Chinese with two pictures", () => {
  it("goes from the served page to the caseworker, and what follows stands under the same words", async () => {
    const page = await open(browser, `${proxy.origin}/#${real.fingerprint}`, view);
    await at(page, texts["welcome.title"].replace("{name}", "Dune Grass Aid"));
    // Two requests before one can write.
    expect(proxy.asked).toEqual(["GET /", "GET /v1/organization"]);
    await tell(page);
    const words = await keepWords(page);
    await send(page);
    expect(page.problems).toEqual([]);
    expect(words.join("")).toMatch(/^\p{Script=Han}{12}$/u);

    const first = real.carry();
    const list = Array.isArray(first) ? first : first.reports;
    expect(list).toHaveLength(1);
    expectOpened(list, list[0].id);

    real.answer(list[0].id, ANSWER);

    // Later: the same words, on a page that has been opened anew.
    const later = await open(browser, `${proxy.origin}/#${real.fingerprint}`, view);
    await at(later, texts["welcome.title"].replace("{name}", "Dune Grass Aid"));
    await press(later, texts["welcome.read"]);
    await at(later, texts["read.title"]);
    await type(later, words.join(" "));
    await press(later, texts["read.go"]);
    await later.waitForSelector("main .answer");
    expect(await later.$eval("main .lead", (lead) => lead.textContent)).toBe(texts["read.acknowledged.other"].replace("{n}", "1"));
    expect(await later.$$eval("main .answer p", (answers) => answers.map((answer) => answer.textContent))).toEqual([ANSWER]);
    await press(later, texts["read.add"]);
    await at(later, texts["read.add"]);
    await press(later, texts["word.continue"]);
    await walk(later, texts, texts["review.title"], {
      [texts["question.reporter.role"]]: async () => {
        await choose(later, texts["code.reporter_role.relative"]);
        await press(later, texts["word.continue"]);
      },
      [texts["question.narrative"]]: async () => {
        await type(later, "他今天打来了电话。");
        await press(later, texts["word.continue"]);
      },
      [texts["section.consent"]]: async () => {
        await choose(later, texts["word.yes"]);
        await press(later, texts["word.continue"]);
      },
    });
    await press(later, texts["review.go"]);
    await at(later, texts["send.ready"]);
    await send(later);
    const both = real.carry();
    const reports = Array.isArray(both) ? both : both.reports;
    expect(reports).toHaveLength(2);
    const shown = real.casework("show", String(reports.find(({ id }) => id !== list[0].id).id));
    expect(shown).toContain("他今天打来了电话");
    expect(shown.toLowerCase()).toMatch(/follow|continues|same codename/);
    expect(later.problems).toEqual([]);
  });

  it("goes from a saved copy, opened from the disk with the link behind it", async () => {
    const copy = join(folder, "saved page.html");
    copyFileSync(PAGE, copy);
    const page = await open(browser, `${pathToFileURL(copy)}#${real.origin}/#${real.fingerprint}`, view);
    await at(page, texts["welcome.title"].replace("{name}", "Dune Grass Aid"));
    expect(await page.evaluate(() => location.origin)).toBe("file://");
    await tell(page);
    await keepWords(page);
    await send(page);
    expect(page.problems).toEqual([]);
    const all = real.carry();
    const reports = Array.isArray(all) ? all : all.reports;
    expectOpened(reports, Math.max(...reports.map(({ id }) => id)));
  });

  it("goes from a browser without a JIT, as in Lockdown Mode and Tor Browser's Safer level", async () => {
    const slow = await launch(["--js-flags=--jitless"]);
    try {
      const page = await open(slow, `${proxy.origin}/#${real.fingerprint}`, view);
      await at(page, texts["welcome.title"].replace("{name}", "Dune Grass Aid"));
      expect(await page.evaluate(() => typeof WebAssembly)).toBe("undefined");
      await tell(page);
      await keepWords(page);
      await send(page);
      expect(page.problems).toEqual([]);
    } finally {
      await slow.close();
    }
    const all = real.carry();
    const reports = Array.isArray(all) ? all : all.reports;
    expectOpened(reports, Math.max(...reports.map(({ id }) => id)));
  });

  it("is sealed without a network from the organization's files, and can be sent from elsewhere", async () => {
    const copy = join(folder, "offline.html");
    copyFileSync(PAGE, copy);
    const page = await open(browser, String(pathToFileURL(copy)), view);
    await page.setOfflineMode(true);
    await at(page, texts["link.title"]);
    await press(page, texts["link.files"]);
    // What the keyholders carry, or what the server's address gives: both are taken.
    const files = await page.$("main input[type=file]");
    await files.uploadFile(real.manifests[0], join(real.folder, "stick/charter.json"));
    await type(page, real.fingerprint, "main details input[type=text]");
    await press(page, texts["link.files.open"]);
    await at(page, texts["welcome.title"].replace("{name}", "Dune Grass Aid"));
    await tell(page);
    const client = await page.createCDPSession();
    await client.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: folder, browserContextId: page.browserContext().id });
    await keepWords(page);
    await press(page, texts["send.save"]);
    const sealed = () => readdirSync(folder).find((name) => name.endsWith(".age"));
    for (let n = 0; n < 100 && sealed() === undefined; n++) await new Promise((resolve) => setTimeout(resolve, 100));
    const bytes = readFileSync(join(folder, sealed()));
    expect(Math.log2(bytes.length) % 1).toBe(0);
    const epoch = /report-(\d+)\.age/.exec(sealed())[1];
    const response = await fetch(`${real.origin}/v1/reports?epoch=${epoch}`, { method: "POST", body: bytes });
    expect(response.status).toBe(201);
    const all = real.carry();
    const reports = Array.isArray(all) ? all : all.reports;
    expectOpened(reports, Math.max(...reports.map(({ id }) => id)));
  });
});
