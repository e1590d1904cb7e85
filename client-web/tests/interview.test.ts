import { describe, expect, it } from "vitest";

import { isDate, readDate, writeDate } from "../src/incident/date";
import { type Answer, Interview, type Prompt } from "../src/incident/interview";
import { isLanguage } from "../src/incident/language";

const one = (text: string): Answer => ({ kind: "one", text });
const many = (...codes: string[]): Answer => ({ kind: "many", codes });
const yes: Answer = { kind: "yes_no", yes: true };
const no: Answer = { kind: "yes_no", yes: false };

const REQUIRED: Record<string, Answer> = {
  "reporter.role": one("relative"),
  narrative: one("They came at night."),
  "consent.store": yes,
};

/** Skips until `key` is asked; says what is required to get there. */
function goTo(interview: Interview, key: string): Prompt {
  for (let n = 0; n < 500; n++) {
    const prompt = interview.next();
    if (prompt === undefined) throw new Error(`${key} is never asked`);
    if (prompt.key === key) return prompt;
    expect(interview.answer(prompt, REQUIRED[prompt.key] ?? { kind: "skipped" })).toBeUndefined();
  }
  throw new Error("no end");
}

function answer(interview: Interview, key: string, said: Answer): void {
  expect(interview.answer(goTo(interview, key), said), key).toBeUndefined();
}

function finish(interview: Interview): Record<string, unknown> {
  for (let prompt = interview.next(); prompt !== undefined; prompt = interview.next()) {
    expect(interview.answer(prompt, REQUIRED[prompt.key] ?? { kind: "skipped" })).toBeUndefined();
  }
  return interview.toIncident([]);
}

describe("interview", () => {
  it("whoever skips everything but three answers has made a report", () => {
    expect(finish(new Interview())).toEqual({
      schema: "marram/incident/v1",
      reporter: { role: "relative" },
      narrative: "They came at night.",
      consent: { store: true },
    });
  });

  it("what was answered stands in the incident, as the command line would write it", () => {
    const interview = new Interview();
    for (const [key, said] of [
      ["safety.harm", one("yes")],
      ["safety.know", one("unknown")],
      ["reporter.role", one("relative")],
      ["reporter.language", one("ug")],
      ["target.home_country", one("CN-XJ")],
      ["target.host_country", one("TR")],
      ["relative[0]", yes],
      ["relative[0].relation", one("sibling")],
      ["relative[0].is_minor", no],
      ["relative[1]", yes],
      ["relative[1].relation", one("parent")],
      ["relative[1].status", one("held")],
      ["act[0]", yes],
      ["act[0].method", one("F01")],
      ["act[0].date", one("2021-11~")],
      ["act[0].victim", one("relative[0]")],
      ["act[0].demand", many("return", "silence")],
      ["act[0].perpetrator[0]", yes],
      ["act[0].perpetrator[0].kind", one("police")],
      ["act[0].perpetrator[1]", yes],
      ["act[0].perpetrator[1].kind", one("party_body")],
      ["act[1]", yes],
      ["act[1].method", one("F08")],
      ["act[1].victim", one("target")],
      ["act[1].follows", one("act[0]")],
      ["target.nationality", many("CN", "TR")],
    ] as const) {
      answer(interview, key, said);
    }
    expect(finish(interview)).toEqual({
      schema: "marram/incident/v1",
      reporter: { role: "relative", language: "ug" },
      target: {
        nationality: ["CN", "TR"],
        home_country: { country: "CN", subdivision: "CN-XJ" },
        host_country: { country: "TR" },
      },
      relative: [{ relation: "sibling", is_minor: false }, { relation: "parent", status: "held" }],
      act: [
        {
          method: "F01",
          date: "2021-11~",
          victim: "relative[0]",
          demand: ["return", "silence"],
          perpetrator: [{ kind: "police" }, { kind: "party_body" }],
        },
        { method: "F08", victim: "target", follows: 0 },
      ],
      consent: { store: true },
      narrative: "They came at night.",
    });
    expect(Object.keys(interview.toIncident([]))[0]).toBe("schema");
  });

  it("whether a relative could be harmed is asked first and stays with the submitter", () => {
    const interview = new Interview();
    answer(interview, "safety.harm", one("yes"));
    expect(interview.next()!.key).toBe("safety.know");
    answer(interview, "safety.know", one("no"));
    expect(interview.next()!.key).toBe("safety.careful");
    expect(JSON.stringify(finish(interview))).not.toContain("safety");

    const other = new Interview();
    answer(other, "safety.harm", one("no"));
    expect(other.next()!.key).toBe("safety.skip");
  });

  it("what is required cannot be skipped, and without consent to keep it there is no report", () => {
    const interview = new Interview();
    expect(interview.answer(goTo(interview, "narrative"), { kind: "skipped" })?.key).toBe("message.required");
    answer(interview, "act[0]", yes);
    const method = goTo(interview, "act[0].method");
    expect(interview.answer(method, { kind: "skipped" })?.key).toBe("message.required_in_round");
    answer(interview, "act[0].method", one("X99"));
    expect(goTo(interview, "act[0].note").required).toBe(true);
    answer(interview, "act[0].note", one("In another way."));
    expect(interview.answer(goTo(interview, "consent.store"), no)?.key).toBe("message.store");
  });

  it("an answer that is too long or no date, language or time zone is refused", () => {
    const interview = new Interview();
    const refused = (key: string, text: string) => interview.answer(goTo(interview, key), one(text))?.key;
    expect(refused("reporter.language", "english please")).toBe("message.language");
    expect(refused("narrative", "𝒶".repeat(100_001))).toBe("message.too_long");
    expect(interview.answer(goTo(interview, "narrative"), one("𝒶".repeat(100_000)))).toBeUndefined();
    answer(interview, "act[0]", yes);
    answer(interview, "act[0].method", one("F01"));
    expect(refused("act[0].date", "2021-13")).toBe("message.date");
    answer(interview, "consent.contact", yes);
    answer(interview, "safe_contact.channel", one("signal"));
    answer(interview, "safe_contact.handle", one("@dune.01"));
    expect(refused("safe_contact.time_zone", "Berlin time")).toBe("message.not_accepted");
  });

  it("an earlier answer can be changed; later ones stay, and what the change hides is left out", () => {
    const interview = new Interview();
    answer(interview, "relative[0]", yes);
    answer(interview, "relative[0].relation", one("sibling"));
    answer(interview, "act[0]", yes);
    answer(interview, "act[0].method", one("F01"));
    answer(interview, "act[0].victim", one("relative[0]"));
    answer(interview, "consent.contact", yes);
    answer(interview, "safe_contact.channel", one("email"));
    answer(interview, "safe_contact.handle", one("somebody@example.org"));
    finish(interview);
    interview.takeBack("relative[0]");
    expect(interview.next()!.key).toBe("relative[0]");
    answer(interview, "relative[0]", no);
    interview.takeBack("consent.contact");
    answer(interview, "consent.contact", no);
    expect(interview.next()).toBeUndefined();
    const incident = interview.toIncident([]);
    expect(incident).toMatchObject({ act: [{ method: "F01" }], consent: { contact: false } });
    expect(JSON.stringify(incident)).not.toMatch(/relative\[0\]|sibling|somebody|email/);
  });

  it("back asks the last screen again, filled in, and at the very start there is no way back", () => {
    const interview = new Interview();
    expect(interview.back()).toBe(false);
    const first = interview.nextTogether();
    expect(first.map(({ key }) => key)).toEqual(["safety.device", "safety.emergency", "safety.harm"]);
    for (const prompt of first) {
      interview.answer(prompt, prompt.key === "safety.harm" ? one("no") : { kind: "seen" });
    }
    expect(interview.next()!.key).toBe("safety.skip");
    expect(interview.back()).toBe(true);
    expect(interview.nextTogether().map(({ key }) => key)).toEqual(first.map(({ key }) => key));
    expect(interview.draft("safety.harm")).toEqual(one("no"));
    expect(interview.back()).toBe(false);
  });

  it("the rest of a part can be skipped, up to what is required", () => {
    const interview = new Interview();
    interview.skipPart();
    expect(interview.next()!.key).toBe("reporter.role");
    answer(interview, "reporter.role", one("target"));
    interview.skipPart();
    expect(interview.next()!.key).toBe("narrative");
    answer(interview, "narrative", one("x"));
    interview.skipPart();
    expect(interview.next()!.key).toBe("relative[0]");
  });

  it("no more rounds are asked than there may be", () => {
    const interview = new Interview();
    for (let n = 0; n < 20; n++) {
      answer(interview, `legal[${n}]`, yes);
      answer(interview, `legal[${n}].procedure`, one("extradition"));
    }
    expect(goTo(interview, "outcome.status").key).toBe("outcome.status");
  });
});

