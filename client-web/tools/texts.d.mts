import type packed from "virtual:texts";

export function gatherTexts(folders?: { asked?: string; own?: string }): {
  packed: typeof packed;
  fixed: { language: string; direction: "ltr" | "rtl"; text: (key: string) => string }[];
};
