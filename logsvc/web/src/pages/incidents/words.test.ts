import { describe, expect, it } from "vitest";

import type { Incident } from "../../api/incidents.ts";
import { byNeed, countOf, left, questionOf, scopeOf, standOf, tooLate } from "./words.ts";

const NOW = Date.parse("2026-11-22T12:00:00Z");

function incident(change: Partial<Incident>): Incident {
  return {
    id: 1,
    state: "new",
    kind: "failure",
    count: 37,
    hidden: 0,
    episode: 1,
    regressed: false,
    last_at: "2026-11-22T11:00:00Z",
    acked_by: null,
    acked_at: null,
    silenced_until: null,
    resolved_at: null,
    previous_by: null,
    ...change,
  } as Incident;
}

describe("incidents", () => {
  it("stand with what needs somebody first, the newest of them at the top", () => {
    const all = [
      incident({ id: 1, state: "resolved" }),
      incident({ id: 2, state: "acked" }),
      incident({ id: 3, state: "firing" }),
      incident({ id: 4, state: "new", last_at: "2026-11-22T11:59:00Z" }),
    ];
    expect(byNeed(all).map(({ id }) => id)).toEqual([4, 3, 2, 1]);
  });

  it("say who has them, or that nobody has", () => {
    expect(standOf(incident({}), NOW)).toBe("nobody has it yet");
    expect(standOf(incident({ state: "acked", acked_by: "Ann", acked_at: "2026-11-22T11:50:00Z" }), NOW)).toBe(
      "Ann has it since 10 min ago",
    );
    expect(standOf(incident({ state: "silenced", silenced_until: "2026-11-22T13:00:00Z" }), NOW)).toBe("quiet for 1 h");
    expect(standOf(incident({ state: "regressed", regressed: true, episode: 3, previous_by: "Ben" }), NOW)).toBe(
      "it is back, for the 3rd time; Ben had it last time",
    );
  });

  it("count what a silence hid", () => {
    expect(countOf(incident({ hidden: 5 }))).toBe("37 failures, 5 while quiet");
    expect(countOf(incident({ kind: "rule", count: 1 }))).toBe("found once");
    expect(left("2026-11-22T11:00:00Z", NOW)).toBe("no longer");
    expect(left("2026-11-22T15:59:51Z", NOW)).toBe("4 h");
    expect(left("2026-11-22T12:00:20Z", NOW)).toBe("20 s");
  });
});

describe("a silence", () => {
  const silence = {
    id: 1,
    is_maintenance: false,
    env: "prod",
    source: "",
    queue: "mail",
    fingerprint: "",
    reason: "",
    by: "Ann",
    from_at: "",
    until: "",
    hidden: 0,
  };
  it("says what it keeps quiet", () => {
    expect(scopeOf(silence)).toBe("everything in mail · prod");
    expect(scopeOf({ ...silence, fingerprint: "f" })).toBe("one kind of failure in mail · prod");
    expect(scopeOf({ ...silence, is_maintenance: true })).toBe("maintenance: all of prod");
  });

  it("are handled after a question with the exact number", () => {
    const asked = incident({ title: "TimeoutError", queue: "orders" });
    expect(questionOf("ack", asked, "").title).toBe("Take TimeoutError in orders?");
    const verbs = (["ack", "unack", "silence", "resolve"] as const).map((deed) => questionOf(deed, asked, "1 h").verb);
    expect(verbs).toEqual([
      "Take 1 incident with 37 failures",
      "Give 1 incident with 37 failures back",
      "Keep 1 incident with 37 failures quiet for 1 h",
      "End 1 incident with 37 failures",
    ]);
  });

  it("are not handled where somebody was faster", () => {
    const taken = incident({ state: "acked", acked_by: "Ann", acked_at: "2026-11-22T11:58:00Z" });
    expect(tooLate("ack", taken, NOW)).toBe("There is nothing to do any more: Ann has it since 2 min ago.");
    expect(tooLate("unack", taken, NOW)).toBe("");
    expect(tooLate("resolve", incident({ state: "resolved" }), NOW)).toContain("nothing to do");
  });
});
