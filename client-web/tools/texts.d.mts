interface Language {
  language: string;
  direction: "ltr" | "rtl";
  reviewed: boolean;
}
export function gatherTexts(folders?: { asked?: string; own?: string }): {
  packed: { keys: string[]; languages: (Language & { texts: string[] })[] };
  fixed: { language: string; direction: "ltr" | "rtl"; text: (key: string) => string }[];
};
export function exchanged(languages: readonly (Language & { texts: readonly string[] })[]): (Language & { letters: string; texts: string })[];
