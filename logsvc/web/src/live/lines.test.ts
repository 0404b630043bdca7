import { describe, expect, it } from "vitest";

import type { Row } from "../api/types.ts";
import { isMarker } from "./entries.ts";
import { Lines } from "./lines.ts";

const START = Date.parse("2026-11-22T12:00:00.000Z");

/** A row whose id and second are the same number. */
function row(second: number): Row {
  return { id: String(second), ts: new Date(START + second * 1000).toISOString(), kind: "log", level: "info" };
}

function rows(...seconds: number[]): Row[] {
  return seconds.map((second) => row(second));
}

function shown(lines: Lines): string[] {
  return Array.from({ length: lines.visibleCount }, (_, index) => {
    const entry = lines.at(index);
    if (entry === undefined) return "?";
    return isMarker(entry) ? `${entry.reason}:${entry.count}` : entry.id;
  });
}

const small = { entries: 4, weight: 1_000_000, overflow: 2 };

describe("Lines", () => {
  it("shows a row once, however often it comes", () => {
    const lines = new Lines();
    lines.append(rows(1, 2));
    lines.append(rows(2, 3));
    expect(shown(lines)).toEqual(["1", "2", "3"]);
    expect(lines.merge(rows(1, 2))).toBe(0);
  });

  it("puts history where it belongs in time and a marker before the row that it stood before", () => {
    const lines = new Lines();
    lines.append(rows(10, 20));
    lines.mark("skipped", 412);
    lines.append(rows(30));
    expect(lines.merge(rows(5, 15, 20, 25, 35))).toBe(4);
    expect(shown(lines)).toEqual(["5", "10", "15", "20", "25", "skipped:412", "30", "35"]);
  });

  it("changes its epoch on a merge and not on an append", () => {
    const lines = new Lines();
    lines.append(rows(10));
    const before = lines.epoch;
    lines.append(rows(11));
    expect(lines.epoch).toBe(before);
    lines.merge(rows(5));
    expect(lines.epoch).not.toBe(before);
  });

  it("keeps what a paused view shows, and counts what came since", () => {
    const lines = new Lines();
    lines.append(rows(1, 2));
    lines.hold("pause");
    lines.append(rows(3, 4, 5));
    expect(shown(lines)).toEqual(["1", "2"]);
    expect(lines.newCount).toBe(3);
    lines.merge(rows(0));
    expect(shown(lines)).toEqual(["0", "1", "2"]);
    lines.releaseAll();
    expect([shown(lines), lines.newCount]).toEqual([["0", "1", "2", "3", "4", "5"], 0]);
  });

  it("grows below a view that was only scrolled up", () => {
    const lines = new Lines();
    lines.append(rows(1));
    lines.hold("scroll");
    lines.append(rows(2));
    expect([shown(lines), lines.newCount]).toEqual([["1", "2"], 1]);
  });

  it("follows again only when no reason is left", () => {
    const lines = new Lines();
    lines.hold("scroll");
    lines.hold("detail");
    lines.release("scroll");
    expect(lines.isFollowing).toBe(false);
    lines.release("detail");
    expect(lines.isFollowing).toBe(true);
  });

  it("lets nothing vanish from a held view and tells afterwards what it had no room for", () => {
    const lines = new Lines(small);
    lines.append(rows(1, 2, 3));
    lines.hold("scroll");
    lines.append(rows(4, 5, 6, 7, 8));
    expect(shown(lines)).toEqual(["1", "2", "3", "4"]);
    expect(lines.newCount).toBe(5);
    lines.release("scroll");
    expect(shown(lines)).toEqual(["4", "unheld:2", "7", "8"]);
  });

  it("forgets the oldest while it follows", () => {
    const lines = new Lines(small);
    lines.append(rows(1, 2, 3, 4, 5, 6));
    expect(shown(lines)).toEqual(["3", "4", "5", "6"]);
    lines.append(rows(1));
    expect(shown(lines)).toEqual(["4", "5", "6", "1"]);
  });

  it("knows up to when it forgot rows, whatever their order", () => {
    const lines = new Lines(small);
    lines.append(rows(1, 3, 2, 4));
    expect(lines.forgottenUpTo).toBeNull();
    lines.append(rows(5, 6, 7));
    expect(lines.forgottenUpTo).toBe(START + 3_000);
    lines.refetched(START + 3_000);
    lines.merge(rows(1, 2));
    expect(lines.forgottenUpTo).toBe(START + 2_000);
  });

  it("fills a marker's place, wholly or partly", () => {
    const lines = new Lines();
    lines.append(rows(1));
    const marker = lines.mark("gap", null);
    lines.append(rows(9));
    expect(lines.around(marker?.id ?? "")).toEqual({ before: row(1), after: row(9), until: 0 });
    lines.fillMarker(marker?.id ?? "", rows(7, 8, 9), false);
    expect(shown(lines)).toEqual(["1", "gap:null", "7", "8", "9"]);
    lines.fillMarker(marker?.id ?? "", rows(1, 2), true);
    expect(shown(lines)).toEqual(["1", "2", "7", "8", "9"]);
  });

  it("keeps only wanted rows when the choice narrows, and says where some may be missing", () => {
    const lines = new Lines();
    lines.append(rows(1, 2));
    lines.mark("skipped", 3);
    lines.append(rows(3));
    lines.mark("gap", null);
    lines.append(rows(4));
    lines.keepOnly((each) => each.id === "1" || each.id === "4");
    expect(shown(lines)).toEqual(["1", "skipped:null", "4"]);
    lines.append(rows(2));
    expect(shown(lines)).toEqual(["1", "skipped:null", "4", "2"]);
  });

  it("shows of a paused view what is left when the choice narrows, and no more", () => {
    const lines = new Lines();
    lines.append(rows(1, 2, 3, 4));
    lines.hold("pause");
    lines.append(rows(5, 6, 7, 8));
    lines.keepOnly((each) => Number(each.id) % 2 === 0);
    expect([shown(lines), lines.newCount]).toEqual([["2", "4"], 2]);
    lines.keepOnly((each) => Number(each.id) <= 4);
    expect([shown(lines), lines.newCount]).toEqual([["2", "4"], 0]);
  });

  it("shows no row of history in a paused view that is newer than what came since", () => {
    const lines = new Lines();
    lines.append(rows(1, 9));
    lines.hold("pause");
    lines.append(rows(10, 12));
    lines.merge(rows(5, 11));
    expect([shown(lines), lines.newCount]).toEqual([["1", "5", "9"], 3]);
    lines.releaseAll();
    expect(shown(lines)).toEqual(["1", "5", "9", "10", "11", "12"]);
  });

  it("fills a marker on its own side of a pause", () => {
    const lines = new Lines();
    lines.append(rows(1));
    const seen = lines.mark("gap", null);
    lines.hold("pause");
    const unseen = lines.mark("skipped", 3);
    lines.append(rows(9));
    lines.fillMarker(unseen?.id ?? "", rows(7, 8), true);
    expect(shown(lines)).toEqual(["1", "gap:null"]);
    lines.fillMarker(seen?.id ?? "", rows(2, 3), true);
    expect([shown(lines), lines.newCount]).toEqual([["1", "2", "3"], 3]);
  });

  it("keeps what a full and held view had no room for when the choice narrows", () => {
    const lines = new Lines(small);
    lines.append(rows(1, 2, 3, 4));
    lines.hold("scroll");
    lines.append(rows(5, 6, 7));
    lines.keepOnly((each) => each.id === "1" || each.id === "7");
    expect([shown(lines), lines.newCount]).toEqual([["1", "unheld:null", "7"], 2]);
  });

  it("says of a gap that came while there was no room for it, once the view follows again", () => {
    const lines = new Lines(small);
    lines.append(rows(1, 2, 3, 4));
    lines.hold("scroll");
    expect(lines.mark("gap", null, START + 9_000)).toBeNull();
    lines.append(rows(10));
    lines.releaseAll();
    expect(shown(lines)).toEqual(["3", "4", "unheld:null", "10"]);
    expect(lines.around(lines.at(2)?.id ?? "").until).toBe(START + 9_000);
  });
});
