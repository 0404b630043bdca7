import type { LogsQuery } from "../api/logs.ts";
import type { Page, Row } from "../api/types.ts";
import { timeOf } from "./entries.ts";
import type { Clock } from "./socket.ts";

/** Rows of one page of history. */
const PAGE_ROWS = 200;
/** Pages fetched for one marker before it says that there is more, and their rows. */
const FILL_PAGES = 5;
const FILL_PAGE_ROWS = 1_000;
/** Rows of several queues come a little out of order: missing ones are looked for so far around, in ms. */
const SLACK_MS = 2_000;
/** Rows reach history about a second after they reach the live tail: wait so long before asking for them again. */
const REST_MS = 2_500;
const SETTLE_TRIES = 12;

export type FetchLogs = (query: LogsQuery, signal: AbortSignal) => Promise<Page<Row>>;

/** A stretch of time, ms since 1970; null = open. */
export interface Span {
  from: number | null;
  to: number | null;
}

/** isSettled: history had everything up to there when it was asked. */
export interface Found {
  rows: Row[];
  isComplete: boolean;
  isSettled: boolean;
}

/** Asks history for pages and for spans of time. Every answer throws when its signal was given up meanwhile. */
export class History {
  /** The filter's keys, as the URL has them. */
  filter: Readonly<Record<string, string>> = {};
  /** When the live tail began, by the server's clock, in ms; 0 = not known. What came later comes live. */
  liveSince = 0;
  readonly #fetchLogs: FetchLogs;
  readonly #clock: Clock;

  constructor(fetchLogs: FetchLogs, clock: Clock) {
    this.#fetchLogs = fetchLogs;
    this.#clock = clock;
  }

  async page(query: Partial<LogsQuery>, signal: AbortSignal): Promise<Page<Row>> {
    const page = await this.#fetchLogs({ limit: PAGE_ROWS, ...query, filter: this.filter }, signal);
    signal.throwIfAborted();
    return page;
  }

  /** The time in which the rows between two others lie; a row that is not there leaves its side open. */
  spanOf({ before, after }: { before: Row | undefined; after: Row | undefined }): Span {
    const times = [before, after].flatMap((row) => (row ? [timeOf(row)] : []));
    return {
      from: before ? Math.min(...times) - SLACK_MS : null,
      to: after ? Math.max(...times, this.liveSince) + SLACK_MS : null,
    };
  }

  /**
   * The rows of a span of time, once history has come so far: it is about a second behind, longer after trouble.
   * Throws when it cannot be had or does not come so far.
   */
  async settled(span: () => Span, signal: AbortSignal): Promise<Found> {
    let problem: unknown = new Error("history is behind");
    for (let tried = 0; tried < SETTLE_TRIES; tried += 1) {
      try {
        // Each try follows the one before.
        // oxlint-disable-next-line no-await-in-loop
        const found = await this.#span(span(), signal);
        if (found.isSettled) return found;
      } catch (error) {
        if (signal.aborted) throw error;
        problem = error;
      }
      // oxlint-disable-next-line no-await-in-loop
      await this.rest(signal);
    }
    throw problem;
  }

  /** Wait a while; throws when the work it belongs to was given up meanwhile. */
  async rest(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#clock.later(resolve, REST_MS);
    });
    signal.throwIfAborted();
  }

  /** The rows that history has now in a span, newest pages first; incomplete when they are too many. */
  async #span({ from, to }: Span, signal: AbortSignal): Promise<Found> {
    const bounds = {
      limit: FILL_PAGE_ROWS,
      ...(from === null ? {} : { from: new Date(from).toISOString() }),
      ...(to === null ? {} : { to: new Date(to).toISOString() }),
    };
    const end = to === null ? this.liveSince : to - SLACK_MS;
    let isSettled = false;
    let rows: Row[] = [];
    let cursor: string | null = null;
    for (let fetched = 0; fetched < FILL_PAGES; fetched += 1) {
      // Each page is asked for with the cursor of the one before.
      // oxlint-disable-next-line no-await-in-loop
      const page: Page<Row> = await this.page(cursor === null ? bounds : { ...bounds, cursor }, signal);
      if (fetched === 0) isSettled = page.as_of !== null && Date.parse(page.as_of) >= end;
      rows = [...page.items, ...rows];
      cursor = page.next_cursor;
      if (cursor === null || !isSettled) break;
    }
    return { rows, isComplete: cursor === null, isSettled };
  }
}

/**
 * From when on rows can be missing from a page of newest rows, ms; null for an empty page, which may miss any.
 * Rows of one queue can be in before older ones of another: the page's as_of counts, not its newest row.
 */
export function unsureSince(page: Page<Row>): number | null {
  const newest = page.items.at(-1);
  if (newest === undefined) return null;
  const asOf = page.as_of === null ? Number.NaN : Date.parse(page.as_of);
  return Math.min(timeOf(newest), Number.isNaN(asOf) ? Number.POSITIVE_INFINITY : asOf) - SLACK_MS;
}
