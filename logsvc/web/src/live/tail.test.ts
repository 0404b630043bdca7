import { beforeEach, describe, expect, it } from "vitest";

import { ApiError } from "../api/client.ts";
import type { LogsQuery } from "../api/logs.ts";
import type { Page, Row } from "../api/types.ts";
import { isMarker } from "./entries.ts";
import { NO_FILTER, type Filter } from "./filter.ts";
import type { LinesLimits } from "./lines.ts";
import type { ChannelEvents, Params } from "./socket.ts";
import { Tail } from "./tail.ts";

const START = Date.parse("2026-11-22T12:00:00.000Z");

function row(second: number, change: Partial<Row> = {}): Row {
  const ts = new Date(START + second * 1000).toISOString();
  return { id: String(second), ts, kind: "log", level: "info", queue: "mail", ...change };
}

interface Question {
  query: LogsQuery;
  answer: (page: Page<Row> | ApiError) => Promise<void>;
}

let questions: Question[];
let channels: { params: Params; events: ChannelEvents; sent: string[] }[];
let timers: { run: () => void; ms: number }[];
let tail: Tail;
let now: number;

async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) {
    // The turns follow each other.
    // oxlint-disable-next-line no-await-in-loop
    await Promise.resolve();
  }
}

function asked(): Question {
  const question = questions.shift();
  if (question === undefined) throw new Error("history was not asked");
  return question;
}

/** asOf: the second up to which history is whole; null = not known. */
function page(rows: Row[], next: string | null = null, asOf: number | null = 1_000): Page<Row> {
  return { items: rows, next_cursor: next, as_of: asOf === null ? null : row(asOf).ts };
}

function say(frame: object): void {
  channels.at(-1)?.events.onText(JSON.stringify(frame));
}

function sayRows(rows: Row[], dropped = 0): void {
  say({ type: "rows", rows, cursor: "c", dropped, lag_ms: 50 });
}

function runTimer(ms: number): void {
  const timer = timers.find((each) => each.ms === ms);
  if (timer === undefined) throw new Error(`nothing waits ${ms} ms`);
  timers = timers.filter((each) => each !== timer);
  timer.run();
}

function shown(): string[] {
  return Array.from({ length: tail.view().count }, (_, index) => {
    const entry = tail.entryAt(index);
    if (entry === undefined) return "?";
    return isMarker(entry) ? `${entry.reason}:${entry.count}:${entry.fill}` : entry.id;
  });
}

function begin(limits?: LinesLimits): void {
  questions = [];
  now = START;
  channels = [];
  timers = [];
  tail = new Tail({
    ...(limits && { limits }),
    open: {
      websocket: (params, events) => {
        const sent: string[] = [];
        channels.push({ params, events, sent });
        return { send: (text) => sent.push(text) > 0, close: () => {} };
      },
      sse: () => ({ send: () => false, close: () => {} }),
    },
    fetchLogs: (query) =>
      new Promise((resolve, reject) => {
        questions.push({
          query,
          answer: (result) => {
            if (result instanceof ApiError) reject(result);
            else resolve(result);
            return settle();
          },
        });
      }),
    clock: {
      now: () => now,
      later: (run, ms) => {
        const timer = { run, ms };
        timers.push(timer);
        return () => {
          timers = timers.filter((each) => each !== timer);
        };
      },
    },
    random: () => 1,
    onNextFrame: (run) => run(),
  });
}

beforeEach(() => begin());

const hello = { type: "hello", cursor: "c0", as_of: "2026-11-22T12:00:00Z" };
const errors: Filter = { ...NO_FILTER, level: ["error"] };

