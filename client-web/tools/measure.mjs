// What the page costs on this machine: `node tools/measure.mjs [ROUNDS]`, after `npm run build`; leave the machine alone
// meanwhile. Medians, in milliseconds, in Chromium with its JIT and without.
import { at, launch, open } from "../tests/browser/browser.mjs";
import { found } from "../tests/browser/organization.mjs";
import { handlersOf, serve } from "../tests/browser/served.mjs";
import { t, title, write } from "../tests/browser/visit.mjs";

const rounds = Number(process.argv[2] ?? 15);
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const spread = (values) => `${median(values).toFixed(0)} (${Math.min(...values).toFixed(0)}–${Math.max(...values).toFixed(0)})`;

/** Notes when each heading appeared, after the frame in which it did, counted from the navigation's start. */
const watch = () => {
  window.seen = {};
  new MutationObserver(() => {
    const title = document.querySelector("main h1")?.textContent;
    if (title === undefined || title in window.seen) return;
    window.seen[title] = performance.now();
  }).observe(document, { childList: true, subtree: true });
};

const organization = await found();
// What no page can be faster than: the browser starts a process for it, and asks.
const nothing = { body: "<!doctype html><script>began = performance.now()</script>", type: "text/html" };
const server = await serve(handlersOf(organization, { "/nothing": () => nothing }).handlers);
const link = `${server.origin}/#${organization.fingerprint}`;

for (const [name, args] of [["with its JIT", []], ["without a JIT", ["--js-flags=--jitless"]]]) {
  const browser = await launch(args);
  const ready = [];
  const parts = { "an empty page would be there": [], "script asks": [], "answer is there": [], "sealed": [] };
  for (let round = 0; round < rounds + 1; round++) {
    const empty = await open(browser, `${server.origin}/nothing`);
    const began = await empty.evaluate(() => window.began);
    await empty.browserContext().close();
    const page = await open(browser, "about:blank");
    await page.evaluateOnNewDocument(watch);
    await page.goto(link);
    await at(page, title);
    const times = await page.evaluate((title) => {
      const [asked] = performance.getEntriesByType("resource").filter(({ name }) => name.includes("/v1/"));
      return { ready: window.seen[title], start: asked.startTime, answer: asked.responseEnd };
    }, title);
    // The first round warms the disk, not the page.
    if (round > 0) {
      ready.push(times.ready);
      parts["an empty page would be there"].push(began);
      parts["script asks"].push(times.start);
      parts["answer is there"].push(times.answer);
    }
    if (round > 0 && round <= 5) parts.sealed.push(await seal(page));
    await page.browserContext().close();
  }
  console.log(`Chromium ${name}: form ready ${spread(ready)}; of that ${Object.entries(parts).map(([name, values]) => `${name} ${spread(values)}`).join("; ")}`);
  await browser.close();
}
await server.close();

/** Writes the shortest report, and gives the time between “Seal” and the sealed report. */
async function seal(page) {
  await write(page);
  const { seen } = await page.evaluate(() => ({ seen: window.seen }));
  return seen[t["send.ready"]] - seen[t["send.sealing"]];
}
