// Pictures with something hidden in them, made byte by byte.
import { crc32, deflateSync } from "node:zlib";

const u16 = (value) => Buffer.from([value >> 8, value & 255]);
const u32 = (value) => Buffer.from([value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]);

/** The smallest of JPEG pictures: one grey pixel. */
const PIXEL = Buffer.from(
  "ffdb004300080606070605080707070909080a0c140d0c0b0b0c1912130f141d1a1f1e1d1a1c1c20242e2720222c231c1c2837292c30313434341f27393d38323c2e333432" +
    "ffc0000b080001000101011100" +
    "ffc4001f0000010501010101010100000000000000000102030405060708090a0b" +
    "ffc400b5100002010303020403050504040000017d01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa" +
    "ffda0008010100003f00fbd0ffd9",
  "hex",
);

/** A photo that says where (Kashgar), with what (a phone), when and which way up it was taken. */
export function photo() {
  const data = [];
  let behind = 8 + (2 + 12 * 5 + 4) + (2 + 12 + 4) + (2 + 12 * 4 + 4);
  const put = (bytes) => {
    const at = behind;
    data.push(bytes);
    behind += bytes.length;
    return at;
  };
  const entry = (tag, type, count, value) => Buffer.concat([u16(tag), u16(type), u32(count), Buffer.isBuffer(value) ? value : u32(value)]);
  const text = (tag, value) => {
    const bytes = Buffer.from(`${value}\0`);
    return entry(tag, 2, bytes.length, bytes.length <= 4 ? Buffer.concat([bytes, Buffer.alloc(4 - bytes.length)]) : put(bytes));
  };
  const degrees = (tag, d, m, s) => entry(tag, 5, 3, put(Buffer.concat([d, 1, m, 1, s, 100].map(u32))));
  const ifd = (entries) => Buffer.concat([u16(entries.length), ...entries, u32(0)]);
  const exifAt = 8 + 2 + 12 * 5 + 4;
  const gpsAt = exifAt + 2 + 12 + 4;
  const first = ifd([
    text(0x010f, "Nokia"),
    text(0x0110, "G42 5G"),
    entry(0x0112, 3, 1, Buffer.concat([u16(6), u16(0)])),
    entry(0x8769, 4, 1, exifAt),
    entry(0x8825, 4, 1, gpsAt),
  ]);
  const exif = ifd([text(0x9003, "2024:03:10 06:15:00")]);
  const gps = ifd([text(1, "N"), degrees(2, 39, 28, 1200), text(3, "E"), degrees(4, 75, 59, 2400)]);
  const tiff = Buffer.concat([Buffer.from("MM\0*"), u32(8), first, exif, gps, ...data]);
  const app1 = Buffer.concat([Buffer.from("Exif\0\0"), tiff]);
  const comment = Buffer.from("sent by Aynur");
  return Buffer.concat([
    Buffer.from("ffd8", "hex"),
    Buffer.from("ffe1", "hex"), u16(app1.length + 2), app1,
    Buffer.from("fffe", "hex"), u16(comment.length + 2), comment,
    PIXEL,
    Buffer.from("a short film behind the picture"),
  ]);
}

/** A screenshot with an author and a time in it. */
export function screenshot() {
  const chunk = (type, content) => {
    const body = Buffer.concat([Buffer.from(type), content]);
    return Buffer.concat([u32(content.length), body, u32(crc32(body))]);
  };
  return Buffer.concat([
    Buffer.from("89504e470d0a1a0a", "hex"),
    chunk("IHDR", Buffer.concat([u32(1), u32(1), Buffer.from([8, 0, 0, 0, 0])])),
    chunk("tEXt", Buffer.from("Author\0Tursun")),
    chunk("tIME", Buffer.from([0x07, 0xe8, 3, 10, 6, 15, 0])),
    chunk("iTXt", Buffer.from("Place\0\0\0\0\0Kashgar")),
    chunk("zTXt", Buffer.from("hidden")),
    chunk("IDAT", deflateSync(Buffer.from([0, 128]))),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}
