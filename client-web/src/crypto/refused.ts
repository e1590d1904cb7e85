/** Which of the page's sentences explains a refusal (`failed.*` of the texts). */
export type Reason =
  | "network"
  | "no_manifest"
  | "dates"
  | "signature"
  | "old_keys"
  | "not_post_quantum"
  | "format";

/** Something came that must not be believed. The message is English and for whoever helps; the reason is for the reader. */
export class Refused extends Error {
  constructor(
    readonly reason: Reason,
    message: string,
  ) {
    super(message);
    this.name = "Refused";
  }
}

/** A refusal of something that has not the form which the protocol gives it. */
export const malformed = (message: string): Refused => new Refused("format", message);
