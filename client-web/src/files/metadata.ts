import { fromUtf8 } from "../crypto/bytes";

/** What a picture says besides what it shows. `kind` is one of the texts `files.says.*`. */
export interface Finding {
  readonly kind: "place" | "device" | "time" | "software" | "author" | "text" | "other";
  readonly value: string;
}

/** What was found in a picture, and a copy of it without any of that. */
export interface Inspected {
  readonly mime: string;
  readonly findings: readonly Finding[];
  readonly stripped: Blob;
}

/** Larger pictures are not looked into: a phone has not the memory. */
const MAX_LEN = 64 << 20;

/** Looks into a JPEG or PNG, by its first bytes; undefined for every other kind of file, and for damaged ones. */
export async function inspect(file: Blob): Promise<Inspected | undefined> {
  if (file.size > MAX_LEN) return undefined;
  const bytes = new Uint8Array(await file.arrayBuffer());
  try {
    if (startsWith(bytes, [0xff, 0xd8, 0xff])) return inspectJpeg(bytes);
    if (startsWith(bytes, PNG)) return inspectPng(bytes);
  } catch (error) {
    // Reading past the end: a damaged file is sent as it is, or not at all.
    if (!(error instanceof RangeError)) throw error;
  }
  return undefined;
}

const startsWith = (bytes: Uint8Array, start: readonly number[]) => start.every((byte, at) => bytes[at] === byte);
const latin1 = (bytes: Uint8Array) => String.fromCharCode(...bytes.subarray(0, 2000));

function readable(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  const text = bytes.subarray(0, end < 0 ? bytes.length : end);
  try {
    return fromUtf8(text).trim().slice(0, 300);
  } catch {
    return latin1(text).trim().slice(0, 300);
  }
}

// ── JPEG: segments (ITU-T T.81, annex B) ────────────────────────────────────────────────────────────────────────────

function inspectJpeg(bytes: Uint8Array): Inspected | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const findings: Finding[] = [];
  const kept: Uint8Array[] = [];
  let orientation = 1;
  let hidden = 0;
  let at = 2;
  for (;;) {
    if (view.getUint8(at) !== 0xff) return undefined;
    const marker = view.getUint8(at + 1);
    if (marker === 0xff) {
      at++;
      continue;
    }
    if (marker === 0xd9) {
      kept.push(bytes.subarray(at, at + 2));
      at += 2;
      break;
    }
    const end = at + 2 + view.getUint16(at + 2);
    if (end > bytes.length || end < at + 4) throw new RangeError("a segment behind the end");
    const segment = bytes.subarray(at, end);
    const content = segment.subarray(4);
    const name = latin1(content.subarray(0, 32));
    if (marker === 0xe1 && name.startsWith("Exif\0\0")) {
      const exif = readExif(content.subarray(6));
      findings.push(...exif.findings);
      orientation = exif.orientation;
    } else if (marker === 0xfe) {
      findings.push({ kind: "text", value: readable(content) });
    } else if (marker === 0xee && name.startsWith("Adobe")) {
      kept.push(segment); // How the colours are to be read.
    } else if (marker >= 0xe1 && marker <= 0xef) {
      hidden += content.length;
    } else if (marker !== 0xe0) {
      kept.push(segment);
    }
    at = end;
    if (marker === 0xda) {
      // The picture itself, up to the next marker that is neither a stuffed byte nor a restart.
      const start = at;
      for (;;) {
        const found = bytes.indexOf(0xff, at);
        if (found < 0 || found + 1 >= bytes.length) throw new RangeError("a picture without an end");
        const next = bytes[found + 1]!;
        at = found;
        if (next !== 0 && (next < 0xd0 || next > 0xd7)) break;
        at += 2;
      }
      kept.push(bytes.subarray(start, at));
    }
  }
  hidden += bytes.length - at; // Behind the end: a second picture, a short film.
  if (hidden > 0) findings.push({ kind: "other", value: `${hidden} bytes` });
  const start: Uint8Array[] = [Uint8Array.of(0xff, 0xd8), JFIF];
  // Without this a picture that was taken upright would lie on its side.
  if (orientation !== 1) start.push(orientationOnly(orientation));
  return { mime: "image/jpeg", findings, stripped: toBlob([...start, ...kept], "image/jpeg") };
}

/** JFIF 1.02, no units, no thumbnail. */
const JFIF = Uint8Array.of(0xff, 0xe0, 0, 16, 0x4a, 0x46, 0x49, 0x46, 0, 1, 2, 0, 0, 1, 0, 1, 0, 0);

const orientationOnly = (orientation: number): Uint8Array =>
  Uint8Array.of(
    ...[0xff, 0xe1, 0, 34, 0x45, 0x78, 0x69, 0x66, 0, 0],
    ...[0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0],
  );

const toBlob = (parts: Uint8Array[], type: string): Blob => new Blob(parts as Uint8Array<ArrayBuffer>[], { type });

// ── Exif: a TIFF file of its own (CIPA DC-008) ──────────────────────────────────────────────────────────────────────

const TEXTS: ReadonlyMap<number, Finding["kind"]> = new Map([
  [0x010e, "text"], // ImageDescription
  [0x0131, "software"],
  [0x013b, "author"], // Artist
  [0x8298, "author"], // Copyright
  [0xa430, "author"], // CameraOwnerName
  [0xa431, "device"], // BodySerialNumber
]);

