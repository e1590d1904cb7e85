
export function gatherTexts(folders?: { asked?: string; own?: string }): {
  packed: { keys: string[]; languages: { language: string; direction: "ltr" | "rtl"; reviewed: boolean; texts: string[] }[] };
  fixed: { language: string; direction: "ltr" | "rtl"; text: (key: string) => string }[];
};
export function exchanged(language: string, texts: readonly string[]): { letters: string; texts: string };
