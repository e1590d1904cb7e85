import { malformed } from "./refused";

/** A UTC day: days since 1970-01-01. */
export type Day = number;
/** A week: weeks since 1970-01-05. */
export type Epoch = number;

export const MAX_EPOCH: Epoch = 418_983;
const MS = 86_400_000;
const MAX_DAY: Day = Date.UTC(9999, 11, 31) / MS;

export const opens = (epoch: Epoch): Day => 7 * epoch + 4;
export const closes = (epoch: Epoch): Day => 7 * epoch + 11;

/** The day on which a moment (milliseconds since 1970) falls. */
export const dayOf = (ms: number): Day => Math.floor(ms / MS);

export const formatDay = (day: Day): string => new Date(day * MS).toISOString().slice(0, 10);

export const asDate = (day: Day): Date => new Date(day * MS);

export function parseDay(text: string): Day {
  if (/^\d{4}-\d{2}-\d{2}$/.test(text)) {
    const day = Date.parse(`${text}T00:00:00Z`) / MS;
    if (Number.isInteger(day) && day >= 0 && day <= MAX_DAY && formatDay(day) === text) return day;
  }
  throw malformed(`${text} is not a day`);
}
