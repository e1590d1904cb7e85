import { describe, expect, it } from "vitest";

import { inspect } from "../src/files/metadata";
import { sniff } from "../src/files/sniff";
import { photo, screenshot } from "./browser/samples.mjs";

const bytesOf = async (blob: Blob) => Buffer.from(await blob.arrayBuffer());
const blobOf = (bytes: Uint8Array) => new Blob([Uint8Array.from(bytes)]);

describe("what a picture says besides what it shows", () => {
  it("a photo's place, device, time, note and what stands behind its end are named", async () => {
    const { findings, mime } = (await inspect(blobOf(photo())))!;
    expect(mime).toBe("image/jpeg");
    expect(findings).toEqual([
      { kind: "place", value: "39.47000° N, 75.99000° E" },
      { kind: "device", value: "Nokia G42 5G" },
      { kind: "time", value: "2024:03:10 06:15:00" },
      { kind: "text", value: "sent by Aynur" },
      { kind: "other", value: "31 bytes" },
    ]);
  });

  it("the copy says none of it, keeps every byte of the picture, and stays upright", async () => {
    const { stripped } = (await inspect(blobOf(photo())))!;
    const copy = await bytesOf(stripped);
    for (const hidden of ["Nokia", "G42", "2024:03:10", "Aynur", "film"]) expect(copy.includes(hidden)).toBe(false);
    const original = photo();
    const picture = original.subarray(original.indexOf(Buffer.from("ffdb", "hex")), original.lastIndexOf(Buffer.from("ffd9", "hex")) + 2);
    expect(copy.includes(picture)).toBe(true);
    expect((await inspect(stripped))!.findings).toEqual([]);
    expect(copy.includes(Buffer.from("0112000300000001" + "0006", "hex"))).toBe(true);
  });

  it("a screenshot's author, time and texts are named, and its copy has none of them", async () => {
    const { findings, stripped } = (await inspect(blobOf(screenshot())))!;
    expect(findings).toEqual([
      { kind: "text", value: "Author: Tursun" },
      { kind: "time", value: "2024-03-10 06:15:00" },
      { kind: "text", value: "Place: Kashgar" },
      { kind: "other", value: "6 bytes" },
    ]);
    const copy = await bytesOf(stripped);
    for (const hidden of ["Tursun", "Kashgar", "tIME", "zTXt"]) expect(copy.includes(hidden)).toBe(false);
    for (const kept of ["IHDR", "IDAT", "IEND"]) expect(copy.includes(kept)).toBe(true);
    expect((await inspect(stripped))!.findings).toEqual([]);
  });

  it("of a file cut at any place nothing is said, or the truth, and nothing breaks", async () => {
    for (const picture of [photo(), screenshot()]) {
      for (let length = 0; length < picture.length; length++) await inspect(blobOf(picture.subarray(0, length)));
    }
  });

  it("a picture with any byte changed is read without an error", async () => {
    for (const picture of [photo(), screenshot()]) {
      for (let at = 0; at < Math.min(picture.length, 420); at++) {
        const changed = Buffer.from(picture);
        changed[at]! ^= 0xff;
        await inspect(blobOf(changed));
      }
    }
  });

  it("other files are not looked into, and their type is guessed", async () => {
    const guess = (bytes: string) => sniff(blobOf(Buffer.from(bytes, "latin1")));
    expect(await inspect(blobOf(Buffer.from("%PDF-1.7")))).toBeUndefined();
    expect(await guess("%PDF-1.7")).toBe("application/pdf");
    expect(await guess("....ftypM4A ")).toBe("audio/m4a");
    expect(await guess("plain words")).toBe("text/plain");
    expect(await guess("\x00\x01")).toBeUndefined();
    expect(await guess("\xff\xfe\xfd")).toBeUndefined();
  });
});
