/** A file's type by its first bytes, as the command line guesses it: for the caseworker's eye, and never trusted. */
export async function sniff(file: Blob): Promise<string | undefined> {
  const bytes = new Uint8Array(await file.slice(0, 8192).arrayBuffer());
  const start = String.fromCharCode(...bytes.subarray(0, 16));
  for (const [mime, at, signature] of SIGNATURES) if (start.startsWith(signature, at)) return mime;
  try {
    // A character that the end of what was read cuts in two is no fault.
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
    return bytes.length > 0 && !bytes.includes(0) ? "text/plain" : undefined;
  } catch {
    return undefined;
  }
}

const SIGNATURES: readonly (readonly [mime: string, at: number, signature: string])[] = [
  ["image/jpeg", 0, "\xff\xd8\xff"],
  ["image/png", 0, "\x89PNG"],
  ["image/gif", 0, "GIF8"],
  ["image/webp", 8, "WEBP"],
  ["image/heif", 4, "ftypheic"],
  ["image/heif", 4, "ftypmif1"],
  ["application/pdf", 0, "%PDF"],
  ["application/zip", 0, "PK\x03\x04"],
  ["video/quicktime", 4, "ftypqt"],
  ["audio/m4a", 4, "ftypM4A"],
  ["video/mp4", 4, "ftyp"],
  ["video/webm", 0, "\x1aE\xdf\xa3"],
  ["audio/ogg", 0, "OggS"],
  ["audio/amr", 0, "#!AMR"],
  ["audio/x-wav", 8, "WAVE"],
  ["audio/mpeg", 0, "ID3"],
  ["audio/mpeg", 0, "\xff\xfb"],
];
