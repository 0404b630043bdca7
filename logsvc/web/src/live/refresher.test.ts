import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { Refresher } from "./refresher.ts";
import type { RefreshMeta } from "./refreshes.ts";
import type { ChannelEvents } from "./socket.ts";

const QUEUE: RefreshMeta = { refreshedBy: [{ type: "queue-refresh" }] };
const JOB: RefreshMeta = { refreshedBy: [{ type: "job-refresh", queue: "q", jobId: "7" }], isHistory: true };
const JOB_CHANGED = '{"type":"job-refresh","data":{"id":"main/q/7","queueName":"q","jobId":"7"}}';
const QUEUE_CHANGED = '{"type":"queue-refresh","data":{"id":"main/q","queueName":"q"}}';

let queries: QueryClient;
let refresher: Refresher;
let isHidden = false;
let channels: { events: ChannelEvents; sent: string[]; isOpen: boolean }[];

/** Observe a query; returns how often it was asked. */
function watch(key: string, meta: RefreshMeta): () => number {
  const ask = vi.fn(() => Promise.resolve(key));
  new QueryObserver(queries, { queryKey: [key], queryFn: ask, meta, staleTime: Infinity }).subscribe(() => {});
  return () => ask.mock.calls.length;
}

async function connect(): Promise<void> {
  await vi.advanceTimersByTimeAsync(200);
  channels.at(-1)?.events.onText('{"type":"done","what":"subscribe"}');
  await vi.advanceTimersByTimeAsync(0);
}

beforeEach(() => {
  vi.useFakeTimers();
  queries = new QueryClient();
  channels = [];
  isHidden = false;
  refresher = new Refresher({
    queries,
    random: () => 0.5,
    isHidden: () => isHidden,
    clock: {
      now: () => Date.now(),
      later: (run, ms) => {
        const timer = setTimeout(run, ms);
        return () => clearTimeout(timer);
      },
    },
    open: (_params, events) => {
      const channel = { events, sent: [] as string[], isOpen: true };
      channels.push(channel);
      return {
        send: (text) => {
          if (channel.isOpen) channel.sent.push(text);
          return channel.isOpen;
        },
        close: () => {
          channel.isOpen = false;
        },
      };
    },
  });
  refresher.start();
});

afterEach(() => {
  queries.clear();
  vi.useRealTimers();
});

