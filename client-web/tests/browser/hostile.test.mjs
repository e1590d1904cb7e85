// What a hostile server can show instead of the organization's: each stops the page, with a sentence that a person
// understands, in their own language, and with nothing to write in.
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { at, launch, open, press, type } from "./browser.mjs";
import { dayOf, found, keyPair, replyKeyOf, shardOf } from "./organization.mjs";
import { serve } from "./served.mjs";
import { ENTROPY, WORDS, textsOf } from "./tour.mjs";
import { t, title } from "./visit.mjs";

const today = dayOf(Date.now());
const chinese = textsOf("zh-Hans");

let browser, honest, other, handlers, server;
beforeAll(async () => {
  browser = await launch();
  [honest, other] = await Promise.all([found({ board: "2 2048 64 7" }), found()]);
  handlers = {};
  server = await serve(handlers);
});
afterAll(async () => {
  await browser.close();
  await server.close();
});

const sentence = (page) => page.$eval("main .lead, main .notice h2", (said) => said.textContent);
const fill = (text) => new RegExp(`^${text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\\\{\w+\\\}/g, ".+")}$`);

/** Opens the page where `body` is all that the server says of the organization, and expects it to stop for this reason. */
async function stops(body, reason, { fingerprint = honest.fingerprint, detail, ...more } = {}) {
  handlers["/v1/organization"] = () => ({ body, ...more });
  const page = await open(browser, `${server.origin}/#${fingerprint}`, { still: true });
  await at(page, t["failed.title"]);
  expect(await sentence(page)).toMatch(fill(t[`failed.${reason}`]));
  const said = await page.$eval("main", (main) => main.textContent);
  if (detail !== undefined) expect(said).toMatch(detail);
  expect(await page.$$("main textarea, main input, main select")).toEqual([]);
  await page.select("#language", "zh-Hans");
  await at(page, chinese["failed.title"]);
  expect(await sentence(page)).toMatch(fill(chinese[`failed.${reason}`]));
  expect(page.problems).toEqual([]);
  await page.browserContext().close();
}

describe("a page that was opened", () => {
  it("by a link with another fingerprint, though the server is honest", async () => {
    await stops(honest.file, "signature", { fingerprint: "ab".repeat(32), detail: /another organization/ });
  });

  it("on another organization's charter", async () => {
    await stops(other.file, "signature", { detail: /another organization/ });
  });

  it("on another organization's manifest under the right charter", async () => {
    await stops(JSON.stringify({ charters: honest.charters, manifest: other.manifest }), "signature", { detail: /another organization/ });
  });

  it("on a manifest of which one line was swapped: the server's own log key", async () => {
    const swapped = honest.manifest.replace(/^log .*$/m, /^log .*$/m.exec(other.manifest)[0]);
    await stops(JSON.stringify({ charters: honest.charters, manifest: swapped }), "signature");
  });

  it("on a manifest that too few keyholders have signed", async () => {
    const one = await found({ signatures: 1 });
    await stops(one.file, "signature", { fingerprint: one.fingerprint, detail: /1 of 2/ });
  });

  it("on a charter that too few keyholders have signed", async () => {
    const charter = honest.charters[0].replace(/\n[^\n]+\n$/, "\n");
    await stops(JSON.stringify({ charters: [charter], manifest: honest.manifest }), "signature", { detail: /1 of 2/ });
  });

  it("on a manifest whose week is over, or has not begun", async () => {
    for (const day of [today - 7, today + 7]) {
      const organization = await found({ today: day });
      await stops(organization.file, "dates", { fingerprint: organization.fingerprint, detail: /valid from/ });
    }
  });

  it("on a manifest with a recipient that is not post-quantum, though keyholders signed it", async () => {
    const { generateX25519Identity, generateHybridIdentity, identityToRecipient } = await import("age-encryption");
    const make = (_, slot) => (slot === 5 ? generateX25519Identity() : generateHybridIdentity()).then(identityToRecipient);
    const organization = await found({ recipients: await Promise.all(Array.from({ length: 8 }, make)) });
    await stops(organization.file, "not_post_quantum", { fingerprint: organization.fingerprint, detail: /age1/ });
  });

  it("on half of an answer, a sign-in page, nothing, and 10 MB of noise", async () => {
    await stops(honest.file.slice(0, honest.file.length / 2), "format");
    await stops("<!doctype html><title>Sign in to the network</title>", "format", { type: "text/html" });
    await stops("", "format");
    await stops(Buffer.alloc(10_000_000, "ab"), "format", { detail: /more than 4000000 bytes/ });
    await stops("", "format", { status: 404 });
  });

  it("on a server without keys for this week, and on none", async () => {
    const problem = JSON.stringify({ type: "urn:marram:problem:no-open-manifest", title: "none", status: 503, detail: "none" });
    await stops(problem, "no_manifest", { status: 503 });
    await stops("", "network", { cut: true });
  });
});

describe("a board", () => {
  const key = replyKeyOf(ENTROPY);
  const [shard, elsewhere] = shardOf(key, 2) === "000" ? ["000", "001"] : ["001", "000"];
  const board = (more) => honest.board({ shard, acknowledged: [[key, 1]], answers: [[key, "Forged?"]], ...more });

  it("that is forged, altered, another shard's, another week's, ahead of its time or cut is not believed; a stale one says so", async () => {
    handlers["/v1/organization"] = () => ({ body: honest.file });
    const page = await open(browser, `${server.origin}/#${honest.fingerprint}`, { still: true });
    await at(page, title);
    await press(page, t["welcome.read"]);
    let body = board();
    const path = `/v1/board/${shard}`;
    handlers[path] = () => ({ body, type: "application/octet-stream" });
    await type(page, WORDS);
    await press(page, t["read.go"]);
    // The honest one first: what follows must fail for its own reason.
    await page.waitForSelector("main .answer");
    expect(server.asked.at(-1)).toBe(`GET ${path}`);

    const altered = board();
    altered[altered.length - 9] ^= 1;
    const refused = {
      "signed by a stranger": board({ signer: keyPair() }),
      "of another organization": other.board({ shard, acknowledged: [[key, 1]] }),
      "altered in one bit": altered,
      "of another shard": board({ shard: elsewhere }),
      "of another week": board({ week: honest.epoch - 2 }),
      "dated the day after tomorrow": board({ day: today + 2 }),
      cut: board().subarray(0, 1000),
      "a sign-in page": "<!doctype html>",
    };
    for (const [what, bytes] of Object.entries(refused)) {
      body = board();
      await look(page);
      await page.waitForSelector("main .answer");
      body = bytes;
      await look(page);
      await page.waitForFunction((text) => document.querySelector("main .notice h2")?.textContent === text, {}, t["read.board.invalid"]);
      expect(await page.$$("main .answer"), what).toEqual([]);
    }
    await page.select("#language", "zh-Hans");
    expect(await sentence(page)).toBe(chinese["read.board.invalid"]);
    await page.select("#language", "en");

    body = board({ day: today - 15, week: honest.epoch });
    await look(page);
    await page.waitForSelector("main .answer");
    expect(await sentence(page)).toMatch(fill(t["read.board.stale"]));
    expect(page.problems).toEqual([]);
    await page.browserContext().close();
  });

  /** Asks for the board once more, from the first screen. */
  async function look(page) {
    await press(page, t["page.start"]);
    await at(page, title);
    await press(page, t["welcome.read"]);
    await type(page, WORDS);
    await press(page, t["read.go"]);
  }
});
