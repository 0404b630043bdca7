import { ApiError, type Progress } from "./client.ts";

export interface Patience {
  /** Told whenever an answer says that it is still being done; null: nobody can tell how far. */
  tell?: (progress: Progress | null) => void;
  signal?: AbortSignal;
  wait?: (ms: number, signal?: AbortSignal) => Promise<void>;
  now?: () => number;
}

/** As long as the bot itself tries. */
const LONGEST_MS = 15 * 60_000;
const USUAL_WAIT_SECONDS = 5;
const LONGEST_WAIT_SECONDS = 30;

/** Whether an error says no more than: not yet, send the same again. */
function isUnderWay(error: unknown): error is ApiError {
  if (!(error instanceof ApiError)) return false;
  return error.status === 429 || ["busy", "still_running"].includes(error.said.word);
}

/**
 * Ask until there is an answer, waiting as long as the server says; for what may be sent again. Throws what else comes,
 * and at last that it is not done yet.
 */
export function untilAnswered<Result>(ask: () => Promise<Result>, patience: Patience = {}): Promise<Result> {
  const { tell, signal, wait = pause, now = Date.now } = patience;
  const end = now() + LONGEST_MS;
  const again = async (): Promise<Result> => {
    signal?.throwIfAborted();
    try {
      return await ask();
    } catch (error) {
      if (!isUnderWay(error) || now() >= end) throw error;
      signal?.throwIfAborted();
      tell?.(error.said.progress);
      await wait(Math.min(error.retryAfterSeconds ?? USUAL_WAIT_SECONDS, LONGEST_WAIT_SECONDS) * 1000, signal);
    }
    return again();
  };
  return again();
}

/** Whether the same, sent again as it is, may do better. */
export function mayPass(error: Error): boolean {
  if (!(error instanceof ApiError)) return false;
  if (error.said.word === "not_configured") return false;
  return error.status === 0 || error.status === 429 || error.status >= 500;
}

/** Ends early where nobody wants the answer any more: its turn is another's then. */
function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}

/** Lets so many tasks run at once, the others in turn. */
export function turns(atOnce: number): <Result>(task: () => Promise<Result>) => Promise<Result> {
  let free = atOnce;
  const waiting: (() => void)[] = [];
  return async (task) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    }
  };
}
