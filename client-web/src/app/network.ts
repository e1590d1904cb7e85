import { type Bytes, concat, fromUtf8 } from "../crypto/bytes";
import { MAX_LEN as MAX_BOARD } from "../crypto/board";
import type { Link } from "../crypto/fingerprint";
import { verifyReceipt } from "../crypto/receipt";
import { Refused } from "../crypto/refused";
import type { Sealed } from "../crypto/seal";
import type { Day } from "../crypto/day";
import { MAX_LEN, parseOrganization, today, verifyOrganization } from "./organization";
import type { Organization } from "./session";

const PAUSES_MS = [1_000, 4_000];
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The server said no, and why. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    /** The name behind `urn:marram:problem:`. */
    readonly type: string,
    detail: string,
  ) {
    super(detail);
    this.name = "Problem";
  }
}

/** Fetches the charter chain and the manifest of today in one answer, and verifies them up to the fingerprint. */
export async function findOrganization(link: Link): Promise<Organization> {
  try {
    return verifyOrganization(parseOrganization(await get(`${link.origin}/v1/organization`, MAX_LEN)), link.fingerprint, link);
  } catch (error) {
    if (error instanceof Problem && error.type === "no-open-manifest") throw new Refused("no_manifest", error.message);
    throw error;
  }
}

/** The board of a shard; undefined if none hangs there. */
export async function fetchBoard(link: Link, shard: string): Promise<Bytes | undefined> {
  try {
    return await get(`${link.origin}/v1/board/${shard}`, MAX_BOARD);
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return undefined;
    throw error;
  }
}

async function get(url: string, limit: number): Promise<Bytes> {
  return retried(async () => {
    const response = await fetch(url, {
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      referrerPolicy: "no-referrer",
    });
    const body = await read(response, response.ok ? limit : 4096);
    if (!response.ok) throw problem(response.status, body);
    return body;
  });
}

async function read(response: Response, limit: number): Promise<Bytes> {
  const reader = response.body?.getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  while (reader !== undefined) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > limit) {
      await reader.cancel();
      throw new Refused("format", `the answer has more than ${limit} bytes`);
    }
    parts.push(value);
  }
  return concat(...parts);
}

function problem(status: number, body: Uint8Array): Problem {
  try {
    const { type, detail, title } = JSON.parse(fromUtf8(body)) as Record<string, unknown>;
    const name = String(type).replace("urn:marram:problem:", "");
    return new Problem(status, name, `${typeof detail === "string" ? detail : String(title)} (${status})`);
  } catch {
    return new Problem(status, "", `HTTP ${status}`);
  }
}

/** Again, after a while, if the connection broke or the server was busy. */
async function retried<T>(attempt: () => Promise<T>): Promise<T> {
  for (const ms of PAUSES_MS) {
    try {
      return await attempt();
    } catch (error) {
      const passing =
        error instanceof TypeError ||
        (error instanceof Problem &&
          (error.status === 408 || (error.status >= 500 && error.type !== "no-open-manifest")));
      if (!passing) throw error;
      await pause(ms);
    }
  }
  return attempt();
}

/** Sends a sealed report, again if the connection breaks, and verifies the receipt. Gives the day on it. */
export async function send(
  link: Link,
  organization: Organization,
  sealed: Sealed,
  progress: (sent: number, of: number) => void,
): Promise<Day> {
  const url = `${link.origin}/v1/reports?epoch=${sealed.epoch}`;
  const receipt = await retried(() => post(url, sealed.blob, progress));
  const { manifest } = organization;
  return verifyReceipt(receipt, manifest.instance, manifest.log, sealed, today()).day;
}

/** XMLHttpRequest, since fetch tells nothing of how far a body has gone. */
const post = (url: string, body: Blob, progress: (sent: number, of: number) => void): Promise<Bytes> =>
  new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.responseType = "arraybuffer";
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = ({ loaded, total }) => progress(loaded, total);
    request.onerror = request.onabort = () => reject(new TypeError("the connection broke"));
    request.onload = () => {
      const bytes = new Uint8Array((request.response as ArrayBuffer | null) ?? new ArrayBuffer(0));
      // It follows redirects by itself, and a link must not: what came from elsewhere is no receipt.
      if (request.responseURL !== url) reject(new Refused("signature", "the server sent the report elsewhere"));
      else if (request.status === 201) resolve(bytes);
      else reject(problem(request.status, bytes.subarray(0, 4096)));
    };
    request.send(body);
  });
