import { countries } from "../incident/catalogue";
import { type DateParts, readDate, writeDate } from "../incident/date";
import { type Child, button, freshId, h, on } from "../app/dom";
import { type Key, direction, formatNumber, language, plural, t, writable } from "../texts/texts";

/** A question on the screen: what is shown, and what was filled in. Empty is "nothing". */
export interface Field {
  readonly node: HTMLElement;
  readonly value: () => string | readonly string[];
  /** Shows why an answer was not taken; none takes the words away. */
  readonly complain: (message: string | undefined) => void;
}

/** How a question stands on its screen: as its heading, or under it. */
export interface Asked {
  readonly label: string;
  readonly help?: string | undefined;
  readonly isHeading: boolean;
  readonly required: boolean;
}

/** What browsers would otherwise keep, send to a spelling service, or complete. */
const UNKEPT = { autocomplete: "off", autocorrect: "off", spellcheck: "false", "data-lpignore": "true" } as const;

interface Parts {
  readonly id: string;
  readonly describedBy: string;
  readonly node: HTMLElement;
  readonly complain: Field["complain"];
}

/** Label, help and complaint around a control, or a group of them. */
function frame(asked: Asked, group: boolean, control: (parts: { id: string; describedBy: string }) => Child): Parts {
  const id = freshId("field");
  const [labelId, helpId, errorId] = [`${id}-label`, `${id}-help`, `${id}-error`];
  const describedBy = asked.help === undefined ? errorId : `${helpId} ${errorId}`;
  const error = h("p", { class: "error", id: errorId, role: "alert" });
  const help = asked.help !== undefined && h("p", { class: "help", id: helpId }, asked.help);
  const label = asked.isHeading
    ? !group && h("label", { class: "unseen", for: id }, asked.label)
    : group
      ? h("h2", { id: labelId, class: "label" }, asked.label)
      : h("label", { for: id, class: "label" }, asked.label);
  const labelled = { role: "group", "aria-labelledby": asked.isHeading ? "heading" : labelId, "aria-describedby": describedBy };
  const inner = control({ id, describedBy });
  const node = h("div", { class: "field", ...(group ? labelled : {}) }, label, help, error, inner);
  const complain = (message: string | undefined) => {
    error.textContent = message ?? "";
    node.classList.toggle("refused", message !== undefined);
    for (const input of node.querySelectorAll("input, textarea, select")) {
      if (message === undefined) input.removeAttribute("aria-invalid");
      else input.setAttribute("aria-invalid", "true");
    }
    if (message !== undefined) node.querySelector<HTMLElement>("input, textarea, select, button")?.focus();
  };
  return { id, describedBy, node, complain };
}

/** What is no character cannot be sent. */
export const clean = (text: string): string => text.replace(/\p{Surrogate}/gu, "\ufffd").trim();

export function textField(asked: Asked, value: string, most?: number, attributes: Readonly<Record<string, string>> = {}): Field {
  let input!: HTMLInputElement;
  const { node, complain } = frame(asked, false, ({ id, describedBy }) => {
    const given = { ...UNKEPT, ...attributes, id, type: "text", value, "aria-describedby": describedBy };
    return (input = h("input", { dir: "auto", ...given, maxlength: most === undefined ? undefined : most * 2 }));
  });
  return { node, complain, value: () => clean(input.value) };
}

export function longTextField(asked: Asked, value: string, most?: number): Field {
  let area!: HTMLTextAreaElement;
  const left = h("p", { class: "help", role: "status" });
  const { node, complain } = frame(asked, false, ({ id, describedBy }) => {
    area = h("textarea", { ...UNKEPT, id, rows: 8, dir: "auto", "aria-describedby": describedBy });
    area.value = value;
    on(area, {
      input: () => {
        if (most === undefined) return;
        const rest = most - area.value.length;
        left.textContent = rest < most / 10 ? plural("ask.characters", Math.max(rest, 0)) : "";
      },
    });
    return [area, left];
  });
  return { node, complain, value: () => clean(area.value) };
}

