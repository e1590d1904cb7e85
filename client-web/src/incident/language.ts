/** Whether incident/src/language.rs would take it: a BCP 47 tag without extensions, variants of 5 to 8 characters. */
export function isLanguage(tag: string): boolean {
  const shape = /^[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?(-([A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*$/;
  return tag.length <= 35 && tag.toLowerCase() !== "und" && shape.test(tag);
}
