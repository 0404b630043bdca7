import { describe, expect, it } from "vitest";

import type { Attempt, Job } from "../../api/jobs.ts";
import type { Row } from "../../api/types.ts";
import { comparedWithBefore, lanesOf, lengthOf, logsOf } from "./lanes.ts";

const START = Date.parse("2026-11-22T12:00:00.000Z");
const at = (ms: number): string => new Date(START + ms).toISOString();
const event = (ms: number, name: string, state: string): Row => ({
  id: `${name}-${ms}`,
  ts: at(ms),
  kind: "event",
  level: "info",
  event: name,
  state,
});
const attempt = (n: number, from: number, to: number | null, more: Partial<Attempt> = {}): Attempt => ({
  n,
  started: at(from),
  ended: to === null ? null : at(to),
  outcome: "failed",
  error: "",
  error_type: "",
  stack: [],
  worker: "",
  run_ms: null,
  ...more,
});

const line = (ms: number, attemptOf?: number): Row => ({
  id: String(ms),
  ts: at(ms),
  kind: "log",
  level: "info",
  ...(attemptOf === undefined ? {} : { attempt: attemptOf }),
});

function told(job: Partial<Job>, now = 100_000): string[] {
  const lanes = lanesOf({ added_at: at(0), attempts: [], timeline: [], state: "failed", ...job }, START + now);
  return lanes.map(
    ({ n, outcome, phases }) =>
      `${n} ${outcome}: ${phases.map((phase) => `${phase.kind} ${lengthOf(phase)}${phase.isOpen ? "…" : ""}`).join(", ")}`,
  );
}

describe("lanesOf", () => {
  it("tells the wait, the run and the delay of every attempt", () => {
    const timeline = [
      event(0, "added", "waiting"),
      event(0, "waiting", "waiting"),
      event(200, "active", "active"),
      event(500, "delayed", "retrying"),
      event(5_500, "waiting", "waiting"),
      event(5_600, "active", "active"),
      event(6_000, "failed", "failed"),
    ];
    const attempts = [attempt(1, 200, 500), attempt(2, 5_600, 6_000)];
    expect(told({ timeline, attempts })).toEqual([
      "1 failed: wait 200, run 300",
      "2 failed: delay 5000, wait 100, run 400",
    ]);
  });

  it("says how long by one clock, where that was measured", () => {
    const active: Row = { ...event(36, "active", "active"), attempt: 1, wait_ms: 24 };
    const timeline = [event(12, "added", "waiting"), event(12, "waiting", "waiting"), active];
    expect(told({ timeline, attempts: [attempt(1, 36, 140, { run_ms: 100 })] })).toEqual([
      "1 failed: wait 24, run 100",
    ]);
  });

  it("goes on to now while a job runs, waits or is delayed", () => {
    const added = [event(0, "added", "waiting"), event(0, "delayed", "delayed")];
    expect(told({ timeline: added, state: "delayed" })).toEqual(["1 waiting: delay 100000…"]);
    const running = [attempt(1, 200, null, { outcome: "running" })];
    expect(told({ attempts: running, state: "active" }, 700)).toEqual(["1 running: wait 200, run 500…"]);
    const retrying = [...added, event(300, "waiting", "retrying")];
    expect(told({ timeline: retrying, attempts: [attempt(1, 200, 300)], state: "retrying" }, 1_300)).toEqual([
      "1 failed: delay 200, run 100",
      "2 waiting: wait 1000…",
    ]);
  });

  it("waits for children before it runs", () => {
    const timeline = [event(0, "waiting-children", "waiting-children"), event(900, "waiting", "waiting")];
    expect(told({ timeline, attempts: [attempt(1, 1_000, 1_100)] })).toEqual([
      "1 failed: children 900, wait 100, run 100",
    ]);
  });

  it("makes do with attempts whose beginning nobody saw", () => {
    const lost = [{ ...attempt(3, 0, 400), started: null }];
    expect(told({ added_at: null, attempts: lost })).toEqual(["3 failed: run 0"]);
    expect(told({ added_at: null })).toEqual([]);
  });
});

describe("logsOf", () => {
  it("gives a line to the attempt it names, unless that had ended when it was read", () => {
    const attempts = [attempt(1, 100, 200), attempt(2, 300, 400)];
    const logs = [line(150), line(200, 1), line(350, 1), line(351), line(50)];
    expect(logsOf(attempt(1, 100, 200), { logs, attempts }).map(({ id }) => id)).toEqual(["150", "200", "50"]);
    expect(logsOf(attempt(2, 300, 400), { logs, attempts }).map(({ id }) => id)).toEqual(["350", "351"]);
  });
});

describe("comparedWithBefore", () => {
  it("says whether it failed in the same way", () => {
    const one = attempt(1, 0, 1, { error: "timeout" });
    expect(comparedWithBefore({ ...one, n: 2 }, one)).toBe("same");
    expect(comparedWithBefore({ ...one, n: 2, error: "refused" }, one)).toBe("other");
    expect(comparedWithBefore(one, undefined)).toBeNull();
  });
});
