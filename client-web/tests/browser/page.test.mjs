// What the page promises and refuses, in a real browser, with an organization of organization.mjs.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { at, launch, press, type } from "./browser.mjs";
import { tour } from "./tour.mjs";
import { opened, t, title, write } from "./visit.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** A promise, and what fulfils it. */
function later() {
  let resolve;
  const promise = new Promise((done) => (resolve = done));
  return { promise, resolve };
}

let browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

describe("every screen", () => {
  it("has no barrier that axe finds, and is no wider than a narrow phone, light and dark", async () => {
    const found = [];
    for (const [language, dark] of [["en", true], ["ar", false]]) {
      const seen = new Set();
      await tour(
        browser,
        async (name, page) => {
          seen.add(name);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          if (wide > 0) found.push(`${name}: ${wide} pixels too wide`);
          if (name === "without-scripts") return; // axe is a script
          await page.evaluate(axe);
          const { violations } = await page.evaluate(() =>
            window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }),
          );
          for (const { id, nodes } of violations) found.push(`${name}: ${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`);
          found.push(...page.problems.map((problem) => `${name}: ${problem}`));
        },
        { language, width: 320, height: 640, dark, still: true },
      );
      expect(seen.size).toBeGreaterThan(35);
    }
    expect([...new Set(found)]).toEqual([]);
  });
});

describe("axe", () => {
  it("finds a barrier that is put in its way", async () => {
    const { page, done } = await opened(browser);
    await at(page, title);
    await page.evaluate(axe);
    await page.evaluate(() => document.querySelector("#language-choice label").remove());
    const { violations } = await page.evaluate(() => window.axe.run(document));
    expect(violations.map(({ id }) => id)).toContain("select-name");
    await done();
  });
});

describe("a server that takes its time", () => {
  it("is said to be checked meanwhile", async () => {
    const { page, handlers, done } = await opened(browser);
    await page.evaluateOnNewDocument(() => {
      window.titles = [];
      new MutationObserver(() => {
        const title = document.querySelector("main h1")?.textContent;
        if (title !== undefined && title !== window.titles.at(-1)) window.titles.push(title);
      }).observe(document, { childList: true, subtree: true });
    });
    const { promise: released, resolve: release } = later();
    const answer = handlers["/v1/organization"];
    handlers["/v1/organization"] = () => released.then(answer);
    await page.reload();
    await at(page, t["checking.title"]);
    release();
    await at(page, title);
    expect(await page.evaluate(() => window.titles)).toEqual([t["checking.title"], title]);
    expect(page.problems).toEqual([]);
    await done();
  });
});

describe("sending", () => {
  it("the same bytes are sent again after the connection broke, and the report arrives", async () => {
    const { page, sent, handlers, organization, done } = await opened(browser);
    const bodies = [];
    handlers["/v1/reports"] = (body) => {
      bodies.push(body);
      return bodies.length === 1 ? { cut: true } : { status: 201, body: organization.receipt(body) };
    };
    await write(page);
    await press(page, t["send.go"]);
    await at(page, t["sent.title"]);
    expect(bodies).toHaveLength(2);
    expect(bodies[1].equals(bodies[0])).toBe(true);
    expect(bodies[0]).toHaveLength(32_768);
    expect(sent).toHaveLength(0);
    await done();
  });

  it("a receipt for another report is no receipt", async () => {
    const { page, handlers, organization, done } = await opened(browser);
    const honest = handlers["/v1/reports"];
    handlers["/v1/reports"] = () => ({ status: 201, body: organization.receipt(Buffer.alloc(32_768)) });
    await write(page);
    await press(page, t["send.go"]);
    await at(page, t["send.failed"]);
    expect(await page.$eval("main .lead", (lead) => lead.textContent)).toBe(t["send.failed.receipt"]);
    handlers["/v1/reports"] = honest;
    await press(page, t["page.again"]);
    await at(page, t["sent.title"]);
    await done();
  });

  it("a report opens with every slot's identity, whatever the slot", async () => {
    const { page, sent, organization, done } = await opened(browser);
    await write(page);
    await press(page, t["send.go"]);
    await at(page, t["sent.title"]);
    const { Decrypter } = await import("age-encryption");
    for (const identity of organization.identities) {
      const decrypter = new Decrypter();
      decrypter.addIdentity(identity);
      const payload = Buffer.from(await decrypter.decrypt(new Uint8Array(sent[0])));
      expect(payload.subarray(0, 11).toString()).toBe("report.json");
      expect(payload.includes("They came at night.")).toBe(true);
    }
    await done();
  });
});

describe("a new report", () => {
  it("has new words, also when somebody began to add to an earlier one and came back", async () => {
    const { page, done } = await opened(browser, { change: { "/v1/board/000": () => ({ status: 404 }) } });
    await at(page, title);
    await press(page, t["welcome.read"]);
    const earlier = "abandon amount liar amount expire adjust cage candy arch gather drum buyer";
    await type(page, earlier);
    await press(page, t["read.go"]);
    await page.waitForFunction((text) => document.querySelector("main").textContent.includes(text), {}, t["read.board.none"]);
    await press(page, t["read.add"]);
    await at(page, t["read.add"]);
    await press(page, t["word.continue"]);
    await at(page, t["section.safety"]);
    await press(page, t["word.back"]);
    const words = await write(page);
    expect(words).toHaveLength(12);
    expect(words.join(" ")).not.toBe(earlier);
    await done();
  });
});

describe("the keyboard alone", () => {
  it("goes from the link to the first answers", async () => {
    const { page, done } = await opened(browser);
    await at(page, title);
    const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim() ?? "");
    const tabTo = async (text) => {
      for (let n = 0; n < 40 && (await focused()) !== text; n++) await page.keyboard.press("Tab");
      expect(await focused()).toBe(text);
    };
    await tabTo(t["welcome.write"]);
    await page.keyboard.press("Enter");
    await at(page, t["question.safety.harm"]);
    // The heading has the focus, so that it is read first; the first answer is one step away.
    expect(await focused()).toBe(t["question.safety.harm"]);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Space");
    await page.keyboard.press("ArrowDown");
    await tabTo(t["word.continue"]);
    await page.keyboard.press("Enter");
    await page.waitForFunction((title) => document.querySelector("main h1").textContent !== title, {}, t["question.safety.harm"]);
    await done();
  });
});