function readExif(tiff: Uint8Array): { findings: Finding[]; orientation: number } {
  const findings: Finding[] = [];
  let orientation = 1;
  try {
    const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
    const little = view.getUint16(0) === 0x4949;
    const u16 = (at: number) => view.getUint16(at, little);
    const u32 = (at: number) => view.getUint32(at, little);
    const fields = (at: number) => {
      const found = new Map<number, { at: number; count: number }>();
      const many = Math.min(u16(at), 500);
      for (let n = 0; n < many; n++) {
        const entry = at + 2 + 12 * n;
        const [type, count] = [u16(entry + 2), u32(entry + 4)];
        const size = ([0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8][type] ?? 1) * count;
        found.set(u16(entry), { at: size > 4 ? u32(entry + 8) : entry + 8, count });
      }
      return found;
    };
    const text = (field: { at: number; count: number } | undefined) =>
      field === undefined ? "" : readable(tiff.subarray(field.at, field.at + Math.min(field.count, 2000)));
    const first = fields(u32(4));
    const exifAt = first.get(0x8769);
    const exif = exifAt === undefined ? new Map() : fields(u32(exifAt.at));
    const gpsAt = first.get(0x8825);
    const gps = gpsAt === undefined ? undefined : fields(u32(gpsAt.at));

    orientation = first.has(0x0112) ? Math.min(Math.max(u16(first.get(0x0112)!.at), 1), 8) : 1;
    if (gps !== undefined) {
      const degrees = (field: { at: number } | undefined, side: string) => {
        if (field === undefined) return undefined;
        const part = (n: number) => u32(field.at + 8 * n) / (u32(field.at + 8 * n + 4) || 1);
        return `${(part(0) + part(1) / 60 + part(2) / 3600).toFixed(5)}° ${side}`;
      };
      const place = [degrees(gps.get(2), text(gps.get(1))), degrees(gps.get(4), text(gps.get(3)))].filter(Boolean);
      if (gps.size > 1) findings.push({ kind: "place", value: place.join(", ") || `${gps.size} fields` });
    }
    const device = [text(first.get(0x010f)), text(first.get(0x0110))].filter(Boolean).join(" ");
    if (device) findings.push({ kind: "device", value: device });
    const time = text(exif.get(0x9003)) || text(exif.get(0x9004)) || text(first.get(0x0132));
    if (time) findings.push({ kind: "time", value: time });
    for (const [tag, kind] of TEXTS) {
      const value = text(first.get(tag) ?? exif.get(tag));
      if (value) findings.push({ kind, value });
    }
    // The rest: settings of the camera, a small copy of the picture.
    if (findings.length === 0 && (first.size > 1 || !first.has(0x0112))) {
      findings.push({ kind: "other", value: `${tiff.length} bytes` });
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    findings.push({ kind: "other", value: `${tiff.length} bytes` });
  }
  return { findings, orientation };
}

// ── PNG: chunks (W3C PNG, third edition) ────────────────────────────────────────────────────────────────────────────

const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** What the picture needs to look as it does. */
const KEPT = ["IHDR", "PLTE", "IDAT", "IEND", "tRNS", "gAMA", "cHRM", "sRGB", "cICP", "sBIT", "bKGD", "acTL", "fcTL", "fdAT"];

function inspectPng(bytes: Uint8Array): Inspected | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const findings: Finding[] = [];
  const kept: Uint8Array[] = [bytes.subarray(0, 8)];
  let hidden = 0;
  let at = 8;
  for (let type = ""; type !== "IEND"; ) {
    const length = view.getUint32(at);
    const end = at + 12 + length;
    if (end > bytes.length) throw new RangeError("a chunk behind the end");
    type = latin1(bytes.subarray(at + 4, at + 8));
    const content = bytes.subarray(at + 8, at + 8 + length);
    if (KEPT.includes(type)) {
      kept.push(bytes.subarray(at, end));
    } else if (type === "eXIf") {
      findings.push(...readExif(content).findings);
    } else if (type === "tEXt" || (type === "iTXt" && content[content.indexOf(0) + 1] === 0)) {
      const key = readable(content);
      // iTXt has two flags, a language and a translated key before the text.
      let from = content.indexOf(0) + 1;
      if (type === "iTXt") {
        from = content.indexOf(0, from + 2) + 1;
        from = content.indexOf(0, from) + 1;
      }
      findings.push({ kind: "text", value: `${key}: ${readable(content.subarray(from))}` });
    } else if (type === "tIME" && length === 7) {
      const two = (n: number) => String(content[n]).padStart(2, "0");
      const day = `${view.getUint16(at + 8)}-${two(2)}-${two(3)}`;
      findings.push({ kind: "time", value: `${day} ${two(4)}:${two(5)}:${two(6)}` });
    } else if (type !== "pHYs") {
      hidden += length;
    }
    at = end;
  }
  hidden += bytes.length - at;
  if (hidden > 0) findings.push({ kind: "other", value: `${hidden} bytes` });
  return { mime: "image/png", findings, stripped: toBlob(kept, "image/png") };
}
