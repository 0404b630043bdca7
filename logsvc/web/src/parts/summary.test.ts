import { describe, expect, it } from "vitest";

import type { Row } from "../api/types.ts";
import { plainLine, summaryOf } from "./summary.ts";

const base: Row = { id: "1", ts: "2026-11-22T12:00:00.000Z", kind: "event", level: "info" };

describe("summaryOf", () => {
  it("shows a log line as it is, its terminal colours apart", () => {
    const row: Row = { ...base, kind: "log", message: "\u001B[32m<b>hi</b>\u001B[0m " };
    expect(summaryOf(row)).toEqual({
      verb: "",
      text: "<b>hi</b>",
      coloured: "\u001B[32m<b>hi</b>\u001B[0m",
      tone: "quiet",
      isData: false,
    });
  });

  it("puts an attempt's own error into the line", () => {
    const row: Row = { ...base, level: "warn", event: "retrying", error: "socket hang up", error_type: "Error" };
    expect(summaryOf(row)).toMatchObject({ verb: "retrying", text: "Error: socket hang up", tone: "warning" });
  });

  it("shows what a finished job returned", () => {
    expect(summaryOf({ ...base, event: "completed", result: '{"ok":true}' })).toEqual({
      verb: "completed",
      text: '{"ok":true}',
      coloured: "",
      tone: "good",
      isData: true,
    });
  });

  it("says how many events were lost", () => {
    expect(summaryOf({ ...base, level: "error", event: "gap", lost: 37 }).text).toBe(
      "37 events lost before Tocsin could read them",
    );
    expect(summaryOf({ ...base, level: "error", event: "gap", lost: 1 }).text).toBe(
      "1 event lost before Tocsin could read it",
    );
  });

  it("has a word for an event that it does not know", () => {
    expect(summaryOf({ ...base, event: "waiting-children" })).toMatchObject({ verb: "waiting children", text: "" });
  });
});

describe("plainLine", () => {
  it("is the row in one line, without colours", () => {
    const row: Row = {
      ...base,
      kind: "log",
      queue: "q",
      job_id: "7",
      job_name: "send",
      message: "\u001B[32mhi\u001B[0m",
    };
    expect(plainLine(row)).toBe("2026-11-22T12:00:00.000Z INFO q send #7 hi");
  });
});
