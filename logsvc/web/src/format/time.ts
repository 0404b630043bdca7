/** local: of this machine. */
export type Zone = "local" | "utc";

const CLOCK = inZones({
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
  hourCycle: "h23",
});
const DAY_AND_CLOCK = inZones({
  day: "2-digit",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});
const DAY_AND_SECOND = inZones({
  day: "2-digit",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const DAY_AND_MILLISECOND = inZones({
  day: "2-digit",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
  hourCycle: "h23",
});
const FULL = inZones({
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
const MINUTE = inZones({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const SECOND = inZones({ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = inZones({ day: "numeric", month: "short" });

type Zones = Readonly<Record<Zone, Intl.DateTimeFormat>>;

function inZones(options: Intl.DateTimeFormatOptions): Zones {
  return {
    local: new Intl.DateTimeFormat("en-GB", options),
    utc: new Intl.DateTimeFormat("en-GB", { ...options, timeZone: "UTC" }),
  };
}

/** Time of a row: to the millisecond when it is less than 20 h old, else its day, to the second. now: ms since 1970. */
export function clockTime(ts: string, now: number, zone: Zone): string {
  return timeOfDay(ts, now, zone, DAY_AND_SECOND);
}

/** The same where there is room: to the millisecond however old. */
export function exactTime(ts: string, now: number, zone: Zone): string {
  return timeOfDay(ts, now, zone, DAY_AND_MILLISECOND);
}

function timeOfDay(ts: string, now: number, zone: Zone, withDay: Zones): string {
  const time = Date.parse(ts);
  if (Number.isNaN(time)) return "–";
  const isRecent = Math.abs(now - time) < 20 * 3_600_000;
  return isRecent ? CLOCK[zone].format(time) : withDay[zone].format(time).replace(",", "");
}

/** Time with day and zone, for titles and the detail. */
export function fullTime(ts: string | number, zone: Zone): string {
  const time = typeof ts === "number" ? ts : Date.parse(ts);
  return Number.isNaN(time) ? String(ts) : FULL[zone].format(time);
}

/** Day and time to the minute: "25 Nov 14:03". time: ms since 1970. */
export function dayAndTime(time: number, zone: Zone): string {
  return DAY_AND_CLOCK[zone].format(time).replace(",", "");
}

/**
 * A tick of a time axis whose ticks are `step` ms apart: "14:30", with seconds where they matter; at midnight, and on
 * an axis of days, the day.
 */
export function tickTime(time: number, step: number, zone: Zone): string {
  if (step >= 86_400_000) return DAY[zone].format(time);
  const text = (step < 60_000 ? SECOND : MINUTE)[zone].format(time);
  return text === "00:00" || text === "00:00:00" ? DAY[zone].format(time) : text;
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

/** The same as a distance from now: "just now", "3 min ago". */
export function ago(ms: number): string {
  const text = age(Math.max(0, ms));
  return text === "now" ? "just now" : `${text} ago`;
}

function two(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}
