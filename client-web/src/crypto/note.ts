import { type Bytes, concat, fromBase64, fromUtf8, same, utf8 } from "./bytes";
import { digest, digestOfText } from "./digest";
import type { PublicKey } from "./key";
import { hexadecimal } from "./lines";
import { Refused, malformed } from "./refused";

const MAX_LEN = 1_000_000;
const MAX_SIGNATURES = 100;

/** A signed note (docs/protocol.md, section 2) of which nothing was verified. */
export class UntrustedNote {
  private constructor(
    readonly text: string,
    readonly signatures: readonly { readonly name: string; readonly bytes: Bytes }[],
  ) {}

  static parse(bytes: Uint8Array): UntrustedNote {
    if (bytes.length > MAX_LEN) throw malformed(`a note has at most ${MAX_LEN} bytes`);
    if (bytes.some((byte) => byte < 0x20 && byte !== 0x0a)) throw malformed("a note has no control characters");
    const note = fromUtf8(bytes);
    const empty = note.lastIndexOf("\n\n");
    if (empty < 0 || !note.endsWith("\n") || empty + 2 >= note.length) throw malformed("a note without signatures");
    const lines = note.slice(empty + 2, -1).split("\n");
    if (lines.length > MAX_SIGNATURES) throw malformed(`a note has at most ${MAX_SIGNATURES} signatures`);
    const signatures = lines.map((line) => {
      const [, name, base64] = /^\u2014 ([^\s+]+) (\S+)$/u.exec(line) ?? [];
      if (name === undefined || base64 === undefined) throw malformed("a damaged signature line");
      const bytes = fromBase64(base64);
      if (bytes.length < 5) throw malformed("a damaged signature line");
      return { name, bytes };
    });
    return new UntrustedNote(note.slice(0, empty + 1), signatures);
  }

  /** SHA-256 of what is signed, as 64 hexadecimal digits. */
  digest(): string {
    return digestOfText(this.text);
  }

  instance(): string {
    return hexadecimal(this.text.split("\n")[1] ?? "", 32);
  }

  /** The body's own lines, after type and instance, which must be these. */
  body(type: string, instance: string): string {
    if (!this.text.startsWith(`${type}\n`)) throw malformed(`not a ${type}`);
    const start = `${type}\n${instance}\n`;
    if (!this.text.startsWith(start)) throw new Refused("signature", `a ${type} of another organization`);
    return this.text.slice(start.length);
  }

  /** Which of the trusted keys have signed. A line that claims one and does not verify spoils the note. */
  signers(trusted: readonly PublicKey[]): Set<PublicKey> {
    const message = utf8(this.text);
    const signed = new Set<PublicKey>();
    for (const { name, bytes } of this.signatures) {
      if (name !== "marram") continue;
      const id = bytes.subarray(0, 4);
      const claimed = trusted.filter((key) => !signed.has(key) && same(keyId(key), id));
      if (claimed.length === 0) continue;
      const key = claimed.find((key) => key.verifies(message, bytes.subarray(4)));
      if (key === undefined) throw new Refused("signature", "a signature of a trusted key is not valid");
      signed.add(key);
    }
    return signed;
  }

  /** The body, if at least `threshold` distinct trusted keys have signed. */
  verify(type: string, instance: string, trusted: readonly PublicKey[], threshold: number): string {
    const body = this.body(type, instance);
    const valid = this.signers(trusted).size;
    if (valid < threshold) throw new Refused("signature", `${type}: ${valid} of ${threshold} signatures`);
    return body;
  }
}

const keyId = (key: PublicKey): Bytes => digest(concat(utf8("marram\n"), Uint8Array.of(1), key.bytes)).subarray(0, 4);
