/** Every language's texts, packed by the build (tools/texts.mjs): the keys once, and each language's texts in their order. */
declare module "virtual:texts" {
  interface Packed {
    readonly language: string;
    readonly direction: "ltr" | "rtl";
    readonly reviewed: boolean;
    /** Empty is what this language lacks: another's plural forms. */
    readonly texts: readonly string[];
  }
  const packed: { readonly keys: readonly string[]; readonly languages: readonly Packed[] };
  export default packed;
}
