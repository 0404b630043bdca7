import { UNHEEDED, type Incident, type IncidentState, type Silence } from "../../api/incidents.ts";
import type { Page } from "../../api/types.ts";
import { count, counted } from "../../format/count.ts";
import { age, ago, duration } from "../../format/time.ts";

const MINUTE_MS = 60_000;

/** How long people keep something quiet. */
export const QUIET_TIMES = [
  { minutes: 30, name: "30 min" },
  { minutes: 60, name: "1 h" },
  { minutes: 240, name: "4 h" },
  { minutes: 1440, name: "24 h" },
] as const;

/** Nobody has taken it, and nothing keeps it quiet. */
export function isUnheeded({ state }: Pick<Incident, "state">): boolean {
  return UNHEEDED.includes(state);
}

const TONES: Readonly<Record<IncidentState, "error" | "warn" | "good" | "debug">> = {
  new: "error",
  firing: "error",
  regressed: "error",
  acked: "warn",
  silenced: "debug",
  resolved: "good",
};

const ORDER: readonly IncidentState[] = ["regressed", "new", "firing", "acked", "silenced", "resolved"];

export function toneOf(state: IncidentState): "error" | "warn" | "good" | "debug" {
  return TONES[state];
}

function need(incident: Incident): number {
  return isUnheeded(incident) ? 0 : ORDER.indexOf(incident.state);
}

/** What needs somebody first; within that, what happened last. */
export function byNeed(incidents: readonly Incident[]): Incident[] {
  return incidents.toSorted(
    (one, other) => need(one) - need(other) || Date.parse(other.last_at) - Date.parse(one.last_at),
  );
}

/** Where it stands, in words: who has it, what keeps it quiet, or when it ended. now: ms since 1970. */
export function standOf(incident: Incident, now: number): string {
  const { state } = incident;
  const since = (at: string | null): string => (at === null ? "" : ` ${ago(now - Date.parse(at))}`);
  if (state === "acked") return `${incident.acked_by ?? "somebody"} has it since${since(incident.acked_at)}`;
  if (state === "silenced")
    return incident.silenced_until ? `quiet for ${left(incident.silenced_until, now)}` : "quiet";
  if (state === "resolved") return `over since${since(incident.resolved_at)}`;
  const before = incident.previous_by ? `; ${incident.previous_by} had it last time` : "";
  return state === "regressed" || incident.regressed
    ? `it is back, for the ${ordinal(incident.episode)} time${before}`
    : "nobody has it yet";
}

/** "37 failures", "found 3 times": in this episode, with those that a silence hid. */
export function countOf({ count: times, hidden, kind }: Incident): string {
  const told = kind === "rule" ? `found ${times === 1 ? "once" : `${count(times)} times`}` : counted(times, "failure");
  return hidden > 0 ? `${told}, ${count(hidden)} while quiet` : told;
}

/** "3 open incidents"; of more than one answer holds, at least how many. */
export function openWords({ items, next_cursor: more }: Page<Incident>): string {
  return more === null ? counted(items.length, "open incident") : `more than ${count(items.length)} open incidents`;
}

export type Deed = "ack" | "unack" | "silence" | "resolve";

/** What is asked before an incident is handled. verb: what the button does. */
export interface Question {
  title: string;
  consequence: string;
  verb: string;
}

/** Word the question, with the number as it is now. quietFor: of a silence. */
export function questionOf(deed: Deed, incident: Incident, quietFor: string): Question {
  const of = `${incident.title} in ${incident.queue}`;
  switch (deed) {
    case "ack":
      return {
        title: `Take ${of}?`,
        consequence: "The chat says that you have it, and nobody else is called for it.",
        verb: `Take 1 incident with ${countOf(incident)}`,
      };
    case "unack":
      return {
        title: `Give ${of} back?`,
        consequence: "It needs somebody again: reminders and calls go on.",
        verb: `Give 1 incident with ${countOf(incident)} back`,
      };
    case "silence":
      return {
        title: `Keep ${of} quiet?`,
        consequence: "It does not ring meanwhile. Failures are counted all the same.",
        verb: `Keep 1 incident with ${countOf(incident)} quiet for ${quietFor}`,
      };
    case "resolve":
      return {
        title: `Is ${of} over?`,
        consequence: "The chat says that you ended it. The next one of its kind rings again.",
        verb: `End 1 incident with ${countOf(incident)}`,
      };
  }
}

/** Why it is too late for it; empty: it is not. */
export function tooLate(deed: Deed, incident: Incident, now: number): string {
  const isPossible = {
    ack: isUnheeded(incident) || incident.state === "silenced",
    unack: incident.state === "acked",
    silence: incident.state !== "resolved",
    resolve: incident.state !== "resolved",
  }[deed];
  return isPossible ? "" : `There is nothing to do any more: ${standOf(incident, now)}.`;
}

/** How long something still lasts, to the minute, rounded up: what was just silenced for 4 h is so for 4 h. */
export function left(until: string, now: number): string {
  const ms = Date.parse(until) - now;
  if (ms <= 0) return "no longer";
  return ms < MINUTE_MS ? age(Math.max(ms, 1_500)) : duration(Math.ceil(ms / MINUTE_MS) * MINUTE_MS);
}

/** What a silence keeps quiet, in words; an empty part of it means any. */
export function scopeOf({ is_maintenance: isMaintenance, env, source, queue, fingerprint }: Silence): string {
  if (isMaintenance) return `maintenance: all of ${env}`;
  const what = fingerprint === "" ? "everything" : "one kind of failure";
  const where = [queue, source, env].filter(Boolean).join(" · ");
  return where === "" ? what : `${what} in ${where}`;
}

function ordinal(value: number): string {
  const endings = ["th", "st", "nd", "rd"];
  const tens = value % 100;
  return `${value}${endings[tens > 10 && tens < 14 ? 0 : value % 10] ?? "th"}`;
}
