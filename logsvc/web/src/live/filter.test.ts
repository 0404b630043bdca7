import { describe, expect, it } from "vitest";

import { apiUrl } from "../api/client.ts";
import type { Row } from "../api/types.ts";
import {
  filterFromSearch,
  filterParams,
  filterToSearch,
  isEmptyFilter,
  isNarrower,
  matches,
  NO_FILTER,
  toggled,
} from "./filter.ts";

const row: Row = {
  id: "1",
  ts: "2026-11-22T12:00:00.000Z",
  kind: "event",
  level: "error",
  queue: "orders",
  job_id: "a/b 1",
  job_name: "Charge",
  error: "Card DECLINED",
};

describe("filter and URL", () => {
  it("comes back from the URL as it went in", () => {
    const filter = { ...NO_FILTER, queue: ["orders", "näme &x"], level: ["warn", "error"], q: "50% off + <b>" };
    expect(filterFromSearch(filterToSearch(filter))).toEqual(filter);
  });

  it("keeps a name whole, whatever it holds", () => {
    const filter = { ...NO_FILTER, queue: ["a,b", " c ", ","], job_id: ["1,2"] };
    expect(filterFromSearch(filterToSearch(filter))).toEqual(filter);
  });

  it("asks the server for each value by itself", () => {
    const url = apiUrl("logs", filterParams({ ...NO_FILTER, queue: ["a,b", " c "], q: "x" }), "http://localhost/");
    expect(url.searchParams.getAll("queue")).toEqual(["a,b", " c "]);
    expect(url.searchParams.getAll("q")).toEqual(["x"]);
  });

  it("leaves out what is not asked", () => {
    expect(filterToSearch({ ...NO_FILTER, queue: ["a", "b"] })).toBe("?queue=a&queue=b");
    expect(filterToSearch(NO_FILTER)).toBe("");
    expect(filterParams({ ...NO_FILTER, kind: ["log"], q: "x" })).toEqual({ kind: ["log"], q: "x" });
  });

  it("drops doubles and unknown levels, ignores other keys", () => {
    const filter = filterFromSearch("?queue=a&queue=b&queue=a&level=fatal,error&theme=dark");
    expect(filter).toEqual({ ...NO_FILTER, queue: ["a", "b"], level: ["error"] });
  });

  it("toggles a value in and out", () => {
    const once = toggled(NO_FILTER, "level", "error");
    expect(once.level).toEqual(["error"]);
    expect(isEmptyFilter(toggled(once, "level", "error"))).toBe(true);
  });
});

describe("matches", () => {
  it("asks nothing when empty", () => {
    expect(matches(NO_FILTER, row)).toBe(true);
  });

  it("takes any value of one key and needs every key", () => {
    expect(matches({ ...NO_FILTER, queue: ["mail", "orders"] }, row)).toBe(true);
    expect(matches({ ...NO_FILTER, queue: ["orders"], level: ["info"] }, row)).toBe(false);
  });

  it("looks for text in message, error, job name and job id, without case", () => {
    expect(matches({ ...NO_FILTER, q: "declined" }, row)).toBe(true);
    expect(matches({ ...NO_FILTER, q: "CHARGE" }, row)).toBe(true);
    expect(matches({ ...NO_FILTER, q: "a/b" }, row)).toBe(true);
    expect(matches({ ...NO_FILTER, q: "orders" }, row)).toBe(false);
  });
});

describe("isNarrower", () => {
  const errors = { ...NO_FILTER, level: ["error"] };

  it("holds for more conditions, fewer values and longer text", () => {
    expect(isNarrower(errors, NO_FILTER)).toBe(true);
    expect(isNarrower(errors, { ...NO_FILTER, level: ["warn", "error"] })).toBe(true);
    expect(isNarrower({ ...errors, q: "Time out" }, { ...NO_FILTER, q: "time" })).toBe(true);
  });

  it("fails as soon as something new could appear", () => {
    expect(isNarrower(NO_FILTER, errors)).toBe(false);
    expect(isNarrower({ ...NO_FILTER, level: ["error", "warn"] }, errors)).toBe(false);
    expect(isNarrower({ ...errors, q: "tim" }, { ...NO_FILTER, q: "time" })).toBe(false);
  });
});
