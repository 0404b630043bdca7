/** The shapes that logsvc sends. A field that is empty or has its default is left out of the JSON. */

export type Level = "debug" | "info" | "warn" | "error";
export type Kind = "event" | "log";

/** Worst first: the order in which levels are offered. */
export const LEVELS: readonly Level[] = ["error", "warn", "info", "debug"];
export const KINDS: readonly Kind[] = ["event", "log"];

/** One job event or one log line: an item of the live tail and of GET /api/v1/logs. */
export interface Row {
  id: string;
  /** RFC 3339, UTC, milliseconds of the Redis clock. */
  ts: string;
  kind: Kind;
  level: Level;
  cursor?: string;
  env?: string;
  service?: string;
  source?: string;
  queue?: string;
  job_id?: string;
  job_name?: string;
  /** ms since 1970, as all times but `ts`. */
  added_at?: number;
  /** BullMQ's own word, or Tocsin's: gap, stream-reset, gone, retrying. */
  event?: string;
  state?: string;
  prev?: string;
  attempt?: number;
  max_attempts?: number;
  message?: string;
  error?: string;
  error_type?: string;
  /** Frames of this attempt's stack, newest call first. */
  stack?: readonly string[];
  fingerprint?: string;
  /** JSON text, as the job had it after redaction; may be cut with a marker and then is no longer JSON. */
  data?: string;
  result?: string;
  progress?: string;
  wait_ms?: number | null;
  run_ms?: number | null;
  started_at?: number | null;
  delay_until?: number | null;
  worker?: string;
  parent?: string;
  scheduler?: string;
  trace_id?: string;
  /** JSON text: what a line of Tocsin's own services says beside its message. */
  fields?: string;
  /** false where the job was gone when the event was read; left out when true. */
  enriched?: boolean;
  rebuilt?: boolean;
  backfill?: boolean;
  /** Only on gap records: how many events BullMQ trimmed before they could be read. */
  lost?: number;
}

/** One item of GET /api/v1/queues. null means "could not be learnt", never 0. */
export interface QueueItem {
  env?: string;
  source: string;
  queue: string;
  waiting: number;
  active: number;
  delayed: number;
  prioritized: number;
  waiting_children: number;
  completed: number;
  failed: number;
  is_paused: boolean;
  workers: number | null;
  oldest_waiting_seconds: number | null;
  as_of: string;
}

/** How far back history goes, and how many events of the time asked for were lost; null = not known now. */
export interface Coverage {
  history_since: string | null;
  events_lost: number | null;
}

/** A page of results. `as_of`: all that happened before is in; null = not known. `next_cursor` is null on the last page. */
export interface Page<Item> {
  items: readonly Item[];
  next_cursor: string | null;
  as_of: string | null;
  /** Left out by the bot, whose lists are whole. */
  coverage?: Coverage;
}
