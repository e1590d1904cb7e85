/** Every language's texts, packed by the build (tools/texts.mjs): the keys once, and each language's texts in their order. */
declare module "virtual:texts" {
  interface Packed {
    readonly language: string;
    readonly direction: "ltr" | "rtl";
    readonly reviewed: boolean;
    /** Pairs of signs that stand for each other in `texts`. */
    readonly letters: string;
    /** A line for each key. Empty is what this language lacks: another's plural forms. */
    readonly texts: string;
  }
  const packed: { readonly keys: string; readonly languages: readonly Packed[] };
  export default packed;
}
