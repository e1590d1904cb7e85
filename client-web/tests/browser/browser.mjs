// Chromium, driven as a person would use the page: by what is written on it.
import puppeteer from "puppeteer-core";

export const launch = (args = []) =>
  puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--lang=en", ...args],
  });

/** A page that collects what went wrong in it. */
export async function open(browser, url, { width = 390, height = 844, languages = ["en"], ...more } = {}) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  const problems = [];
  page.on("console", (message) => {
    if (message.type() === "error" && !/Failed to load resource/.test(message.text())) problems.push(message.text());
  });
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.setViewport({ width, height });
  await page.evaluateOnNewDocument((languages) => {
    Object.defineProperty(navigator, "languages", { get: () => languages });
  }, languages);
  if (more.userAgent) await page.setUserAgent(more.userAgent);
  // Firefox has its own scheme, and no way to be told another.
  if (!(await browser.version()).startsWith("firefox")) {
    await page.emulateMediaFeatures([
      { name: "prefers-color-scheme", value: more.dark ? "dark" : "light" },
      ...(more.still ? [{ name: "prefers-reduced-motion", value: "reduce" }] : []),
    ]);
  }
  await page.goto(url);
  return Object.assign(page, { problems });
}

export const heading = (page) => page.$eval("main h1", (h1) => h1.textContent);

/** Waits until the screen has this heading. */
export const at = (page, title) =>
  page.waitForFunction((title) => document.querySelector("main h1")?.textContent === title, { timeout: 30_000 }, title);

/** Presses the button with this text. */
export async function press(page, text) {
  const found = await page.evaluateHandle(
    (text) => [...document.querySelectorAll("main button, main summary")].find((button) => button.textContent === text),
    text,
  );
  const element = found.asElement();
  if (element === null) throw new Error(`no button “${text}” on the screen “${await heading(page)}”`);
  await element.evaluate((button) => button.click());
}

/** Chooses the answer with this text. */
export async function choose(page, text) {
  const found = await page.evaluate((text) => {
    const label = [...document.querySelectorAll("main label.choice")].find((label) => label.textContent === text);
    label?.click();
    return label !== undefined;
  }, text);
  if (!found) throw new Error(`no choice “${text}” on the screen “${await heading(page)}”`);
}

export async function type(page, text, selector = "main textarea, main input[type=text]") {
  await page.$eval(selector, (field) => {
    field.value = "";
    field.focus();
  });
  // Firefox takes one at a time.
  if ((await page.browser().version()).startsWith("firefox")) await page.keyboard.type(text);
  else await page.keyboard.sendCharacter(text);
}

/** Goes on from screen to screen: `steps` says by heading what to do; everything else is skipped. Ends at `end`. */
export async function walk(page, texts, end, steps) {
  for (let n = 0; n < 120; n++) {
    const title = await heading(page);
    if (title === end) return;
    const step = steps[title];
    if (step !== undefined) await step();
    else {
      const pressed = await page.evaluate(
        (names) => {
          const buttons = [...document.querySelectorAll("main .actions button")];
          for (const name of names) {
            const button = buttons.find((button) => button.textContent === name);
            if (button !== undefined) {
              button.click();
              return name;
            }
          }
          return undefined;
        },
        [texts["word.skip"], texts["word.no"], texts["word.continue"]],
      );
      if (pressed === undefined) throw new Error(`no way on from “${title}”`);
    }
    await page.waitForFunction((title) => document.querySelector("main h1")?.textContent !== title || document.querySelector("main .error:not(:empty)") !== null, { timeout: 20_000 }, title).catch(() => {});
    const error = await page.$$eval("main .error", (errors) => errors.map((error) => error.textContent).join(""));
    if (error !== "") throw new Error(`“${title}”: ${error}`);
  }
  throw new Error(`never came to “${end}”`);
}
