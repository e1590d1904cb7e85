import { fromHex } from "./bytes";

/** Where an organization is, and which: what it publishes as `https://host/#<fingerprint>`. */
export interface Link {
  /** Scheme and host, without a slash at the end. */
  readonly origin: string;
  readonly fingerprint: string;
}

const LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
const HOST = new RegExp(`^(?=.{1,253}$)${LABEL}(?:\\.${LABEL})*$`);
const ONION = /(?:^|\.)[a-z2-7]{56}\.onion$/;

/** Reads a link in the form that the protocol gives it (section 4). `undefined` if it is none. */
export function parseLink(text: string): Link | undefined {
  const match = /^(https?):\/\/([^/:#?@\\\s]+)(?::([0-9]{1,5}))?\/?#([0-9a-f]{64})$/i.exec(text.trim());
  if (match === null) return undefined;
  const scheme = match[1]!.toLowerCase();
  const host = match[2]!.toLowerCase();
  const fingerprint = match[4]!;
  if (!HOST.test(host) || !/^[0-9a-f]+$/.test(fingerprint)) return undefined;
  const port = match[3];
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) return undefined;
  if (scheme === "http" && !ONION.test(host) && host !== "127.0.0.1" && host !== "localhost") return undefined;
  return { origin: `${scheme}://${host}${port === undefined ? "" : `:${Number(port)}`}`, fingerprint };
}

/** 32 bytes, given as 64 hexadecimal digits, as twelve groups of five decimal digits. */
export function digits(digest: string): readonly string[] {
  const value = BigInt(`0x${[...fromHex(digest, 32)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`);
  const decimal = (value % 10n ** 60n).toString().padStart(60, "0");
  return Array.from({ length: 12 }, (_, group) => decimal.slice(group * 5, group * 5 + 5));
}
