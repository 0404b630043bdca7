/**
 * The server's clock, as far as its answers show it: ages and bounds are told by it, for this machine's may be minutes
 * off.
 */

/** A date is written to the second, and by many servers anew once a second only. */
const DATE_STEP_MS = 2_000;

let aheadMs = 0;

/** Learn from the date of an answer that was asked for at `sentAt` and came at `gotAt`, ms of this machine's clock. */
export function noteDate(date: string | null, sentAt: number, gotAt: number): void {
  const time = Date.parse(date ?? "");
  if (Number.isNaN(time)) return;
  // No more than it shows: a clock that may be right is left as it is.
  aheadMs = Math.min(Math.max(aheadMs, time - gotAt), time + DATE_STEP_MS - sentAt);
}

/** How far the server's clock is ahead of this machine's, ms. */
export function serverAheadMs(): number {
  return aheadMs;
}

/** The time by the server's clock, ms since 1970. */
export function serverNow(): number {
  return Date.now() + aheadMs;
}
