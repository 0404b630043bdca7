const CLOCK = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
  hourCycle: "h23",
});
const DAY_AND_CLOCK = new Intl.DateTimeFormat("en-GB", {
  day: "2-digit",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});
const FULL = new Intl.DateTimeFormat("en-GB", {
  weekday: "short",
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
  hourCycle: "h23",
  timeZoneName: "short",
});

/** Local time of a row: to the millisecond when it is less than 20 h old, else with its day. now: ms since 1970. */
export function clockTime(ts: string, now: number): string {
  const time = Date.parse(ts);
  if (Number.isNaN(time)) return "–";
  const isRecent = Math.abs(now - time) < 20 * 3_600_000;
  return isRecent ? CLOCK.format(time) : DAY_AND_CLOCK.format(time).replace(",", "");
}

/** Local time with day and zone, for titles and the detail. */
export function fullTime(ts: string | number): string {
  const time = typeof ts === "number" ? ts : Date.parse(ts);
  return Number.isNaN(time) ? String(ts) : FULL.format(time);
}

/** A length of time in at most two units: "85 ms", "1.24 s", "2 min 3 s", "3 h 20 min", "4 d 2 h". */
export function duration(ms: number): string {
  if (ms < 0) return `-${duration(-ms)}`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 9_995) return `${(ms / 1_000).toFixed(2)} s`;
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return two(Math.floor(seconds / 60), "min", seconds % 60, "s");
  if (seconds < 86_400) return two(Math.floor(seconds / 3_600), "h", Math.floor((seconds % 3_600) / 60), "min");
  return two(Math.floor(seconds / 86_400), "d", Math.floor((seconds % 86_400) / 3_600), "h");
}

/** An age for people: "now", "12 s", "3 min", "2 h", "5 d". */
export function age(ms: number): string {
  if (ms < 1_500) return "now";
  if (ms < 60_000) return `${Math.round(ms / 1_000)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min`;
  if (ms < 86_400_000) return `${Math.floor(ms / 3_600_000)} h`;
  return `${Math.floor(ms / 86_400_000)} d`;
}

function two(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}
