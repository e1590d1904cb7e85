/** The dates of EDTF level 1 that this page writes and reads: year, month or day; about; since; from … to. */
const POINT = /^(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?[~?%]?$/;

type Span = readonly [first: number, last: number];

function span(written: string): Span | undefined {
  const match = POINT.exec(written);
  if (match === null) return undefined;
  const year = Number(match[1]);
  const month = match[2] === undefined ? undefined : Number(match[2]);
  const day = match[3] === undefined ? undefined : Number(match[3]);
  if (year < 1900 || year > 2199 || month === 0 || (month ?? 1) > 12 || day === 0) return undefined;
  const lastDay = new Date(Date.UTC(year, month ?? 12, 0)).getUTCDate();
  if ((day ?? 1) > lastDay) return undefined;
  return [year * 10_000 + (month ?? 1) * 100 + (day ?? 1), year * 10_000 + (month ?? 12) * 100 + (day ?? lastDay)];
}

/** Whether incident/src/date.rs would take it. Accepts less than that: no seasons, no X for what is unknown. */
export function isDate(written: string): boolean {
  const [start, end, more] = written.split("/");
  if (start === undefined || more !== undefined) return false;
  if (end === undefined) return span(start) !== undefined;
  const open = (side: string) => side === ".." || side === "";
  const [from, to] = [span(start), span(end)];
  if (open(start)) return to !== undefined;
  if (from === undefined) return false;
  return open(end) || (to !== undefined && from[0] <= to[1]);
}

export interface DateParts {
  readonly year: string;
  readonly month: string;
  readonly day: string;
  readonly about: boolean;
  readonly since: boolean;
}

/** The EDTF date of what was filled in; empty if nothing was. Digits of any script are taken. */
export function writeDate({ year, month, day, about, since }: DateParts): string {
  const digits = (text: string) => western(text.trim());
  const parts = [digits(year)];
  if (month !== "") parts.push(month.padStart(2, "0"));
  if (day.trim() !== "") parts.push(digits(day).padStart(2, "0"));
  if (parts.length === 1 && parts[0] === "") return "";
  // A day without a month is no date: let it be refused rather than guessed.
  if (day.trim() !== "" && month === "") return "?";
  return parts.join("-") + (about ? "~" : "") + (since ? "/.." : "");
}

/** Fills the parts in from a date that `writeDate` has written. */
export function readDate(written: string): DateParts {
  const match = /^(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?(~?)(\/\.\.)?$/.exec(written);
  return {
    year: match?.[1] ?? "",
    month: match?.[2] === undefined ? "" : String(Number(match[2])),
    day: match?.[3] === undefined ? "" : String(Number(match[3])),
    about: match?.[4] === "~",
    since: match?.[5] !== undefined,
  };
}

/** Decimal digits of any script as 0 to 9. */
const western = (text: string): string =>
  text.replace(/\p{Nd}/gu, (digit) => {
    // Unicode puts the ten digits of a script in a row, beginning with zero.
    let zero = digit.codePointAt(0)!;
    const value = zero;
    while (/\p{Nd}/u.test(String.fromCodePoint(zero - 1)) && value - zero < 9) zero--;
    return String(value - zero);
  });
