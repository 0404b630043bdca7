import type { ConnectionState } from "./socket.ts";

/** A line that a link points at. */
export interface LinkedLine {
  id: string;
  /** RFC 3339. */
  ts: string;
}

/** How much after a linked line is shown with it. */
export const AFTER_LINK_MS = 30_000;

/** A stretch of the past, ms since 1970. */
export interface Past {
  from: number;
  to: number;
}

export interface HistoryState {
  /** failed: it is tried again. refused: it is not, before something else is asked for. */
  status: "loading" | "ready" | "failed" | "refused";
  /** Why the newest page could not be had, in words. */
  problem: string;
  /** Older rows: there are some, they are on the way, none are left, no room is left, or they could not be had. */
  older: "more" | "loading" | "none" | "full" | "failed";
}

/** What the page draws; a new object for each change, at most one per frame. */
export interface TailView {
  version: number;
  count: number;
  newCount: number;
  isFollowing: boolean;
  isPaused: boolean;
  epoch: number;
  history: HistoryState;
  /** The linked line whose surroundings are shown; null while the view is live, or of a stretch of the past. */
  linked: LinkedLine | null;
  /** The stretch of the past that is shown; null while the view is live, or around a linked line. */
  past: Past | null;
}

/** What is known of the connection, for its own small corner of the page. */
export interface ConnectionView {
  state: ConnectionState;
  /** Age of the newest row when the server sent it, in ms; null before the first. */
  lagMs: number | null;
  /** When rows last came, in ms of the clock; null before the first. */
  rowsAt: number | null;
}

export function isSamePast(one: Past | null, other: Past | null): boolean {
  return one?.from === other?.from && one?.to === other?.to;
}
