import { environmentManager, QueryClient, QueryObserver } from "@tanstack/react-query";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { unheededOptions, type Incident } from "./incidents.ts";

const asked: URL[] = [];
let answers: { items: Partial<Incident>[]; next_cursor: string | null }[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("document", { baseURI: "https://tocsin.test/" });
  vi.stubGlobal("fetch", (url: URL) => {
    asked.push(url);
    return Promise.resolve(Response.json(answers.shift() ?? { items: [], next_cursor: null }));
  });
  environmentManager.setIsServer(() => false);
  asked.length = 0;
  answers = [];
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Look on for a while; returns what is known then. */
async function watch(ms: number): Promise<readonly Incident[]> {
  const queries = new QueryClient();
  const stop = new QueryObserver(queries, unheededOptions(true)).subscribe(() => {});
  await vi.advanceTimersByTimeAsync(ms);
  stop();
  return queries.getQueryData(unheededOptions(true).queryKey) ?? [];
}

describe("incidents that nobody has", () => {
  it("are asked for while nobody looks, for then it has to ring", () => {
    expect(unheededOptions(true).meta).toEqual({ refreshedBy: [{ type: "incident-refresh" }], isAlarm: true });
  });

  it("are all counted, over several pages", async () => {
    answers = [
      { items: [{ id: 3 }, { id: 2 }], next_cursor: "9-2" },
      { items: [{ id: 1 }], next_cursor: null },
    ];
    expect(await watch(1_000)).toHaveLength(3);
    expect(asked[0]?.searchParams.getAll("state")).toEqual(["new", "firing", "regressed"]);
    expect(asked[1]?.searchParams.get("cursor")).toBe("9-2");
  });
});
