import { describe, expect, it } from "vitest";

import { confirmationOf, outcomeOf, workingWords } from "./actionWords.ts";

const PLACE = { source: "main", queue: "orders" } as const;

describe("confirmationOf", () => {
  it("has the exact number in its title and on its button", () => {
    const many = confirmationOf({ ...PLACE, action: "retry", filter: { fingerprint: "f" } }, { count: 1_412 });
    expect([many.title, many.verb]).toEqual(["Retry 1,412 failed jobs of orders?", "Retry 1,412 jobs"]);
    const unknown = confirmationOf({ ...PLACE, action: "retry", filter: {} }, null);
    expect(unknown.title).toBe("Retry failed jobs of orders?");
    const one = confirmationOf({ ...PLACE, action: "promote", job_ids: ["7"] }, { count: 1 });
    expect([one.title, one.verb]).toEqual(["Run now: job 7 of orders?", "Run 1 job"]);
  });

  it("names the queue where it is about the queue", () => {
    const asked = confirmationOf({ ...PLACE, action: "pause" }, { count: 1, queue: { waiting: 1_200, active: 1 } });
    expect([asked.title, asked.verb]).toEqual(["Pause the queue orders?", "Pause orders"]);
    expect(asked.consequence).toContain("Just now 1,200 jobs wait and 1 runs.");
  });

  it("counts what a removal takes along", () => {
    const one = confirmationOf({ ...PLACE, action: "remove", job_ids: ["7"] }, { count: 1, descendants: 7 });
    expect(one.verb).toBe("Remove 1 job and its 7 descendants");
    const two = confirmationOf({ ...PLACE, action: "remove", job_ids: ["7", "8"] }, { count: 2, descendants: 1 });
    expect(two.verb).toBe("Remove 2 jobs and their 1 descendant");
    expect(confirmationOf({ ...PLACE, action: "remove", job_ids: ["7"] }, { count: 1 }).verb).toBe("Remove 1 job");
  });
});

it("says since when it works, and how far it is where that is known", () => {
  expect(workingWords(900, null)).toBe("Working…");
  expect(workingWords(40_000, null)).toBe("Working… 40 s");
  expect(workingWords(40_000, { settled: 412, planned: 25_000 })).toBe("Working… 40 s, 412 of 25,000");
});

describe("outcomeOf", () => {
  it("tells what went well first, and the rest in words", () => {
    expect(outcomeOf("retry", { outcomes: { gone: 3, done: 398, not_failed: 11 } })).toBe(
      "398 put back to waiting, 3 gone from Redis, 11 not failed any more",
    );
    expect(outcomeOf("pause", { outcomes: { done: 1 } })).toBe("The queue is paused");
    expect(outcomeOf("retry", { outcomes: {} })).toBe("Nothing was left to do");
  });
});
