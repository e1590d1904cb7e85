import type { Codename } from "./codename";
import type { Manifest } from "./manifest";
import { toBase64, toHex, wipe } from "./bytes";

export const MAX_ATTACHMENTS = 99;
export const MAX_LEN = 1_048_576;

/** An attachment, measured. */
export interface Attachment {
  readonly blob: Blob;
  readonly sha256: Uint8Array;
}

/** What a report says around the incident. */
export interface Content {
  readonly continues: boolean;
  /** To the organization's own questions, by id. */
  readonly answers: Readonly<Record<string, string>>;
  readonly incident: unknown;
}

/** The text of report.json (docs/protocol.md, section 10.5). */
export function reportJson(
  manifest: Pick<Manifest, "instance" | "epoch" | "hash">,
  codename: Codename,
  content: Content,
  attachments: readonly { readonly sha256: Uint8Array; readonly size: number }[],
): string {
  const replyKey = codename.replyKey();
  const json = JSON.stringify({
    type: "marram/report/v1",
    instance: manifest.instance,
    epoch: manifest.epoch,
    manifest: manifest.hash,
    codename_key: toBase64(codename.publicKey()),
    reply_key: toBase64(replyKey),
    continues: content.continues,
    attachments: attachments.map(({ sha256, size }) => ({ sha256: toHex(sha256), size_bytes: size })),
    answers: content.answers,
    incident: content.incident,
  });
  wipe(replyKey);
  return json;
}
