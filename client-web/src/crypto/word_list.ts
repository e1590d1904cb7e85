/** An accent follows its letter and takes two bytes. Packed, it is a sign of ASCII. */
export const ACCENTS = "/'";

/**
 * The words of a list that the build packed (vite.config.ts): for each word a digit, how many letters it begins with of the
 * word before, and the rest of it. `accents` are the list's, in the order of their signs.
 */
export function unpacked(packed: string, accents: string): string[] {
  const parts = packed.replace(/[/']/g, (sign) => accents[ACCENTS.indexOf(sign)] ?? sign).match(/\d\D*/g) ?? [];
  let before = "";
  return parts.map((part) => (before = before.slice(0, Number(part[0])) + part.slice(1)));
}
