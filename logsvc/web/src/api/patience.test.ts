import { expect, it } from "vitest";

import { ApiError, type Progress } from "./client.ts";
import { mayPass, turns, untilAnswered } from "./patience.ts";

const refused = (status: number, word: string, seconds: number | null, progress: Progress | null = null): ApiError =>
  new ApiError(status, "no", seconds, { word, mend: "", progress });

/** A server that gives these answers one after the other, and a clock that only waiting moves on. */
function serverOf(answers: readonly (ApiError | string)[]) {
  let at = 0;
  let ms = 0;
  const waits: number[] = [];
  return {
    waits,
    ask: (): Promise<string> => {
      const answer = answers[Math.min(at, answers.length - 1)] ?? "";
      at += 1;
      return typeof answer === "string" ? Promise.resolve(answer) : Promise.reject(answer);
    },
    wait: (waited: number): Promise<void> => {
      waits.push(waited);
      ms += waited;
      return Promise.resolve();
    },
    now: () => ms,
  };
}

it("sends the same again while it is under way, as soon as the server says, and tells how far it is", async () => {
  const progress = { settled: 412, planned: 25_000 };
  const server = serverOf([
    refused(503, "busy", 5),
    refused(429, "", null),
    refused(503, "still_running", 1, progress),
    "done",
  ]);
  const told: (Progress | null)[] = [];
  expect(await untilAnswered(server.ask, { ...server, tell: (one) => told.push(one) })).toBe("done");
  expect(server.waits).toEqual([5_000, 5_000, 1_000]);
  expect(told).toEqual([null, null, progress]);
});

it("leaves to people what is wrong, and what is not done after a quarter of an hour", async () => {
  const broken = refused(503, "redis_unavailable", 5);
  await expect(untilAnswered(serverOf([broken]).ask)).rejects.toBe(broken);
  const endless = serverOf([refused(503, "still_running", 1)]);
  await expect(untilAnswered(endless.ask, endless)).rejects.toMatchObject({ said: { word: "still_running" } });
  expect(endless.waits).toHaveLength(900);
});

it("knows what it may help to send again", () => {
  const helps = [refused(0, "", null), refused(503, "redis_unavailable", 5), refused(504, "", null)];
  expect(helps.every(mayPass)).toBe(true);
  const never = [refused(422, "too_many", null), refused(409, "conflict", null), refused(503, "not_configured", null)];
  expect([...never, new Error("a bug")].some(mayPass)).toBe(false);
});

it("waits no longer than somebody wants the answer, so that its turn is another's", async () => {
  const inTurn = turns(1);
  const wanted = new AbortController();
  const { signal } = wanted;
  const busy = refused(503, "busy", 30);
  const told = (): void => void Promise.resolve().then(() => wanted.abort());
  const left = inTurn(() => untilAnswered(() => Promise.reject(busy), { signal, tell: told }));
  const next = inTurn(() => Promise.resolve("next"));
  await expect(left).rejects.toMatchObject({ name: "AbortError" });
  expect(await next).toBe("next");
});

it("asks no more once nobody wants the answer", async () => {
  const server = serverOf([refused(503, "busy", 5)]);
  const left = new AbortController();
  left.abort();
  await expect(untilAnswered(server.ask, { ...server, signal: left.signal })).rejects.toThrow("abort");
  expect(server.waits).toEqual([]);
});

it("lets three at once, in the order they came, whatever becomes of them", async () => {
  const inTurn = turns(3);
  const begun: number[] = [];
  let running = 0;
  let most = 0;
  const all = Array.from({ length: 20 }, (_, number) =>
    inTurn(async () => {
      begun.push(number);
      running += 1;
      most = Math.max(most, running);
      await Promise.resolve();
      running -= 1;
      if (number % 7 === 0) throw new Error("this one fails");
    }),
  );
  const failed = (await Promise.allSettled(all)).filter(({ status }) => status === "rejected");
  expect([most, failed.length, begun]).toEqual([3, 3, [...begun.keys()]]);
  expect(begun).toHaveLength(20);
});
