import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

import { build } from "vite";
import { describe, expect, it } from "vitest";

import { lookup, speak } from "../src/texts/texts";
import { gatherTexts } from "../tools/texts.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

async function built(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "page-"));
  try {
    await build({ root, configFile: join(root, "vite.config.ts"), logLevel: "silent", build: { outDir: folder, emptyOutDir: true } });
    return readFileSync(join(folder, "page.html"), "utf8");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const [page, again] = [await built(), await built()];

describe("the built page", () => {
  it("is the same, bit for bit, each time", () => {
    expect(createHash("sha256").update(again).digest("hex")).toBe(createHash("sha256").update(page).digest("hex"));
  });

  it("has at most 200 kB compressed, and 160 kB by brotli, as the server compresses it", () => {
    expect(gzipSync(page, { level: 9 }).length).toBeLessThanOrEqual(200_000);
    const params = {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_LGWIN]: 22,
      [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
    };
    expect(brotliCompressSync(page, { params }).length).toBeLessThanOrEqual(160_000);
  });

  it("is one file: it names no other, and no organization", () => {
    expect(page).not.toMatch(/<(script|link|img|iframe)[^>]+(src|href)=(?!"data:,")/i);
    expect(page).not.toMatch(/@import|url\(/);
    const links = page.match(/https?:\/\/[a-z0-9.-]+\.[a-z]+/gi) ?? [];
    expect([...new Set(links)]).toEqual(["https://www.wikipedia.org"]);
  });

  it("has a form for sealed files in each language, whose answer is in that language", () => {
    const forms = page.matchAll(/<section lang="([^"]+)"(?:(?!<\/section>)[\s\S])*?<form method="post" action="\/drop\?language=([^"]+)"/g);
    const languages = [...forms].map(([, spoken, answered]) => [spoken, answered]);
    expect(languages).toEqual(gatherTexts().fixed.map(({ language }) => [language, language]));
  });

  it("has a policy that allows this script and style, by their hashes, and no other", () => {
    const policy = /http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(page)![1]!;
    const hash = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
    const scripts = [...page.matchAll(/<script>([\s\S]*?)<\/script>/g)];
    const styles = [...page.matchAll(/<style>([\s\S]*?)<\/style>/g)];
    expect(scripts).toHaveLength(1);
    expect(policy).toContain(`script-src ${hash(scripts[0]![1]!)};`);
    for (const [, style] of styles) expect(policy).toContain(hash(style!));
    expect(policy).not.toMatch(/unsafe|eval| \*[; ]/);
    expect(page).not.toMatch(/ on[a-z]+="/i);
    expect(page).not.toMatch(/ style="/i);
  });

  it("writes no markup, stores nothing and loads nothing from within", () => {
    const script = /<script>([\s\S]*?)<\/script>/.exec(page)![1]!;
    for (const forbidden of [
      "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "localStorage",
      "sessionStorage", "indexedDB", "document.cookie", "serviceWorker", "sendBeacon", "WebAssembly", "crypto.subtle", "console.",
    ]) {
      expect(script, forbidden).not.toContain(forbidden);
    }
  });
});

describe("texts", () => {
  function changed(change: (own: { texts: Record<string, string> }) => void, language = "ar") {
    const folder = mkdtempSync(join(tmpdir(), "texts-"));
    try {
      const [own, asked] = [join(folder, "own"), join(folder, "asked")];
      cpSync(join(root, "src/texts"), own, { recursive: true });
      cpSync(join(root, "../incident/data/texts"), asked, { recursive: true });
      for (const place of [own, asked]) {
        const english = JSON.parse(readFileSync(join(place, "en.json"), "utf8")) as { texts: Record<string, string> };
        const other = { ...english, language, direction: "rtl" };
        if (place === own) {
          for (const key of Object.keys(other.texts).filter((key) => key.endsWith(".other") && key.replace(/other$/, "one") in other.texts)) {
            for (const form of ["zero", "two", "few", "many"]) other.texts[key.replace(/other$/, form)] = other.texts[key]!;
          }
          change(other);
        }
        writeFileSync(join(place, `${language}.json`), JSON.stringify(other));
      }
      return gatherTexts({ own, asked });
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  it("what the page unpacks is what was written, in every language", () => {
    const { keys, languages } = gatherTexts().packed;
    expect(languages).toHaveLength(12);
    for (const { language, texts } of languages) {
      speak(language);
      keys.forEach((key, place) => {
        if (texts[place] !== "") expect(lookup(key)).toBe(texts[place]);
      });
    }
  });

  it("a language with every text is taken", () => {
    expect(changed(() => {}).packed.languages.map(({ language }) => language)).toContain("ar");
  });

  it("a missing text, a missing plural form, an unknown one, and a lost placeholder fail the build", () => {
    expect(() => changed(({ texts }) => delete texts["review.go"])).toThrow(/ar: src\/texts lacks review.go/);
    expect(() => changed(({ texts }) => delete texts["read.acknowledged.few"])).toThrow(/lacks read.acknowledged.few/);
    expect(() => changed(({ texts }) => (texts["review.gone"] = "x"))).toThrow(/nobody shows review.gone/);
    expect(() => changed(({ texts }) => (texts["welcome.title"] = "x"))).toThrow(/welcome.title lacks \{name\}/);
  });
});
