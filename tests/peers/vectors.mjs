// The age test kit's vectors for hybrid recipients, as JSON lines {name, expect, payload, identities, file}.
import { inflateSync } from "node:zlib";
import { armor } from "age-encryption";
import * as vectors from "cctv-age";

for (const [name, bytes] of Object.entries(vectors.default ?? vectors)) {
  const vector = Buffer.from(bytes);
  const end = vector.indexOf("\n\n");
  const fields = vector.subarray(0, end).toString().split("\n").map((line) => line.split(": "));
  const all = (key) => fields.filter(([name]) => name === key).map(([, value]) => value);
  const identities = all("identity");
  if (!identities.some((identity) => identity.startsWith("AGE-SECRET-KEY-PQ-1"))) continue;
  let file = vector.subarray(end + 2);
  if (all("compressed")[0] === "zlib") file = inflateSync(file);
  if (all("armored")[0] === "yes") file = Buffer.from(armor.decode(file.toString()));
  console.log(JSON.stringify({
    name,
    expect: all("expect")[0],
    payload: all("payload")[0] ?? null,
    identities,
    file: file.toString("base64"),
  }));
}
