import { describe, expect, it } from "vitest";

import { filterFromSearch, NO_FILTER } from "./filter.ts";
import { exportParams, linkedFromSearch, pastFromSearch, searchLive, searchOfLine } from "./permalink.ts";

const line = { id: "main:orders:0:17-0&x", ts: "2026-11-22T12:00:00.120Z" };

describe("permalink", () => {
  it("comes back as it went, with the filter beside it", () => {
    const filter = { ...NO_FILTER, queue: ["orders"] };
    const search = searchOfLine(filter, line);
    expect(linkedFromSearch(search)).toEqual(line);
    expect(filterFromSearch(search)).toEqual(filter);
    expect(searchLive(search)).toBe("?queue=orders");
  });

  it("is none without both parts or with a wrong time", () => {
    for (const search of ["", "?row=1", "?at=2026-11-22T12:00:00Z", "?row=1&at=yesterday"]) {
      expect(linkedFromSearch(search)).toBeNull();
    }
  });

  it("tells a stretch of the past from how far the histogram reaches", () => {
    const past = "?queue=a&from=2026-11-22T12:00:00.000Z&to=2026-11-22T12:05:00.000Z";
    expect(pastFromSearch(past)).toEqual({ from: Date.UTC(2026, 10, 22, 12), to: Date.UTC(2026, 10, 22, 12, 5) });
    expect(searchLive(past)).toBe("?queue=a");
    expect(pastFromSearch("?range=6h")).toBeNull();
    expect(searchLive("?range=6h&at=2026-11-22T12:00:00Z&row=1")).toBe("?range=6h");
  });

  it("exports the time around the line, and not the last hour", () => {
    const at = Date.parse(line.ts);
    const now = at + 86_400_000;
    const hour = { span: "1h" } as const;
    expect(exportParams(NO_FILTER, hour, line, now)).toEqual({
      from: String(at + 30_000 - 3_600_000),
      to: String(at + 30_000),
    });
    expect(exportParams(NO_FILTER, hour, null, now)).toEqual({ from: String(now - 3_600_000) });
  });
});