describe("Refresher", () => {
  it("subscribes to what is in use, and asks all anew once that counts", async () => {
    const asked = watch("job", JOB);
    await connect();
    expect(channels[0]?.sent).toEqual([
      '{"type":"subscribe","to":[{"type":"job-refresh","queueName":"q","jobId":"7"}]}',
    ]);
    expect(asked()).toBe(2);
  });

  it("asks only what was touched, and at most once a second", async () => {
    const queue = watch("queue", QUEUE);
    const job = watch("job", JOB);
    await connect();
    for (let told = 0; told < 10; told += 1) {
      channels[0]?.events.onText(QUEUE_CHANGED);
      // oxlint-disable-next-line no-await-in-loop
      await vi.advanceTimersByTimeAsync(200);
    }
    expect(queue()).toBeGreaterThan(2);
    expect(queue()).toBeLessThanOrEqual(2 + 3);
    expect(job()).toBe(2);
  });

  it("gives history time to learn of it, and looks once more", async () => {
    const job = watch("job", JOB);
    await connect();
    channels[0]?.events.onText(JOB_CHANGED);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(job()).toBe(2);
    await vi.advanceTimersByTimeAsync(500);
    expect(job()).toBe(3);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(job()).toBe(4);
  });

  it("lets an answer come that takes longer than changes do, and asks once more for what changed meanwhile", async () => {
    const answers: (() => void)[] = [];
    const ask = vi.fn(
      () =>
        new Promise<number>((answer) => {
          answers.push(() => answer(answers.length));
        }),
    );
    const seen = new QueryObserver(queries, { queryKey: ["slow"], queryFn: ask, meta: QUEUE, staleTime: Infinity });
    seen.subscribe(() => {});
    await connect();
    for (let told = 0; told < 5; told += 1) {
      channels[0]?.events.onText(QUEUE_CHANGED);
      // oxlint-disable-next-line no-await-in-loop
      await vi.advanceTimersByTimeAsync(1_100);
    }
    expect(ask).toHaveBeenCalledTimes(1);
    answers[0]?.();
    await vi.advanceTimersByTimeAsync(0);
    expect(seen.getCurrentResult().data).toBe(1);
    await vi.advanceTimersByTimeAsync(1_100);
    answers[1]?.();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(seen.getCurrentResult().data).toBe(2);
    expect(ask).toHaveBeenCalledTimes(2);
  });

  it("polls while it is not connected, and comes back", async () => {
    const queue = watch("queue", QUEUE);
    await connect();
    const [first] = channels;
    if (first) first.isOpen = false;
    first?.events.onClose();
    const asked = queue();
    await vi.advanceTimersByTimeAsync(9_900);
    expect(channels.length).toBeGreaterThan(1);
    expect(queue()).toBe(asked + 1);
    await connect();
    expect(queue()).toBe(asked + 2);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(queue()).toBe(asked + 2);
  });

  it("asks once a minute while a connection says nothing, and leaves one that does not answer", async () => {
    const queue = watch("queue", QUEUE);
    await connect();
    const asked = queue();
    await vi.advanceTimersByTimeAsync(50_000);
    expect(queue()).toBe(asked);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(queue()).toBe(asked + 1);
    expect(channels[0]?.sent).toHaveLength(2);
    channels[0]?.events.onText('{"type":"done","what":"subscribe"}');
    await vi.advanceTimersByTimeAsync(50_000);
    expect(channels).toHaveLength(1);

    await vi.advanceTimersByTimeAsync(30_000);
    expect(channels).toHaveLength(2);
    expect(channels[0]?.isOpen).toBe(false);
    await connect();
    const again = queue();
    channels[0]?.events.onText(QUEUE_CHANGED);
    channels[0]?.events.onClose();
    await vi.advanceTimersByTimeAsync(5_000);
    expect([queue(), channels.length]).toEqual([again, 2]);
  });

  it("asks what nothing changed since once a minute, but not what is over for good", async () => {
    const job = watch("job", JOB);
    const queue = watch("queue", QUEUE);
    const past = watch("past", { refreshedBy: [], isHistory: true });
    await connect();
    for (let minute = 0; minute < 6; minute += 1) {
      channels[0]?.events.onText(QUEUE_CHANGED);
      // oxlint-disable-next-line no-await-in-loop
      await vi.advanceTimersByTimeAsync(30_000);
    }
    expect(channels).toHaveLength(1);
    expect(job()).toBe(2 + 2);
    expect(queue()).toBe(2 + 6);
    expect(past()).toBe(2);
  });

  it("does not wait for its turn when the network is back", async () => {
    await connect();
    channels[0]?.events.onClose();
    refresher.check();
    expect(channels).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(channels.length).toBeLessThanOrEqual(4);
  });

  it("leaves a connection that hangs on its way, and polls meanwhile", async () => {
    const queue = watch("queue", QUEUE);
    await vi.advanceTimersByTimeAsync(9_900);
    expect(channels).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(channels).toHaveLength(2);
    expect(channels[0]?.isOpen).toBe(false);
    expect(queue()).toBe(2);
    await connect();
    await vi.advanceTimersByTimeAsync(15_000);
    expect([queue(), channels.length]).toEqual([3, 2]);
  });

  it("asks for what rings while nobody looks, and for nothing else", async () => {
    const queue = watch("queue", QUEUE);
    const incidents = watch("incidents", { refreshedBy: [{ type: "incident-refresh" }], isAlarm: true });
    await connect();
    isHidden = true;
    channels[0]?.events.onText(QUEUE_CHANGED);
    channels[0]?.events.onText('{"type":"incident-refresh","data":{}}');
    await vi.advanceTimersByTimeAsync(1_100);
    expect([queue(), incidents()]).toEqual([2, 3]);
  });
});
