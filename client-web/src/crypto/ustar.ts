import { type Bytes, utf8 } from "./bytes";

const BLOCK = 512;
const MAX_SIZE = 8 ** 11 - 1;

/** The one header for a path and a size (docs/protocol.md, section 10.4). */
export function entryHeader(path: string, size: number): Bytes {
  if (!/^[\x21-\x7e]{1,100}$/.test(path) || size > MAX_SIZE) throw new Error("no entry has this path or size");
  const header = new Uint8Array(BLOCK);
  const put = (at: number, text: string) => header.set(utf8(text), at);
  const octal = (at: number, digits: number, value: number) => put(at, value.toString(8).padStart(digits, "0"));
  put(0, path);
  octal(100, 7, 0o600);
  octal(108, 7, 0);
  octal(116, 7, 0);
  octal(124, 11, size);
  octal(136, 11, 0);
  put(148, "        ");
  put(156, "0");
  put(257, "ustar\x0000");
  const sum = header.reduce((sum, byte) => sum + byte, 0);
  octal(148, 7, sum);
  header[155] = 0;
  return header;
}

/** How many zeros follow contents of this size. */
export const padding = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;

/** The length of an archive of entries with these sizes, its end included. */
export const archiveLength = (sizes: readonly number[]): number =>
  sizes.reduce((length, size) => length + BLOCK + size + padding(size), 2 * BLOCK);