describe("Tail", () => {
  it("joins history and live rows into one list, each row once", async () => {
    tail.show(NO_FILTER, null);
    say(hello);
    sayRows([row(11), row(12)]);
    await asked().answer(page([row(9), row(10), row(11)], "older"));
    sayRows([row(13)]);
    expect(shown()).toEqual(["9", "10", "11", "12", "13"]);
    expect(tail.view().history).toMatchObject({ status: "ready", older: "more" });
  });

  it("tells the server as long as nobody sees the lines, and calls none of them behind then", async () => {
    tail.show(NO_FILTER, null);
    say(hello);
    await asked().answer(page([]));
    tail.setUnseen("page", true);
    tail.setUnseen("tab", true);
    sayRows([row(12)], 3);
    expect(tail.connection().lagMs).toBeNull();
    tail.setUnseen("page", false);
    expect(channels[0]?.sent).toEqual(['{"type":"hidden"}']);
    tail.setUnseen("tab", false);
    expect(channels[0]?.sent).toEqual(['{"type":"hidden"}', '{"type":"visible"}']);
    sayRows([row(13)]);
    expect(tail.connection().lagMs).toBe(50);
    expect(shown()).toEqual(["skipped:3:idle", "12", "13"]);
  });

  it("closes the seam between history and the first live row", async () => {
    tail.show(NO_FILTER, null);
    say(hello);
    await asked().answer(page([row(9)]));
    sayRows([row(12)]);
    runTimer(2_500);
    await settle();
    const seam = asked();
    // Two seconds around: rows of several queues come a little out of order.
    expect(seam.query).toMatchObject({ from: row(7).ts, to: row(14).ts });
    await seam.answer(page([row(9), row(10), row(11), row(12)]));
    expect(shown()).toEqual(["9", "10", "11", "12"]);
  });

  it("asks again from where history was whole, not from its newest row", async () => {
    tail.show(NO_FILTER, null);
    say(hello);
    await asked().answer(page([row(9)], null, 6));
    sayRows([row(12)]);
    runTimer(2_500);
    await settle();
    expect(asked().query.from).toBe(row(4).ts);
  });

  it("says so when too many rows are in the seam", async () => {
    tail.show(NO_FILTER, null);
    say(hello);
    await asked().answer(page([row(1)]));
    sayRows([row(90)]);
    runTimer(2_500);
    await settle();
    for (let second = 80; second > 75; second -= 1) {
      // Each page is asked for after the one before.
      // oxlint-disable-next-line no-await-in-loop
      await asked().answer(page([row(second)], "more"));
    }
    expect(questions).toHaveLength(0);
    expect(shown()).toEqual(["1", "seam:null:idle", "76", "77", "78", "79", "80", "90"]);
  });

  it("draws a flood that nobody can read a few times a second, and the last of it as soon", async () => {
    tail.show(NO_FILTER, null);
    say(hello);
    await asked().answer(page([row(1)]));
    sayRows([row(2)]);
    expect(shown()).toHaveLength(2);
    const many = Array.from({ length: 100 }, (_, index) => row(index + 3));
    sayRows(many.slice(0, 70));
    sayRows(many.slice(70));
    expect(shown()).toHaveLength(2);
    runTimer(200);
    expect(shown()).toHaveLength(102);
    sayRows([row(200)]);
    expect(shown()).toHaveLength(103);
    now += 200;
    sayRows(Array.from({ length: 70 }, (_, index) => row(index + 300)));
    expect(shown()).toHaveLength(173);
  });

  it("shows what the server skipped, where it was skipped, and loads it", async () => {
    tail.show(NO_FILTER, null);
    say(hello);
    await asked().answer(page([row(1)]));
    sayRows([row(9)], 412);
    expect(shown()).toEqual(["1", "skipped:412:idle", "9"]);
    const marker = tail.entryAt(1);
    void tail.fill(marker?.id ?? "");
    expect(shown()[1]).toBe("skipped:412:loading");
    await asked().answer(page([row(2), row(3)]));
    expect(shown()).toEqual(["1", "2", "3", "9"]);
  });

  it("fills a gap by itself, once history has come so far", async () => {
    tail.show(NO_FILTER, null);
    say(hello);
    await asked().answer(page([row(1)]));
    say({ ...hello, as_of: row(8).ts });
    say({ type: "gap", count: null });
    sayRows([row(9)]);
    await asked().answer(page([row(2)], null, 5));
    expect(shown()).toEqual(["1", "gap:null:loading", "9"]);
    runTimer(2_500);
    await settle();
    runTimer(2_500);
    await settle();
    const questionsNow = questions;
    expect(questionsNow).toHaveLength(2);
    for (const { query, answer } of questionsNow) {
      expect(query.to).toBe(row(11).ts);
      // oxlint-disable-next-line no-await-in-loop
      await answer(page([row(2), row(3), row(9)], null, 9));
    }
    expect(shown()).toEqual(["1", "2", "3", "9"]);
  });

  it("keeps the marker when its lines cannot be loaded", async () => {
    tail.show(NO_FILTER, null);
    say(hello);
    await asked().answer(page([row(1)]));
    sayRows([row(9)], 4);
    void tail.fill(tail.entryAt(1)?.id ?? "");
    for (let tried = 0; tried < 12; tried += 1) {
      // oxlint-disable-next-line no-await-in-loop
      await asked().answer(new ApiError(503, "no"));
      timers.findLast((timer) => timer.ms === 2_500)?.run();
      // oxlint-disable-next-line no-await-in-loop
      await settle();
    }
    expect(shown()).toEqual(["1", "skipped:4:failed", "9"]);
  });

  it("sends a new filter, holds back rows under way for the old one, and asks history anew", async () => {
    tail.show(NO_FILTER, null);
    say(hello);
    await asked().answer(page([row(1), row(2, { level: "error" })]));
    tail.show(errors, null);
    expect(channels).toHaveLength(1);
    expect(channels[0]?.sent).toEqual(['{"type":"filter","level":["error"]}']);
    sayRows([row(3), row(4, { level: "error" })]);
    expect(shown()).toEqual(["2", "4"]);
    const question = asked();
    expect(question.query.filter).toEqual({ level: ["error"] });
    await question.answer(page([row(0, { level: "error" }), row(2, { level: "error" })]));
    expect(shown()).toEqual(["0", "2", "4"]);
  });

  it("waits until history has come as far as the change of the filter, even if no row comes", async () => {
    tail.show(NO_FILTER, null);
    say(hello);
    await asked().answer(page([row(1)]));
    now = START + 60_000;
    tail.show(errors, null);
    await asked().answer(page([], null, 50));
    for (const asOf of [55, 60]) {
      timers.findLast((timer) => timer.ms === 2_500)?.run();
      // oxlint-disable-next-line no-await-in-loop
      await settle();
      // oxlint-disable-next-line no-await-in-loop
      await asked().answer(page([row(58, { level: "error" })], null, asOf));
    }
    expect(shown()).toEqual(["58"]);
  });

  it("does not take an answer that came too late for its filter", async () => {
    tail.show(errors, null);
    say(hello);
    const late = asked();
    tail.show(NO_FILTER, null);
    await asked().answer(page([row(5)]));
    await late.answer(page([row(1, { level: "error" })]));
    expect(shown()).toEqual(["5"]);
  });

  it("goes on live without history and tries again when told to", async () => {
    tail.show(NO_FILTER, null);
    say(hello);
    await asked().answer(new ApiError(503, "ClickHouse does not answer", 30));
    sayRows([row(3)]);
    expect(tail.view().history).toMatchObject({ status: "failed", problem: "ClickHouse does not answer" });
    expect(shown()).toEqual(["3"]);
    runTimer(30_000);
    await asked().answer(page([row(1)]));
    expect(shown()).toEqual(["1", "3"]);
    expect(tail.view().history.status).toBe("ready");
  });

  it("tries again by itself around a linked line too, and says meanwhile that it failed", async () => {
    tail.show(NO_FILTER, { id: "5", ts: row(5).ts });
    say(hello);
    await asked().answer(new ApiError(503, "ClickHouse does not answer"));
    runTimer(5_000);
    expect(tail.view().history.status).toBe("failed");
    await asked().answer(page([row(5)]));
    await asked().answer(page([row(6)]));
    expect(shown()).toEqual(["5", "6"]);
    expect(tail.view().history).toEqual({ status: "ready", problem: "", older: "none" });
  });

  it("asks a refused question once, and shows why", async () => {
    tail.show({ ...NO_FILTER, q: "x".repeat(1_001) }, null);
    say({ type: "error", detail: "q: expected a text of at most 1000 characters" });
    await asked().answer(new ApiError(400, "q: expected a text of at most 1000 characters"));
    expect(tail.view()).toMatchObject({
      count: 0,
      history: { status: "refused", problem: "q: expected a text of at most 1000 characters" },
    });
    expect(tail.connection().state.status).toBe("refused");
    expect(timers).toEqual([]);
    tail.show(NO_FILTER, null);
    say(hello);
    await asked().answer(page([row(1)]));
    expect(shown()).toEqual(["1"]);
  });

  it("loads older pages by the cursor until there is none", async () => {
    tail.show(NO_FILTER, null);
    say(hello);
    await asked().answer(page([row(9)], "p2"));
    void tail.loadOlder();
    void tail.loadOlder();
    const question = asked();
    expect(questions).toHaveLength(0);
    expect(question.query.cursor).toBe("p2");
    await question.answer(page([row(7), row(8)]));
    expect(shown()).toEqual(["7", "8", "9"]);
    expect(tail.view().history.older).toBe("none");
    await tail.loadOlder();
    expect(questions).toHaveLength(0);
  });

  it("asks for older rows behind the oldest one it still has", async () => {
    begin({ entries: 4, weight: 1_000_000, overflow: 4 });
    tail.show(NO_FILTER, null);
    say(hello);
    await asked().answer(page([row(1), row(2)], null));
    expect(tail.view().history.older).toBe("none");
    sayRows([row(3), row(4), row(5), row(6), row(7), row(8)]);
    expect(shown()).toEqual(["5", "6", "7", "8"]);
    expect(tail.view().history.older).toBe("more");
    tail.show({ ...NO_FILTER, q: "x" }, null);
    tail.show(NO_FILTER, null);
    questions.shift();
    await asked().answer(page([row(8)], "p2"));
    void tail.loadOlder();
    expect(asked().query.cursor).toBe("p2");
  });

  it("fetches again what had to go, and goes on until something new comes", async () => {
    begin({ entries: 4, weight: 1_000_000, overflow: 4 });
    tail.show(NO_FILTER, null);
    say(hello);
    await asked().answer(page([], null));
    sayRows([row(1), row(2, { level: "error" }), row(3), row(4), row(5, { level: "error" })]);
    expect(tail.view().history.older).toBe("more");
    tail.show(errors, null);
    await asked().answer(page([row(5, { level: "error" })], "p2"));
    void tail.loadOlder();
    const again = asked();
    expect(again.query.to).toBe("2026-11-22T12:00:01.001Z");
    await again.answer(page([], "p3"));
    const next = asked();
    expect(next.query.cursor).toBe("p3");
    await next.answer(page([row(0, { level: "error" })]));
    expect(shown()).toEqual(["0", "2", "5"]);
  });

  it("goes on behind the lines it kept as the filter narrowed", async () => {
    tail.show(NO_FILTER, null);
    say(hello);
    await asked().answer(page([row(1, { level: "error", cursor: "of-1" }), row(2)], "p2"));
    tail.show(errors, null);
    await asked().answer(page([row(9, { level: "error" })], "p3"));
    void tail.loadOlder();
    expect(asked().query.cursor).toBe("of-1");
  });

  it("shows a linked line's surroundings, counts what comes, and goes live", async () => {
    tail.show(NO_FILTER, { id: "5", ts: row(5).ts });
    say(hello);
    const upTo = asked();
    expect(upTo.query.to).toBe("2026-11-22T12:00:05.001Z");
    await upTo.answer(page([row(4), row(5)], "older"));
    await asked().answer(page([row(5), row(6)]));
    sayRows([row(90), row(91)]);
    expect(shown()).toEqual(["4", "5", "6"]);
    expect(tail.view()).toMatchObject({ isFollowing: false, newCount: 2, linked: { id: "5" } });
    expect(tail.placeOfLinked()).toEqual({ index: 1, isHere: true });
    tail.show(NO_FILTER, null);
    await asked().answer(page([row(90), row(91)]));
    expect(shown()).toEqual(["90", "91"]);
    expect(tail.view()).toMatchObject({ isFollowing: true, newCount: 0, linked: null });
  });

  it("shows a stretch of the past, only counts what comes, and goes live", async () => {
    const past = { from: START, to: START + 60_000 };
    tail.show(NO_FILTER, null, past);
    say({ type: "hello", cursor: "c", as_of: row(100).ts });
    const question = asked();
    expect([question.query.from, question.query.to]).toEqual([row(0).ts, row(60).ts]);
    await question.answer(page([row(4), row(5)], "more"));
    sayRows([row(101)]);
    expect(shown()).toEqual(["4", "5"]);
    expect(tail.view()).toMatchObject({ isFollowing: false, newCount: 1, past });
    void tail.loadOlder();
    expect(asked().query).toMatchObject({ cursor: "more", from: row(0).ts });

    tail.show(NO_FILTER, null);
    expect(tail.view()).toMatchObject({ isFollowing: true, past: null });
    expect(asked().query.from).toBeUndefined();
  });

  it("knows where a linked line was that is not kept", async () => {
    tail.show(NO_FILTER, { id: "gone", ts: row(5).ts });
    say(hello);
    await asked().answer(page([row(3), row(4)]));
    await asked().answer(page([row(6), row(7)]));
    expect(tail.placeOfLinked()).toEqual({ index: 2, isHere: false });
  });

  it("reads on until the rows after a linked line meet it, and marks where they do not", async () => {
    tail.show(NO_FILTER, { id: "5", ts: row(5).ts });
    say(hello);
    await asked().answer(page([row(4), row(5)]));
    for (const second of [30, 28, 26, 24, 22]) {
      const question = asked();
      expect(question.query).toMatchObject({ from: row(5).ts, to: row(35).ts, limit: 1_000 });
      // Each page is asked for after the one before.
      // oxlint-disable-next-line no-await-in-loop
      await question.answer(page([row(second), row(second + 1)], "more"));
    }
    expect(questions).toHaveLength(0);
    expect(shown().slice(0, 5)).toEqual(["4", "5", "cut:null:idle", "22", "23"]);
    void tail.fill(tail.entryAt(2)?.id ?? "");
    const missing = asked();
    // Up to the next line, not up to now: the tail goes on far away from here.
    expect(missing.query).toMatchObject({ from: row(3).ts, to: row(24).ts });
    await missing.answer(page([row(6), row(7)]));
    expect(shown().slice(0, 6)).toEqual(["4", "5", "6", "7", "22", "23"]);
  });

  it("fills a marker of before a reconnect without what came since", async () => {
    tail.show(NO_FILTER, null);
    say(hello);
    await asked().answer(page([row(1)]));
    sayRows([row(9)], 412);
    say({ ...hello, as_of: row(900).ts });
    void tail.fill(tail.entryAt(1)?.id ?? "");
    expect(asked().query.to).toBe(row(11).ts);
  });

  it("stays paused when the filter changes", async () => {
    tail.show(NO_FILTER, null);
    say(hello);
    await asked().answer(page([row(1)]));
    tail.hold("pause");
    tail.show({ ...NO_FILTER, queue: ["mail"] }, null);
    tail.show(NO_FILTER, null);
    questions.shift();
    await asked().answer(page([row(1)]));
    sayRows([row(2)]);
    expect([shown(), tail.view().newCount]).toEqual([["1"], 1]);
    tail.follow();
    expect(shown()).toEqual(["1", "2"]);
  });

  it("follows again when the list is left with a detail open, but stays paused", async () => {
    tail.show(NO_FILTER, null);
    say(hello);
    await asked().answer(page([row(1)]));
    tail.hold("scroll");
    tail.hold("detail");
    tail.leave();
    expect(tail.view().isFollowing).toBe(true);
    tail.hold("pause");
    tail.leave();
    expect(tail.view().isPaused).toBe(true);
  });

  it("resumes a lost connection after the last cursor", async () => {
    tail.show(NO_FILTER, null);
    say(hello);
    sayRows([row(1)]);
    channels[0]?.events.onClose();
    expect(tail.connection().state.status).toBe("reconnecting");
    runTimer(500);
    expect(channels[1]?.params).toEqual({ after: "c" });
  });
});
