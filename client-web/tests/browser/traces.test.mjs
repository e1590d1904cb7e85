// What a visit leaves behind: nothing in the browser, nothing on the way, nothing behind the back button.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { at, choose, launch, press, type, walk } from "./browser.mjs";
import { found, replyKeyOf } from "./organization.mjs";
import { photo } from "./samples.mjs";
import { ENTROPY, WORDS } from "./tour.mjs";
import { opened, t, title, write } from "./visit.mjs";

let browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

/** What the browser itself says it has stored for the page, by the protocol of its developers' tools. */
async function stored(page) {
  const client = await page.createCDPSession();
  const origin = new URL(page.url()).origin;
  const items = async (isLocalStorage) =>
    (await client.send("DOMStorage.getDOMStorageItems", { storageId: { securityOrigin: origin, isLocalStorage } })).entries;
  const workers = [];
  client.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => workers.push(...registrations));
  for (const domain of ["DOMStorage", "IndexedDB", "ServiceWorker"]) await client.send(`${domain}.enable`);
  const { usage, usageBreakdown } = await client.send("Storage.getUsageAndQuota", { origin });
  const kept = {
    cookies: (await client.send("Network.getAllCookies")).cookies,
    local: await items(true),
    session: await items(false),
    databases: (await client.send("IndexedDB.requestDatabaseNames", { securityOrigin: origin })).databaseNames,
    caches: (await client.send("CacheStorage.requestCacheNames", { securityOrigin: origin })).caches,
    workers,
    bytes: usage,
    kinds: usageBreakdown.filter(({ usage }) => usage > 0),
  };
  await client.detach();
  return kept;
}

const NOTHING = { cookies: [], local: [], session: [], databases: [], caches: [], workers: [], bytes: 0, kinds: [] };

describe("a whole visit: a report with an attachment, and later the answer", () => {
  it("stores nothing, and asks nobody but the page's own server", async () => {
    const key = replyKeyOf(ENTROPY);
    const organization = await found();
    const board = () => ({ body: organization.board({ acknowledged: [[key, 1]], answers: [[key, "We believe you."]] }) });
    const { page, sent, server, done } = await opened(browser, { organization, change: { "/v1/board/000": board } });
    const client = await page.createCDPSession();
    const asked = [];
    for (const event of ["requestWillBeSent", "webSocketCreated", "webTransportCreated"]) {
      client.on(`Network.${event}`, ({ request, url }) => asked.push(request?.url ?? url));
    }
    await client.send("Network.enable");
    const folder = mkdtempSync(join(tmpdir(), "visit-"));
    try {
      // Once more, so that the recording begins with the page itself.
      await page.reload();
      writeFileSync(join(folder, "photo.jpg"), photo());
      await write(page, { files: [join(folder, "photo.jpg")] });
      await press(page, t["send.go"]);
      await at(page, t["sent.title"]);
      expect(sent).toHaveLength(1);
      expect(await page.evaluate(() => document.documentElement.innerHTML)).not.toContain("They came at night");
      expect(await stored(page)).toEqual(NOTHING);

      await page.reload();
      await at(page, title);
      await press(page, t["welcome.read"]);
      await type(page, WORDS);
      await press(page, t["read.go"]);
      await page.waitForSelector("main .answer");
      expect(await page.$eval("main textarea", (field) => field.value).catch(() => "")).toBe("");
      expect(await stored(page)).toEqual(NOTHING);

      const paths = new Set(asked.map((url) => (url.startsWith(`${server.origin}/`) ? url.slice(server.origin.length).replace(/\d+$/, "") : url)));
      expect([...paths].filter((path) => !path.startsWith("data:"))).toEqual(["/", "/v1/organization", "/v1/reports?epoch=", "/v1/board/"]);
    } finally {
      rmSync(folder, { recursive: true });
      await done();
    }
  });

  it("would be caught if it stored anything, in any of these places", async () => {
    const { page, done } = await opened(browser);
    await at(page, title);
    await page.evaluate(async () => {
      document.cookie = "a=b; max-age=1000";
      localStorage.setItem("a", "b");
      sessionStorage.setItem("a", "b");
      await new Promise((resolve) => (indexedDB.open("a").onsuccess = resolve));
      await (await caches.open("a")).put("/a", new Response("b"));
    });
    const { cookies, local, session, databases, caches } = await stored(page);
    for (const place of [cookies, local, session, databases, caches]) expect(place).toHaveLength(1);
    await done();
  });
});

/** From the first screen to the question in which most is written. */
async function walkToNarrative(page) {
  await press(page, t["welcome.write"]);
  await walk(page, t, t["question.narrative"], {
    [t["question.reporter.role"]]: async () => {
      await choose(page, t["code.reporter_role.target"]);
      await press(page, t["word.continue"]);
    },
  });
}

describe("leaving", () => {
  it("empties the page at once, takes its place in the history, and leaves nothing behind", async () => {
    const { page, done } = await opened(browser);
    await at(page, title);
    await walkToNarrative(page);
    await type(page, "They came at night.");
    await page.setRequestInterception(true);
    page.on("request", (request) => {
      const elsewhere = { status: 200, contentType: "text/html", body: "<title>Elsewhere</title>elsewhere" };
      void (new URL(request.url()).hostname === "127.0.0.1" ? request.continue() : request.respond(elsewhere));
    });
    // What is to be seen while the other page is on its way.
    let seen;
    page.on("console", (message) => {
      if (message.text().startsWith("seen:")) seen = message.text();
    });
    await page.evaluate(() =>
      new MutationObserver(() => console.log(`seen:${document.body.textContent}${document.title}`)).observe(document, { childList: true, subtree: true }),
    );
    const asked = [];
    page.on("dialog", async (dialog) => {
      asked.push(dialog.type());
      await dialog.accept();
    });
    const before = await page.evaluate(() => history.length);
    await Promise.all([page.waitForNavigation(), page.click("#exit")]);
    expect(page.url()).toBe("https://www.wikipedia.org/");
    expect(asked).toEqual([]);
    expect(seen).toBe("seen:\u200b");
    expect(await page.evaluate(() => history.length)).toBe(before);
    const back = await page.goBack({ timeout: 5000 }).catch(() => null);
    expect(back === null || !page.url().includes("127.0.0.1")).toBe(true);
    await done();
  });

  it("a browser asks before what was written is lost by mistake, and only then", async () => {
    const { page, done } = await opened(browser);
    await at(page, title);
    const asked = [];
    page.on("dialog", async (dialog) => {
      asked.push(dialog.type());
      await dialog.accept();
    });
    await page.click("main");
    await page.reload();
    expect(asked).toEqual([]);
    await at(page, title);
    await walkToNarrative(page);
    await page.click("main textarea");
    await page.keyboard.type("They came.");
    await page.reload();
    expect(asked).toEqual(["beforeunload"]);
    await at(page, title);
    await done();
  });

  it("by another address and back again: the page begins anew, and what was written is gone", async () => {
    const { page, done } = await opened(browser);
    await write(page);
    const words = await page.evaluate(() => document.body.textContent);
    expect(words).toContain(t["send.ready"]);
    page.on("dialog", (dialog) => void dialog.accept());
    await page.goto("data:text/html,<title>Elsewhere</title>");
    await page.goBack();
    await at(page, title);
    expect(await page.evaluate(() => document.documentElement.innerHTML)).not.toContain("They came at night");
    await done();
  });
});
