import { malformed } from "./refused";

/** JSON without a key that stands twice in one object, at any depth and however it is escaped. */
export function strictJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw malformed("not JSON");
  }
  // What follows knows that the text is JSON, so strings and braces are all there is to look at.
  const objects: (Set<string> | undefined)[] = [];
  let key = false;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]/gs)) {
    if (token === "{") objects.push(new Set());
    else if (token === "[") objects.push(undefined);
    else if (token === "}" || token === "]") objects.pop();
    const keys = objects.at(-1);
    if (token === "{" || token === ",") key = keys !== undefined;
    else if (token.startsWith('"') && key && keys !== undefined) {
      const name = JSON.parse(token) as string;
      if (keys.has(name)) throw malformed(`the key ${token} stands twice`);
      keys.add(name);
      key = false;
    } else key = false;
    if (objects.length > 128) throw malformed("JSON is nested too deep");
  }
  return value;
}

/** The fields of an object that has exactly these, of which the last `optional` may be missing. */
export function fields(value: unknown, required: readonly string[], optional: readonly string[] = []): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed("not a JSON object");
  const names = Object.keys(value);
  const unknown = names.find((name) => !required.includes(name) && !optional.includes(name));
  if (unknown !== undefined) throw malformed(`the field \`${unknown}\` is not known`);
  const missing = required.find((name) => !names.includes(name));
  if (missing !== undefined) throw malformed(`the field \`${missing}\` is missing`);
  return value as Record<string, unknown>;
}