export interface Option {
  readonly code: string;
  readonly label: string;
  /** Whether somebody else wrote the label. */
  readonly lang?: string;
}

/** Choices to press: one of them, or any. */
export function choiceField(asked: Asked, options: readonly Option[], chosen: readonly string[], several: boolean): Field {
  const name = freshId("choice");
  const { node, complain } = frame(asked, true, () =>
    h(
      "div",
      { class: "choices" },
      h("p", { class: "help" }, several ? t("ask.choose_any") : t("ask.choose_one")),
      options.map(({ code, label }) =>
        h(
          "label",
          { class: "choice" },
          h("input", {
            type: several ? "checkbox" : "radio",
            name,
            value: code,
            checked: chosen.includes(code),
            autocomplete: "off",
          }),
          h("span", { dir: "auto" }, label),
        ),
      ),
    ),
  );
  const checked = () => [...node.querySelectorAll<HTMLInputElement>("input:checked")].map((input) => input.value);
  return { node, complain, value: () => (several ? checked() : (checked()[0] ?? "")) };
}

const REGIONS = ["XJ", "XZ", "QH", "SC", "GS", "YN", "NX", "NM", "HK"].map((code) => `CN-${code}`);

/** The name of a country or region in the language of the page, or in English. */
export function countryName(code: string): string {
  if (code.includes("-")) return `${countryName(code.slice(0, 2))}: ${t(`region.${code}` as Key)}`;
  // Browsers that do not know a language give the names of another: then rather those that everybody can look up.
  const known = Intl.DisplayNames.supportedLocalesOf(language()).length > 0;
  return new Intl.DisplayNames(known ? language() : "en", { type: "region" }).of(code) ?? code;
}

function countryOptions(chosen: string, without: readonly string[] = []): HTMLElement[] {
  const known = Intl.Collator.supportedLocalesOf(language()).length > 0;
  const collator = new Intl.Collator(known ? language() : "en");
  return countries
    .filter((code) => !without.includes(code))
    .map((code) => ({ code, name: countryName(code) }))
    .sort((a, b) => collator.compare(a.name, b.name))
    .map(({ code, name }) => h("option", { value: code, selected: code === chosen }, name));
}

export function countryField(asked: Asked, value: string): Field {
  const [country, region] = [value.slice(0, 2), value.includes("-") ? value : ""];
  let select!: HTMLSelectElement;
  const regionId = freshId("region");
  const regions = h(
    "select",
    { id: regionId, autocomplete: "off" },
    h("option", { value: "" }, t("ask.region.none")),
    REGIONS.map((code) => h("option", { value: code, selected: code === region }, t(`region.${code}` as Key))),
  );
  const regionRow = h("div", { class: "sub" }, h("label", { for: regionId }, t("ask.region")), regions);
  const { node, complain } = frame(asked, false, ({ id, describedBy }) => {
    select = h(
      "select",
      { id, autocomplete: "off", "aria-describedby": describedBy },
      h("option", { value: "" }, t("ask.country.none")),
      countryOptions(country),
    );
    const showRegions = () => (regionRow.hidden = select.value !== "CN");
    on(select, { change: showRegions });
    showRegions();
    return [select, regionRow];
  });
  return { node, complain, value: () => (select.value === "CN" && regions.value ? regions.value : select.value) };
}

export function countriesField(asked: Asked, value: readonly string[]): Field {
  let chosen = [...value];
  const list = h("ul", { class: "chips" });
  let select!: HTMLSelectElement;
  const { node, complain } = frame(asked, false, ({ id, describedBy }) => {
    select = h("select", { id, autocomplete: "off", "aria-describedby": describedBy });
    on(select, {
      change: () => {
        if (select.value) chosen.push(select.value);
        draw();
      },
    });
    return [list, select];
  });
  const draw = () => {
    list.replaceChildren(
      ...chosen.map((code) => {
        const name = countryName(code);
        const remove = () => {
          chosen = chosen.filter((other) => other !== code);
          draw();
          select.dispatchEvent(new Event("input", { bubbles: true }));
          select.focus();
        };
        return h("li", {}, name, button("×", "plain", remove, { "aria-label": t("ask.remove", { what: name }) }));
      }),
    );
    list.hidden = chosen.length === 0;
    select.replaceChildren(h("option", { value: "" }, t("ask.add_country")), ...countryOptions("", chosen));
  };
  draw();
  return { node, complain, value: () => chosen };
}

