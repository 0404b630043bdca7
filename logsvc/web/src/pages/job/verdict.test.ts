import { describe, expect, it } from "vitest";

import type { Attempt } from "../../api/jobs.ts";
import { errorOf, verdictOf } from "./verdict.ts";

const FAILED: Attempt = {
  n: 1,
  started: null,
  ended: null,
  outcome: "failed",
  error: "boom",
  error_type: "",
  stack: [],
  worker: "",
  run_ms: 12,
};
const JOB = {
  state: "failed",
  attempts: [FAILED],
  attempt: 1,
  max_attempts: 1,
  error: "boom",
  error_type: "BoomError",
  timeline: [],
  runs: [],
};
const twice = [FAILED, { ...FAILED, n: 2 }];

describe("verdictOf", () => {
  it("says what became of the job", () => {
    expect(verdictOf(JOB)).toBe("Failed at its only attempt.");
    expect(verdictOf({ ...JOB, attempts: twice, attempt: 2, max_attempts: 2 })).toBe(
      "Failed for good after 2 attempts.",
    );
    expect(verdictOf({ ...JOB, max_attempts: 3 })).toBe("Failed for good at its first attempt of 3.");
    expect(verdictOf({ ...JOB, state: "retrying", max_attempts: 3 })).toBe(
      "Attempt 1 of 3 failed; it will be tried again.",
    );
    const done = { ...FAILED, n: 2, outcome: "completed", error: "" } as const;
    expect(verdictOf({ ...JOB, state: "completed", attempts: [FAILED, done] })).toBe(
      "Completed in 12 ms, after 1 failed attempt.",
    );
  });
});

describe("errorOf", () => {
  it("has its type before it once, and is not told of a job that went well", () => {
    expect(errorOf(JOB)).toBe("BoomError: boom");
    expect(errorOf({ ...JOB, error: "BoomError: x" })).toBe("BoomError: x");
    expect(errorOf({ ...JOB, state: "completed" })).toBe("");
  });
});
