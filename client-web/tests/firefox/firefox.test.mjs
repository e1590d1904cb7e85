// A whole visit in Firefox ESR, which Tor Browser is made of: driven by WebDriver BiDi, headless.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Decrypter } from "age-encryption";
import puppeteer from "puppeteer-core";
import { afterAll, beforeAll, expect, it } from "vitest";

import { at, open, press, type } from "../browser/browser.mjs";
import { found, replyKeyOf } from "../browser/organization.mjs";
import { photo } from "../browser/samples.mjs";
import { ENTROPY, WORDS } from "../browser/tour.mjs";
import { opened, t, title, write } from "../browser/visit.mjs";

let browser, folder;
beforeAll(async () => {
  browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: process.env.FIREFOX ?? "/usr/bin/firefox-esr",
    headless: true,
    // As Tor Browser has them in its level “Safer”.
    extraPrefsFirefox: process.env.SAFER ? { "javascript.options.ion": false, "javascript.options.baselinejit": false, "javascript.options.wasm": false } : {},
  });
  folder = mkdtempSync(join(tmpdir(), "firefox-"));
});
afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true });
});

it("a report with a picture is sealed, sent and opened, and an answer is read", async () => {
  const key = replyKeyOf(ENTROPY);
  const organization = await found();
  const board = () => ({ body: organization.board({ acknowledged: [[key, 1]], answers: [[key, "We believe you."]] }) });
  const { page, sent, server, done } = await opened(browser, { organization, change: { "/v1/board/000": board } });
  writeFileSync(join(folder, "photo.jpg"), photo());
  await write(page, { files: [join(folder, "photo.jpg")] });
  await press(page, t["send.go"]);
  await at(page, t["sent.title"]);
  expect(sent).toHaveLength(1);
  const decrypter = new Decrypter();
  decrypter.addIdentity(organization.identities[3]);
  const payload = Buffer.from(await decrypter.decrypt(new Uint8Array(sent[0])));
  expect(payload.includes("They came at night.")).toBe(true);
  expect(payload.includes(photo())).toBe(true);
  expect(page.problems).toEqual([]);
  await page.close();

  const later = await open(browser, `${server.origin}/#${organization.fingerprint}`);
  await at(later, title);
  await press(later, t["welcome.read"]);
  await type(later, WORDS);
  await press(later, t["read.go"]);
  await later.waitForSelector("main .answer");
  expect(await later.$eval("main .answer p", (answer) => answer.textContent)).toBe("We believe you.");
  expect(later.problems).toEqual([]);
  await done();
});
