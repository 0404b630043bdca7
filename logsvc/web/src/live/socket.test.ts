import { beforeEach, describe, expect, it } from "vitest";

import type { ToldFrame } from "./frames.ts";
import { Connection, type Channel, type ChannelEvents, type ConnectionState, type Params, type Via } from "./socket.ts";

class FakeClock {
  #now = 1_000_000;
  #timers: { at: number; run: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  later(run: () => void, ms: number): () => void {
    const timer = { at: this.#now + ms, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = this.#timers.filter((timer) => timer.at <= end).toSorted((one, other) => one.at - other.at)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.#now = due.at;
      due.run();
    }
    this.#now = end;
  }
}

interface Opened {
  via: Via;
  params: Params;
  events: ChannelEvents;
  sent: string[];
  isClosed: boolean;
}

let clock: FakeClock;
let opened: Opened[];
let frames: ToldFrame[];
let states: ConnectionState[];
let connection: Connection;

function opener(via: Via): (params: Params, events: ChannelEvents) => Channel {
  return (params, events) => {
    const channel: Opened = { via, params, events, sent: [], isClosed: false };
    opened.push(channel);
    return {
      send: (text) => via === "websocket" && channel.sent.push(text) > 0,
      close: () => {
        channel.isClosed = true;
      },
    };
  };
}

function current(): Opened {
  const channel = opened.at(-1);
  if (channel === undefined) throw new Error("nothing was opened");
  return channel;
}

function say(frame: object): void {
  current().events.onText(JSON.stringify(frame));
}

const hello = (cursor: string): object => ({ type: "hello", cursor, as_of: "2026-11-22T12:00:00Z" });
const rows = (cursor: string): object => ({ type: "rows", rows: [], cursor, dropped: 0, lag_ms: 1 });

beforeEach(() => {
  clock = new FakeClock();
  opened = [];
  frames = [];
  states = [];
  connection = new Connection({
    open: { websocket: opener("websocket"), sse: opener("sse") },
    clock,
    random: () => 1,
    onFrame: (frame) => frames.push(frame),
    onState: (state) => states.push(state),
  });
  connection.start({ queue: "orders" });
});

