import codesFile from "../../../incident/data/codes.json";
import countriesFile from "../../../incident/data/countries.json";
import questionsFile from "../../../incident/data/questions.json";

/** How a question is asked: the same words as in incident/src/catalogue.rs. */
export type Input =
  | "notice"
  | "text"
  | "long_text"
  | "yes_no"
  | "choice"
  | "multi_choice"
  | "date"
  | "country"
  | "countries"
  | "language"
  | "person"
  | "earlier_act"
  | "gate"
  | "files";

export interface Condition {
  readonly question: string;
  readonly is: readonly string[];
}

export interface Question {
  readonly id: string;
  readonly input: Input;
  readonly path?: string;
  readonly codes?: string;
  readonly required?: boolean;
  readonly required_if?: Condition;
  readonly show_if?: Condition;
  readonly most?: number;
  readonly items?: readonly Question[];
}

export interface Section {
  readonly id: string;
  readonly items: readonly Question[];
}

export const sections = questionsFile.sections as readonly Section[];

const byId = new Map<string, Question>();
const gather = (items: readonly Question[]): void => {
  for (const item of items) {
    byId.set(item.id, item);
    gather(item.items ?? []);
  }
};
for (const section of sections) gather(section.items);

export const question = (id: string): Question | undefined => byId.get(id);

const lists = new Map(codesFile.lists.map((list) => [list.id, list.codes.map(({ code }) => code)]));
export const codes = (list: string): readonly string[] => lists.get(list) ?? [];

/** ISO 3166-1 alpha-2 codes. The build leaves the English names out: browsers know them. */
export const countries: readonly string[] = (countriesFile as unknown as string).split(" ");
