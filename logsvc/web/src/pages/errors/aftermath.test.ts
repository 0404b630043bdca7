import { afterEach, describe, expect, it, vi } from "vitest";

import type { Row } from "../../api/types.ts";
import { askEnds, endsOf, sumOf } from "./aftermath.ts";

function row(jobId: string, event: string, prev = ""): Row {
  return { id: `${jobId}-${event}`, ts: "", kind: "event", level: "info", job_id: jobId, event, prev };
}

describe("endsOf", () => {
  it("counts the end that follows the retry, not the failure before it", () => {
    const newestFirst = [
      row("a", "completed"),
      row("b", "failed"),
      row("a", "waiting", "failed"),
      row("b", "waiting", "failed"),
      row("c", "waiting", "failed"),
      row("c", "failed"),
      row("d", "failed"),
    ];
    expect(endsOf(newestFirst)).toEqual({ completed: 1, failed: 1 });
  });

  it("counts a job once, however often it failed again", () => {
    expect(endsOf([row("a", "failed"), row("a", "failed"), row("a", "waiting", "failed")])).toEqual({
      completed: 0,
      failed: 1,
    });
  });
});

it("does not take what is not known for none", () => {
  const parts = [
    { followed: 40, ends: { completed: 30, failed: 4 } },
    { followed: 2, ends: undefined },
  ];
  expect(sumOf(parts)).toEqual({ completed: 30, failed: 4, followed: 42, unknown: 2 });
});

describe("askEnds", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it("asks for the pages that follow where the rows are too large for one", async () => {
    const pages: Record<string, unknown> = {
      "": { items: [row("a", "completed")], next_cursor: "older" },
      older: { items: [row("a", "waiting", "failed")], next_cursor: null },
    };
    vi.stubGlobal("document", { baseURI: "http://tocsin.test/" });
    vi.stubGlobal("fetch", (url: URL) => Promise.resolve(Response.json(pages[url.searchParams.get("cursor") ?? ""])));
    const asked = { source: "main", queue: "orders", jobIds: ["a"], since: "2026-11-26T00:00:00Z" };
    expect(await askEnds(asked, new AbortController().signal)).toEqual({ completed: 1, failed: 0 });
  });
});
