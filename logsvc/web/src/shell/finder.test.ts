import { describe, expect, it } from "vitest";

import { found, isJobId, scoreOf, type Choice } from "./finder.ts";

function choice(group: string, name: string): Choice {
  return { id: `${group} ${name}`, group, name, run: () => undefined };
}

describe("the finder", () => {
  it("wants every word, anywhere", () => {
    expect(scoreOf("mail send", "eu.send-mail")).toBeGreaterThan(0);
    expect(scoreOf("mail x", "eu.send-mail")).toBe(0);
  });

  it("puts what begins with the text first, group by group", () => {
    const choices = [
      choice("Pages", "Live"),
      choice("Queues", "remail"),
      choice("Queues", "mails"),
      choice("Queues", "eu-mail"),
    ];
    expect(found(choices, "mail", 2).map(({ name }) => name)).toEqual(["mails", "eu-mail"]);
    expect(found(choices, "", 9).map(({ name }) => name)).toEqual(["Live", "remail", "mails", "eu-mail"]);
  });

  it("takes for a job's id what may be one", () => {
    expect(["42", "ord-8f3a", "a_very_long_id"].map(isJobId)).toEqual([true, true, true]);
    expect(["mail", "", "two 2"].map(isJobId)).toEqual([false, false, false]);
  });
});