describe("Connection", () => {
  it("is connecting until hello, then live", () => {
    expect(connection.state).toEqual({ status: "connecting" });
    expect(current().params).toEqual({ queue: "orders" });
    say(hello("c1"));
    expect(connection.state).toEqual({ status: "live", via: "websocket" });
    expect(frames).toHaveLength(1);
  });

  it("says when it will come back, and resumes after the last cursor", () => {
    say(hello("c1"));
    say(rows("c2"));
    current().events.onClose();
    expect(connection.state).toEqual({ status: "reconnecting", retryAt: clock.now() + 500, attempt: 1 });
    clock.advance(500);
    expect(opened).toHaveLength(2);
    expect(current().params).toEqual({ queue: "orders", after: "c2" });
  });

  it("does not take hello's position for its own after a resume", () => {
    say(hello("c1"));
    say(rows("c2"));
    current().events.onClose();
    clock.advance(500);
    say(hello("c9"));
    current().events.onClose();
    clock.advance(60_000);
    expect(opened[2]?.params["after"]).toBe("c2");
  });

  it("waits longer each time and starts short again after a good connection", () => {
    say(hello("c1"));
    for (const wait of [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]) {
      current().events.onClose();
      expect(connection.state).toMatchObject({ status: "reconnecting", retryAt: clock.now() + wait });
      clock.advance(wait);
      expect(connection.state.status).toBe("connecting");
    }
    say(hello("c1"));
    clock.advance(6_000);
    current().events.onClose();
    expect(connection.state).toMatchObject({ attempt: 1 });
  });

  it("does not hammer a server that greets and hangs up", () => {
    for (const attempt of [1, 2, 3]) {
      say(hello("c1"));
      current().events.onClose();
      expect(connection.state).toMatchObject({ attempt });
      clock.advance(500 * 2 ** (attempt - 1));
    }
  });

  it("falls back to server-sent events after two WebSockets without hello, and back when that fails", () => {
    current().events.onClose();
    clock.advance(500);
    current().events.onClose();
    clock.advance(1_000);
    expect(opened.map((channel) => channel.via)).toEqual(["websocket", "websocket", "sse"]);
    say(hello("c1"));
    expect(connection.state).toEqual({ status: "live", via: "sse" });
    current().events.onClose();
    clock.advance(15_000);
    expect(current().via).toBe("sse");
    current().events.onClose();
    clock.advance(15_000);
    expect(current().via).toBe("websocket");
  });

  it("goes back to WebSockets once one gets through", () => {
    current().events.onClose();
    clock.advance(500);
    current().events.onClose();
    clock.advance(1_000);
    say(hello("c1"));
    const events = current();
    const quiet = (): void => {
      for (let second = 0; second < 300; second += 10) {
        clock.advance(10_000);
        events.events.onText(JSON.stringify({ type: "ping", as_of: "x" }));
      }
    };
    quiet();
    const blocked = current();
    expect(blocked.via).toBe("websocket");
    quiet();
    expect([blocked.isClosed, events.isClosed]).toEqual([true, false]);
    say(hello("c5"));
    expect([events.isClosed, connection.state.status]).toEqual([true, "connecting"]);
    expect([current().via, current().params]).toEqual(["websocket", { queue: "orders", after: "c1" }]);
    say(hello("c5"));
    expect(connection.state).toEqual({ status: "live", via: "websocket" });
    clock.advance(9_000);
    expect(opened.map((channel) => channel.isClosed)).toEqual([true, true, true, true, true, false]);
  });

  it("gives up a channel that never says hello", () => {
    clock.advance(10_000);
    expect(opened[0]?.isClosed).toBe(true);
    expect(connection.state.status).toBe("reconnecting");
  });

  it("turns stale after 20 s of silence, live at the next word, and leaves a dead line", () => {
    say(hello("c1"));
    const since = clock.now();
    clock.advance(19_999);
    expect(connection.state.status).toBe("live");
    clock.advance(1);
    expect(connection.state).toEqual({ status: "stale", since });
    say({ type: "ping", as_of: "x" });
    expect(connection.state.status).toBe("live");
    clock.advance(35_000);
    expect(connection.state.status).toBe("reconnecting");
    expect(opened[0]?.isClosed).toBe(true);
  });

  it("sends a new filter over the open WebSocket", () => {
    say(hello("c1"));
    connection.setParams({ level: "error" });
    expect(current().sent).toEqual(['{"type":"filter","level":"error"}']);
    expect(opened).toHaveLength(1);
  });

  it("says that nobody looks, to each server it comes to, and that somebody does again", () => {
    connection.setHidden(true);
    expect(current().sent).toEqual([]);
    say(hello("c1"));
    expect(current().sent).toEqual(['{"type":"hidden"}']);
    current().events.onClose();
    clock.advance(500);
    say(hello("c1"));
    connection.setHidden(true);
    connection.setHidden(false);
    expect(current().sent).toEqual(['{"type":"hidden"}', '{"type":"visible"}']);
  });

  it("opens anew for a new filter where the channel cannot carry it", () => {
    connection.setParams({ level: "error" });
    expect(opened.map((channel) => channel.isClosed)).toEqual([true, false]);
    expect(current().params).toEqual({ level: "error" });
  });

  it("uses the new filter at the next try while it waits", () => {
    say(hello("c1"));
    current().events.onClose();
    connection.setParams({ level: "warn" });
    expect(opened).toHaveLength(1);
    connection.retryNow();
    expect(current().params).toEqual({ level: "warn", after: "c1" });
  });

  it("begins anew, after a gap, when the server cannot read the position", () => {
    say(hello("c1"));
    say(rows("c2"));
    current().events.onClose();
    clock.advance(500);
    say({ type: "error", detail: "cursor: not one of ours" });
    expect(connection.state.status).toBe("reconnecting");
    clock.advance(1_000);
    expect(current().params).toEqual({ queue: "orders" });
    frames = [];
    say(hello("c7"));
    say(hello("c7"));
    expect(frames.map((frame) => frame.type)).toEqual(["hello", "gap", "hello"]);
  });

  it("stops at a refused filter, says why, and goes on with the next from where it was", () => {
    say(hello("c1"));
    say(rows("c2"));
    connection.setParams({ q: "too long" });
    say({ type: "error", detail: "q: too long" });
    current().events.onClose();
    expect(connection.state).toEqual({ status: "refused", detail: "q: too long" });
    expect(frames.map((frame) => frame.type)).toEqual(["hello", "rows"]);
    clock.advance(600_000);
    expect(opened).toHaveLength(1);
    connection.setParams({ q: "short" });
    expect(current().params).toEqual({ q: "short", after: "c2" });
  });

  it("stops at a filter that is refused from the start", () => {
    say({ type: "error", detail: "q: too long" });
    current().events.onClose();
    clock.advance(600_000);
    expect(connection.state.status).toBe("refused");
    expect(opened).toHaveLength(1);
  });

  it("does not listen to a channel it left", () => {
    const left = current();
    connection.setParams({ level: "error" });
    left.events.onText(JSON.stringify(hello("c1")));
    left.events.onClose();
    expect(connection.state).toEqual({ status: "connecting" });
    expect(frames).toEqual([]);
    expect(opened).toHaveLength(2);
  });
});
