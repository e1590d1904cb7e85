import { fromBase64, utf8 } from "./bytes";
import { malformed } from "./refused";

/** Reads the lines of a body, `name value`, in one fixed order. */
export class Lines {
  #lines: string[];
  #at = 0;

  /** `body` is empty or ends with a newline. */
  constructor(body: string) {
    this.#lines = body.split("\n");
    if (this.#lines.pop() !== "") throw malformed("the last line has no end");
  }

  /** The next line's value; the line must have this name. */
  value(name: string): string {
    const line = this.#lines[this.#at];
    if (line === undefined || !line.startsWith(`${name} `)) {
      throw malformed(`expected \`${name}\`, found \`${(line ?? "the end").slice(0, 40)}\``);
    }
    this.#at++;
    return line.slice(name.length + 1);
  }

  /** The values of all lines of this name that come next. */
  values(name: string, least: number, most: number): string[] {
    const values: string[] = [];
    while (this.#lines[this.#at]?.startsWith(`${name} `)) values.push(this.value(name));
    if (values.length < least || values.length > most) {
      throw malformed(`${least} to ${most} lines \`${name}\` are allowed, there are ${values.length}`);
    }
    return values;
  }

  end(): void {
    const line = this.#lines[this.#at];
    if (line !== undefined) throw malformed(`\`${line.slice(0, 40)}\` stands after the last line there may be`);
  }
}

/** A number without sign or leading zero, within a range. */
export function number(text: string, least: number, most: number): number {
  const value = /^(0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : -1;
  if (value < least || value > most) throw malformed(`\`${text.slice(0, 40)}\` is not a number from ${least} to ${most}`);
  return value;
}

/** 1 to 1,000 bytes without control characters, and without white space at an end. */
export function text(value: string): string {
  const length = utf8(value).length;
  if (length < 1 || length > 1000 || /\p{Cc}|^\p{White_Space}|\p{White_Space}$/u.test(value)) {
    throw malformed("not a text of 1 to 1,000 bytes without control characters or space at an end");
  }
  return value;
}

export function hexadecimal(value: string, digits: number): string {
  if (value.length !== digits || !/^[0-9a-f]*$/.test(value)) throw malformed(`not ${digits} hexadecimal digits`);
  return value;
}

export function locale(value: string): string {
  if (value.length > 35 || !/^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$/.test(value)) throw malformed("not a locale");
  return value;
}

export function distinct<T>(values: readonly T[], what: string): readonly T[] {
  if (new Set(values).size !== values.length) throw malformed(`${what} stands twice`);
  return values;
}

/** 44 characters of base64: 32 bytes. */
export function bytes32(value: string): Uint8Array<ArrayBuffer> {
  const bytes = fromBase64(value);
  if (bytes.length !== 32) throw malformed("not 32 bytes in base64");
  return bytes;
}
