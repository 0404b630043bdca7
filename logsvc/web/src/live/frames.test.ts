import { describe, expect, it } from "vitest";

import { parseFrame } from "./frames.ts";

describe("parseFrame", () => {
  it("reads every frame", () => {
    expect(parseFrame('{"type":"hello","cursor":"c1","as_of":"2026-11-22T12:00:00Z"}')).toEqual({
      type: "hello",
      cursor: "c1",
      as_of: "2026-11-22T12:00:00Z",
    });
    expect(parseFrame('{"type":"rows","rows":[],"cursor":"c2","dropped":3,"matched":12,"lag_ms":85}')).toEqual({
      type: "rows",
      rows: [],
      cursor: "c2",
      dropped: 3,
      lagMs: 85,
    });
    expect(parseFrame(`{"type":"ping","as_of":"x","cursor":"0.7"}`)).toEqual({
      type: "ping",
      cursor: "0.7",
      as_of: "x",
    });
    expect(parseFrame('{"type":"gap","count":null}')).toEqual({ type: "gap", count: null });
    expect(parseFrame('{"type":"error","detail":"no"}')).toEqual({ type: "error", detail: "no" });
  });

  it("gives null for what it does not know", () => {
    for (const text of ["", "{", "[]", "null", '"rows"', '{"type":"later"}']) expect(parseFrame(text)).toBeNull();
  });

  it("leaves out rows that have no identity, time or known level, and keeps their neighbours", () => {
    const good = { id: "1", ts: "2026-11-22T12:00:00.000Z", level: "info", kind: "log" };
    const frame = parseFrame(
      JSON.stringify({ type: "rows", rows: [null, 5, { id: "2" }, { ...good, level: "x" }, good] }),
    );
    expect(frame).toMatchObject({ type: "rows", rows: [good], dropped: 0, lagMs: null });
  });
});
