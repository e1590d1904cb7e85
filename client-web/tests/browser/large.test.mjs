// A large attachment: the page shows how far it is, and answers meanwhile.
import { randomFillSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, it } from "vitest";

import { at, launch, press } from "./browser.mjs";
import { opened, t, write } from "./visit.mjs";

let browser, folder, film;
beforeAll(async () => {
  browser = await launch();
  folder = mkdtempSync(join(tmpdir(), "large-"));
  film = join(folder, "film.mp4");
  writeFileSync(film, randomFillSync(Buffer.alloc(10 << 20)));
});
afterAll(async () => {
  await browser.close();
  rmSync(folder, { recursive: true });
});

/** Up to the moment before sealing. */
async function ready(page) {
  const words = await write(page, { files: [film], seal: false });
  // Counts the frames in which the bar had moved, as somebody sees them.
  await page.evaluate(() => {
    window.steps = new Set();
    const look = () => {
      const bar = document.querySelector("main progress");
      if (bar?.value > 0 && bar.max > 1) window.steps.add(bar.value);
      requestAnimationFrame(look);
    };
    look();
  });
  return words;
}

it("10 MiB are sealed with a bar that moves: the page draws while it works", async () => {
  const { page, sent, done } = await opened(browser);
  await ready(page);
  await press(page, t["word.continue"]);
  await at(page, t["send.ready"]);
  // In strides of 4 MiB, as it was once, the bar moved five times.
  expect(await page.evaluate(() => window.steps.size)).toBeGreaterThan(12);
  await press(page, t["send.go"]);
  await at(page, t["sent.title"]);
  expect(sent[0]).toHaveLength(16 << 20);
  await done();
});

it("whoever presses “Leave now” while 10 MiB are being sealed has left: nothing is finished behind their back", async () => {
  const { page, sent, done } = await opened(browser);
  await page.setRequestInterception(true);
  page.on("request", (request) => {
    const elsewhere = { status: 200, contentType: "text/html", body: "elsewhere" };
    void (new URL(request.url()).hostname === "127.0.0.1" ? request.continue() : request.respond(elsewhere));
  });
  await ready(page);
  // The press comes as an event of its own once the bar has moved; it is taken only if the page pauses in between.
  await page.evaluate(() => {
    const press = setInterval(() => {
      const bar = document.querySelector("main progress");
      if (!(bar?.value > 0 && bar.max > 1)) return;
      clearInterval(press);
      console.log(`left at ${bar.value / bar.max}`);
      document.getElementById("exit").click();
      console.log(`shown: ${document.body.textContent}`);
    });
  });
  const said = [];
  page.on("console", (message) => said.push(message.text()));
  await Promise.all([page.waitForNavigation(), press(page, t["word.continue"])]);
  expect(page.url()).toBe("https://www.wikipedia.org/");
  const [left, shown] = said.filter((line) => /^(left|shown)/.test(line));
  expect(Number(left.split(" ").at(-1))).toBeLessThan(0.5);
  expect(shown).toBe("shown: ");
  expect(sent).toEqual([]);
  await done();
});
