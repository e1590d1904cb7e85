// Pictures of every screen, to be looked at: `node tools/screenshots.mjs FOLDER [LANGUAGE…]`, after `npm run build`. WIDTHS names
// others than "320 768 1280", DARK or LIGHT one of the two themes. Those in docs/pictures are made of these.
import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { launch } from "../tests/browser/browser.mjs";
import { tour } from "../tests/browser/tour.mjs";

const [folder, ...languages] = process.argv.slice(2);
if (folder === undefined) {
  console.error("usage: screenshots.mjs FOLDER [LANGUAGE…]");
  process.exit(2);
}
const WIDTHS = (process.env.WIDTHS ?? "320 768 1280").split(" ").map(Number);
mkdirSync(folder, { recursive: true });
const browser = await launch();
for (const language of languages.length > 0 ? languages : ["en", "zh-Hans", "ar", "bo"]) {
  for (const width of WIDTHS) {
    for (const dark of process.env.DARK ? [true] : process.env.LIGHT ? [false] : [false, true]) {
      const visit = async (name, page) => {
        // The header sticks to the top of what is seen: from there, or it stands in the middle of the picture.
        await page.evaluate(() => scrollTo(0, 0));
        // Of a page from right to left that is not longer than the window, Chromium takes a full picture beside the page.
        const fullPage = await page.evaluate(() => document.documentElement.scrollHeight > innerHeight);
        await page.screenshot({ path: join(folder, `${language}-${width}${dark ? "-dark" : ""}-${name}.png`), fullPage });
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        if (wide > 0) console.log(`${language} ${width} ${name}: ${wide} pixels too wide`);
      };
      await tour(browser, visit, { language, width, height: 700, dark, still: true });
    }
  }
}
await browser.close();