describe("dates and languages", () => {
  it("the dates that people know are taken, and others refused", () => {
    for (const date of ["2021", "2021-11", "2021-11-03", "2021-11~", "2024-02-29", "2019/..", "2019/2021-05", "../2021", "2021?"]) {
      expect(isDate(date), date).toBe(true);
    }
    for (const date of ["", "?", "2021-13", "2021-02-29", "2021-11-00", "1899", "2200", "2021-05/2021-04", "..", "/", "2021-1", "03.11.2021", "2021/2022/2023"]) {
      expect(isDate(date), date).toBe(false);
    }
  });

  it("what was filled in becomes a date and comes back, in digits of any script", () => {
    const empty = { year: "", month: "", day: "", about: false, since: false };
    expect(writeDate(empty)).toBe("");
    expect(writeDate({ ...empty, year: "٢٠٢١", month: "11", day: "۳" })).toBe("2021-11-03");
    expect(writeDate({ ...empty, year: "2021", month: "3", about: true, since: true })).toBe("2021-03~/..");
    expect(isDate(writeDate({ ...empty, year: "2021", day: "3" }))).toBe(false);
    expect(isDate(writeDate({ ...empty, month: "3" }))).toBe(false);
    for (const date of ["2021", "2021-03", "2021-03-09", "2021-03~", "2019/.."]) expect(writeDate(readDate(date))).toBe(date);
  });

  it("language tags are taken as the Rust code takes them", () => {
    for (const tag of ["en", "zh-Hans", "ug", "pt-BR", "ckb", "zh-Hans-CN", "ca-valencia", "es-419"]) expect(isLanguage(tag), tag).toBe(true);
    for (const tag of ["", "und", "english please", "zh_Hans", "-", "x", "a-b", "中文", "en-".repeat(20)]) expect(isLanguage(tag), tag).toBe(false);
  });
});
