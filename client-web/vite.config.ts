import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { type Plugin, defineConfig } from "vite";

import { ACCENTS, unpacked } from "./src/crypto/word_list.ts";
import { exchanged, gatherTexts } from "./tools/texts.mjs";

const TEXTS = "virtual:texts";
const { packed, fixed } = gatherTexts();

/** Every text of every language, as one module. */
const texts = (): Plugin => ({
  name: "marram-texts",
  resolveId: (id) => (id === TEXTS ? `\0${TEXTS}` : undefined),
  load(id) {
    if (id !== `\0${TEXTS}`) return undefined;
    return `export default ${JSON.stringify({ keys: packed.keys.join("\n"), languages: exchanged(packed.languages) })};`;
  },
});

/** Data without what the page never shows: labels for caseworkers, and names that browsers know. */
const data = (): Plugin => ({
  name: "marram-data",
  enforce: "pre",
  load(id) {
    const json = (): unknown => JSON.parse(readFileSync(id, "utf8"));
    if (id.endsWith("/incident/data/codes.json")) {
      const { lists } = json() as { lists: { id: string; codes: { code: string }[] }[] };
      return JSON.stringify({ lists: lists.map(({ id, codes }) => ({ id, codes: codes.map(({ code }) => ({ code })) })) });
    }
    if (id.endsWith("/incident/data/countries.json")) {
      return JSON.stringify(Object.keys(json() as object).join(" "));
    }
    return undefined;
  },
});

/** Word lists in alphabetical order, each word written as what it has in common with the one before, and the rest. */
const wordLists = (): Plugin => ({
  name: "marram-word-lists",
  enforce: "pre",
  load(id) {
    if (/@scure\/bip39\/wordlists\/traditional-chinese\.js$/.test(id)) return traditionalChinese(id);
    if (!/@scure\/bip39\/wordlists\/(english|french|spanish)\.js$/.test(id)) return undefined;
    const words = wordsOf(id);
    const parts = words.map((word, place) => {
      const before = words[place - 1] ?? "";
      let common = 0;
      while (common < word.length && word[common] === before[common]) common++;
      return common + word.slice(common);
    });
    const accents = [...new Set(parts.join("").match(/[^0-9a-z]/g))].join("");
    const packed = parts.join("").replace(/[^0-9a-z]/g, (accent) => ACCENTS[accents.indexOf(accent)]!);
    if (words.length !== 2048 || unpacked(packed, accents).join() !== words.join()) throw new Error(`${id} has another form`);
    return `import { unpacked } from "/src/crypto/word_list.ts";
export const wordlist = unpacked(${JSON.stringify(packed)}, ${JSON.stringify(accents)});`;
  },
});

const wordsOf = (id: string) => /`([^`]*)`/.exec(readFileSync(id, "utf8"))![1]!.split("\n");

/** The two Chinese lists share 1,275 words, at the same places: the second is written as where it differs. */
function traditionalChinese(id: string): string {
  const simplified = wordsOf(id.replace("traditional", "simplified"));
  const traditional = wordsOf(id);
  if (simplified.length !== 2048 || traditional.length !== 2048 || traditional.some((word) => [...word].length !== 1)) {
    throw new Error(`${id} has another form`);
  }
  const packed = traditional.map((word, place) => (word === simplified[place] ? "." : word)).join("");
  return `import { wordlist as simplified } from "@scure/bip39/wordlists/simplified-chinese.js";