export function languageField(asked: Asked, value: string): Field {
  const listed = writable.some(({ tag }) => tag === value);
  let select!: HTMLSelectElement;
  const otherId = freshId("language");
  const other = h("input", { ...UNKEPT, id: otherId, type: "text", dir: "auto", value: listed ? "" : value });
  const otherRow = h("div", { class: "sub" }, h("label", { for: otherId }, t("ask.language.code")), other);
  const { node, complain } = frame(asked, false, ({ id, describedBy }) => {
    select = h(
      "select",
      { id, autocomplete: "off", "aria-describedby": describedBy },
      h("option", { value: "" }, "—"),
      writable.map(({ tag, name }) => h("option", { value: tag, lang: tag, selected: tag === value }, name)),
      h("option", { value: "other", selected: value !== "" && !listed }, t("ask.language.other")),
    );
    const showOther = () => (otherRow.hidden = select.value !== "other");
    on(select, { change: showOther });
    showOther();
    return [select, otherRow];
  });
  return { node, complain, value: () => (select.value === "other" ? clean(other.value) : select.value) };
}

export function dateField(asked: Asked, value: string): Field {
  const parts = readDate(value);
  const small = (label: string, control: HTMLElement, id: string) =>
    h("div", { class: "part" }, h("label", { for: id }, label), control);
  const [yearId, monthId, dayId] = [freshId("year"), freshId("month"), freshId("day")];
  const digits = { ...UNKEPT, type: "text", inputmode: "numeric", dir: "ltr" };
  const year = h("input", { ...digits, id: yearId, maxlength: 4, size: 5, value: parts.year });
  const day = h("input", { ...digits, id: dayId, maxlength: 2, size: 3, value: parts.day });
  const month = h(
    "select",
    { id: monthId, autocomplete: "off" },
    h("option", { value: "" }, "—"),
    Array.from({ length: 12 }, (_, n) => String(n + 1)).map((n) =>
      h("option", { value: n, selected: n === parts.month }, monthName(Number(n))),
    ),
  );
  const box = (label: string, checked: boolean) => {
    const input = h("input", { type: "checkbox", checked, autocomplete: "off" });
    return { input, row: h("label", { class: "choice small" }, input, h("span", {}, label)) };
  };
  const about = box(t("ask.date.about"), parts.about);
  const since = box(t("ask.date.since"), parts.since);
  const { node, complain } = frame(asked, true, () => [
    h(
      "div",
      { class: "date" },
      small(t("ask.date.year"), year, yearId),
      small(t("ask.date.month"), month, monthId),
      small(t("ask.date.day"), day, dayId),
    ),
    h("p", { class: "help" }, t("ask.date.year.help")),
    about.row,
    since.row,
  ]);
  const read = (): DateParts => ({
    year: year.value,
    month: month.value,
    day: day.value,
    about: about.input.checked,
    since: since.input.checked,
  });
  return { node, complain, value: () => writeDate(read()) };
}

function monthName(month: number): string {
  const known = Intl.DateTimeFormat.supportedLocalesOf(language()).length > 0;
  if (!known) return formatNumber(month);
  // The months of the Common Era in every language: those are what is written down.
  const format = new Intl.DateTimeFormat(language(), { month: "long", timeZone: "UTC", calendar: "gregory" });
  const name = format.format(new Date(Date.UTC(2024, month - 1, 15)));
  return direction() === "rtl" ? name : `${formatNumber(month)} · ${name}`;
}
