// The page as the real server shows it, in a real browser: nothing of it is stopped by the server's own policy, nothing goes
// elsewhere, and whoever runs no scripts sends a sealed file with the page's form.
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { at, launch, open, press, type } from "./browser.mjs";
import { foundReal } from "./real.mjs";
import { PAGE } from "./served.mjs";
import { t, write } from "./visit.mjs";

const uyghur = JSON.parse(readFileSync(new URL("../../../server/src/http/drop/texts/ug.json", import.meta.url), "utf8"));
const title = t["welcome.title"].replace("{name}", "Dune Grass Aid");

let real, browser, folder;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "served-"));
  real = await foundReal();
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  real?.stop();
  if (folder !== undefined) rmSync(folder, { recursive: true });
});

/** What the browser itself says is wrong, policies and headers among it, and every address that was asked for. */
async function watched(page) {
  const said = [];
  const asked = [];
  const client = await page.createCDPSession();
  for (const domain of ["Log", "Audits", "Network"]) await client.send(`${domain}.enable`);
  client.on("Log.entryAdded", ({ entry }) => said.push(`${entry.level}: ${entry.text} ${entry.url ?? ""}`));
  client.on("Audits.issueAdded", ({ issue }) => said.push(JSON.stringify(issue)));
  client.on("Network.requestWillBeSent", ({ request }) => asked.push(`${request.method} ${request.url}`));
  return { said, asked };
}

const reports = () => {
  const list = real.carry();
  return Array.isArray(list) ? list : list.reports;
};

describe("the real server", () => {
  it("shows the page that was built, and names its digest", async () => {
    const digest = createHash("sha256").update(readFileSync(PAGE)).digest("hex");
    expect(real.run("marram-server", "page")).toBe(`page: ${digest}\n`);
    // Decoded by whoever asked.
    expect(Buffer.from(await (await fetch(`${real.origin}/`)).arrayBuffer()).equals(readFileSync(PAGE))).toBe(true);
  });

  it("passes the courier's audit", () => {
    const link = `${real.origin}/#${real.fingerprint}`;
    const said = JSON.parse(real.run("marram-courier", "--home", "courier", "--json", "audit", "--link", link));
    expect(said.differences).toEqual([]);
    expect(said.page).toBe(createHash("sha256").update(readFileSync(PAGE)).digest("hex"));
  });

  it("shows a page that nothing is wrong with, from the link to the sent report, and that asks nobody else", async () => {
    const page = await open(browser, "about:blank", { still: true });
    const { said, asked } = await watched(page);
    const response = await page.goto(`${real.origin}/#${real.fingerprint}`);
    expect(response.headers()["content-encoding"]).toMatch(/^(br|gzip)$/);
    await at(page, title);
    const [first, ...paths] = asked.filter((line) => line !== "GET data:,").map((line) => line.replace(real.origin, ""));
    expect(first).toBe("GET /");
    expect(paths.every((path) => path.startsWith("GET /v1/"))).toBe(true);
    await write(page, { from: title });
    await press(page, t["send.go"]);
    await at(page, t["sent.title"]);
    const elsewhere = asked.filter((line) => !line.includes(` ${real.origin}/`) && line !== "GET data:,");
    expect(elsewhere).toEqual([]);
    expect(said).toEqual([]);
    expect(page.problems).toEqual([]);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    expect(reports()).toHaveLength(1);
  });

  it("would stop a script that somebody put into the page, and a connection to elsewhere", async () => {
    const page = await open(browser, `${real.origin}/#${real.fingerprint}`, { still: true });
    await at(page, title);
    const stopped = await page.evaluate(async () => {
      const violations = [];
      document.addEventListener("securitypolicyviolation", ({ effectiveDirective }) => violations.push(effectiveDirective));
      const script = document.createElement("script");
      try {
        script.text = "window.stranger = true";
      } catch {
        violations.push("trusted-types");
      }
      document.head.append(script);
      await fetch("https://elsewhere.example/").catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 100));
      return { violations, ran: "stranger" in window };
    });
    expect(stopped.ran).toBe(false);
    expect(stopped.violations).toContain("trusted-types");
    expect(stopped.violations).toContain("connect-src");
  });
});

describe("without scripts", () => {
  it("a file that a saved page has sealed goes through the form, is received, and is opened by a caseworker; the answer is in the form's language", async () => {
    // Sealed on a saved copy, without a network.
    const copy = join(folder, "page.html");
    copyFileSync(PAGE, copy);
    const offline = await open(browser, String(pathToFileURL(copy)), { still: true });
    await offline.setOfflineMode(true);
    await at(offline, t["link.title"]);
    await press(offline, t["link.files"]);
    const files = [join(real.folder, "stick/charter.json"), real.manifests[0]];
    const pickers = await offline.$$("main input[type=file]");
    if (pickers.length === 1) await pickers[0].uploadFile(...files);
    else for (const [place, picker] of pickers.entries()) await picker.uploadFile(files[place]);
    await type(offline, real.fingerprint, "main details input[type=text]");
    await press(offline, t["link.files.open"]);
    await at(offline, title);
    const client = await offline.createCDPSession();
    await client.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: folder, browserContextId: offline.browserContext().id });
    await write(offline, { from: title });
    await press(offline, t["send.save"]);
    const sealed = () => readdirSync(folder).find((name) => name.endsWith(".age"));
    for (let n = 0; n < 100 && sealed() === undefined; n++) await new Promise((resolve) => setTimeout(resolve, 100));

    const before = reports().length;
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    await page.setJavaScriptEnabled(false);
    const { said, asked } = await watched(page);
    const drop = async (file, language) => {
      await page.goto(`${real.origin}/`);
      const input = await page.$(`section[lang=${language}] form input[type=file]`);
      await input.uploadFile(file);
      await page.focus(`section[lang=${language}] form button`);
      await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
      return (await page.content()).replace(/\s+/g, " ");
    };
    // First by mistake another file.
    const mistaken = await drop(join(real.folder, "stick/charter.json"), "ug");
    expect(mistaken).toContain(`<h1>${uyghur.refused.not_sealed.title}</h1>`);
    expect(mistaken).toContain('<html lang="ug" dir="rtl">');
    const statuses = said.splice(0).filter((line) => !/status of 4\d\d/.test(line));
    expect(statuses).toEqual([]);
    expect(await drop(join(folder, sealed()), "en")).toContain("<h1>Received</h1>");
    expect(await page.evaluate(() => getComputedStyle(document.querySelector("main")).maxWidth)).not.toBe("none");
    expect(said).toEqual([]);
    expect(asked.filter((line) => !line.includes(` ${real.origin}/`) && line !== "GET data:,")).toEqual([]);

    const list = reports();
    expect(list).toHaveLength(before + 1);
    const shown = real.casework("show", String(Math.max(...list.map(({ id }) => id))));
    expect(shown).toContain("They came at night");
    await context.close();
  });
});