export const wordlist = Array.from("${packed}", (word, place) => word === "." ? simplified[place] : word);`;
}

/** Library code that nothing uses, and that the bundler keeps as it might do something. */
const unused = (): Plugin => ({
  name: "marram-unused",
  enforce: "pre",
  transform(code, id) {
    const without = (path: string, from: RegExp, to: string) => {
      if (!id.endsWith(path)) return undefined;
      const without = code.replace(from, to);
      if (without === code) throw new Error(`${id} has another form`);
      return without;
    };
    return (
      // Ristretto, for its static fields that call functions.
      without("@noble/curves/ed25519.js", /^ +static (BASE|ZERO|Fp|Fn) =[^;]*;$/gm, "") ??
      // Encodings, for being marked as free of side effects in a way that is read only if nothing else is in the comment.
      without("@scure/base/index.js", /^ \* @__NO_SIDE_EFFECTS__\n \*\/\n/gm, " */\n/* @__NO_SIDE_EFFECTS__ */ ")
    );
  },
});

const sha256 = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const escape = (text: string) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

/** What the page may do: run this one script, wear this one style, and reach organizations' servers. */
const policy = (script: string, style: string) =>
  [
    "default-src 'none'",
    `script-src ${sha256(script)}`,
    `style-src ${sha256(style)}`,
    "img-src data:",
    // Where a saved copy may send: as the grammar of links allows it (docs/protocol.md, section 4).
    "connect-src 'self' https: http://*.onion:* http://127.0.0.1:* http://localhost:*",
    "form-action 'self'",
    "base-uri 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");

/** The part for browsers without scripts, in every language. */
function withoutScripts(): string {
  const parts = fixed.map(({ language, direction, text }) => {
    const line = (key: string) => escape(text(key));
    return `<section lang="${language}" dir="${direction}"><h1>${line("noscript.title")}</h1><p class="lead">${line("noscript.why")}</p>
<p>${line("noscript.ways")}</p><ul><li>${line("noscript.tor")}</li><li>${line("noscript.program")}</li></ul>
<h2>${line("noscript.drop")}</h2><p>${line("noscript.drop.text")}</p><p class="help">${line("noscript.drop.server")}</p>
<form method="post" action="/drop?language=${language}" enctype="multipart/form-data"><p><label>${line("noscript.drop.file")} <input type="file" name="report" accept=".age" required></label></p><p><button>${line("noscript.drop.send")}</button></p></form></section>`;
  });
  return `<noscript>${parts.join("\n")}</noscript><p id="wait">${escape(fixed[0]!.text("noscript.old"))}</p>`;
}

/** One HTML file out of everything. */
const oneFile = (): Plugin => ({
  name: "marram-one-file",
  enforce: "post",
  generateBundle(_, bundle) {
    let script = "";
    let style = "";
    let html = "";
    for (const [name, output] of Object.entries(bundle)) {
      if (output.type === "chunk") script += output.code;
      else if (name.endsWith(".css")) style += String(output.source);
      else if (name.endsWith(".html")) html = String(output.source);
      else this.error(`${name} would be a second file`);
      delete bundle[name];
    }
    // Nothing in a script may look like its end.
    script = script.trim().replace(/<\/(script)/gi, "<\\/$1").replace(/<!--/g, "<\\!--");
    style = style.trim();
    const put = (from: RegExp, to: string) => {
      if (!from.test(html)) this.error(`index.html has no ${from}`);
      html = html.replace(from, () => to);
    };
    put(/\s*<script[^>]*src=[^>]*><\/script>/, "");
    put(/\s*<link rel="stylesheet"[^>]*>/, `\n    <style>${style}</style>`);
    put(/<!--policy-->/, `<meta http-equiv="Content-Security-Policy" content="${policy(script, style)}" />`);
    put(/<!--static-->/, withoutScripts());
    put(/<\/body>/, `<script>${script}</script>\n  </body>`);
    this.emitFile({ type: "asset", fileName: "page.html", source: html });
  },
});

export default defineConfig({
  plugins: [texts(), data(), wordLists(), unused(), oneFile()],
  resolve: {
    // Its front door brings scrypt, WebAuthn and NIST's curves along: a tenth of the page.
    alias: { typage: fileURLToPath(new URL("node_modules/age-encryption/dist", import.meta.url)) },
  },
  build: {
    target: ["es2022", "chrome100", "firefox102", "safari15.4"],
    modulePreload: false,
    cssCodeSplit: false,
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    rollupOptions: {
      // Safari before 16 has a fault in the fields of classes, so that they are rewritten. As plain assignments: defined one by
      // one they cost a call each, and noble makes thousands of points.
      transform: { assumptions: { setPublicClassFields: true } },
      output: { format: "iife" },
    },
  },
  test: { include: ["tests/*.test.ts"], testTimeout: 60_000 },
} as Parameters<typeof defineConfig>[0]);
