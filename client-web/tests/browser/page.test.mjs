// What the page promises and refuses, in a real browser, with an organization of organization.mjs.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { at, choose, launch, open, press, type, walk } from "./browser.mjs";
import { dayOf, found } from "./organization.mjs";
import { handlersOf, serve } from "./served.mjs";
import { textsOf, tour } from "./tour.mjs";

const t = textsOf("en");
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const title = t["welcome.title"].replace("{name}", "Harbour House");

let browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

/** An organization that is served, and the page opened at its link. */
async function opened({ change = {}, fingerprint, organization, ...view } = {}) {
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

/** Writes the shortest report there is, up to the sealed one that waits to be sent. Gives the words. */
async function write(page) {
  await at(page, title);
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
  await press(page, t["word.continue"]);
  await at(page, t["send.ready"]);
  return words;
}

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
    const { page, done } = await opened();
    await at(page, title);
    await page.evaluate(axe);
    await page.evaluate(() => document.querySelector("#language-choice label").remove());
    const { violations } = await page.evaluate(() => window.axe.run(document));
    expect(violations.map(({ id }) => id)).toContain("select-name");
    await done();
  });
});

describe("leaving", () => {
  it("empties the page at once, takes its place in the history, and leaves nothing behind", async () => {
    const { page, done } = await opened();
    await at(page, title);
    await press(page, t["welcome.write"]);
    await walk(page, t, t["question.narrative"], {
      [t["question.reporter.role"]]: async () => {
        await choose(page, t["code.reporter_role.target"]);
        await press(page, t["word.continue"]);
      },
    });
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
    const { page, done } = await opened();
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
    await press(page, t["welcome.write"]);
    await walk(page, t, t["question.narrative"], {
      [t["question.reporter.role"]]: async () => {
        await choose(page, t["code.reporter_role.target"]);
        await press(page, t["word.continue"]);
      },
    });
    await page.click("main textarea");
    await page.keyboard.type("They came.");
    await page.reload();
    expect(asked).toEqual(["beforeunload"]);
    await at(page, title);
    await done();
  });

  it("nothing is stored in the browser after a report was sent", async () => {
    const { page, sent, done } = await opened();
    await write(page);
    await press(page, t["send.go"]);
    await at(page, t["sent.title"]);
    expect(sent).toHaveLength(1);
    const stored = await page.evaluate(async () => ({
      cookie: document.cookie,
      local: localStorage.length,
      session: sessionStorage.length,
      databases: (await indexedDB.databases()).length,
      workers: (await navigator.serviceWorker.getRegistrations()).length,
      written: document.documentElement.textContent.includes("They came at night"),
    }));
    expect(stored).toEqual({ cookie: "", local: 0, session: 0, databases: 0, workers: 0, written: false });
    await done();
  });
});

describe("what is not the organization's", () => {
  const refused = async (how, reason) => {
    const { page, done } = await opened(how);
    await at(page, t["failed.title"]);
    expect(await page.$eval("main .lead", (lead) => lead.textContent)).toBe(reason);
    expect(await page.$$("main textarea, main input")).toEqual([]);
    await done();
  };

  it("another organization's charter is refused", async () => {
    await refused({ fingerprint: "ab".repeat(32) }, t["failed.signature"]);
  });

  it("a manifest that somebody else signed is refused", async () => {
    const other = await found();
    await refused({ change: { "/v1/manifest": () => ({ body: other.manifest }) } }, t["failed.format"]);
    const mine = await found();
    const swapped = mine.manifest.replace(/^log .*$/m, /^log .*$/m.exec(other.manifest)[0]);
    await refused({ organization: mine, change: { "/v1/manifest": () => ({ body: swapped }) } }, t["failed.signature"]);
  });

  it("a manifest whose week is over is refused, though it is signed", async () => {
    const past = await found({ today: dayOf(Date.now()) - 7 });
    const { page, done } = await opened({ organization: past });
    await at(page, t["failed.title"]);
    expect(await page.$eval("main .lead", (lead) => lead.textContent)).toMatch(/not for today/);
    await done();
  });

  it("a recipient that is not post-quantum is refused, though it is signed", async () => {
    const { generateX25519Identity, identityToRecipient, generateHybridIdentity } = await import("age-encryption");
    const recipients = await Promise.all(Array.from({ length: 8 }, async (_, slot) => identityToRecipient(slot === 5 ? await generateX25519Identity() : await generateHybridIdentity())));
    await refused({ organization: await found({ recipients }) }, t["failed.not_post_quantum"]);
  });

  it("a server without keys for this week, and one that is not there, are told apart", async () => {
    await refused(
      { change: { "/v1/manifest": () => ({ status: 503, body: JSON.stringify({ type: "urn:marram:problem:no-open-manifest", title: "none", status: 503, detail: "none" }) }) } },
      t["failed.no_manifest"],
    );
    await refused({ change: { "/v1/charter": () => ({ cut: true }) } }, t["failed.network"]);
  });
});

describe("sending", () => {
  it("the same bytes are sent again after the connection broke, and the report arrives", async () => {
    const { page, sent, handlers, organization, done } = await opened();
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
    const { page, handlers, organization, done } = await opened();
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
    const { page, sent, organization, done } = await opened();
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
    const { page, done } = await opened({ change: { "/v1/board/000": () => ({ status: 404 }) } });
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
    const { page, done } = await opened();
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
