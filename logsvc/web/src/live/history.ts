import type { Params } from "../api/client.ts";
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

/** isComplete: false when the oldest rows of the span were too many. */
export interface Found {
  rows: Row[];
  isComplete: boolean;
}

/** Asks history for pages and for spans of time. Every answer throws when its signal was given up meanwhile. */
export class History {
  /** The filter's keys, as the URL has them. */
  filter: Params = {};
  /** The stretch of time within which all pages are; null = any. */
  past: Span | null = null;
  /** When the live tail began, by the server's clock, in ms; 0 = not known. What came later comes live. */
  liveSince = 0;
  readonly #fetchLogs: FetchLogs;
  readonly #clock: Clock;

  constructor(fetchLogs: FetchLogs, clock: Clock) {
    this.#fetchLogs = fetchLogs;
    this.#clock = clock;
  }

  async page(query: Partial<LogsQuery>, signal: AbortSignal): Promise<Page<Row>> {
    const page = await this.#fetchLogs(
      { limit: PAGE_ROWS, ...(this.past ? timesOf(this.past) : {}), ...query, filter: this.filter },
      signal,
    );
    signal.throwIfAborted();
    return page;
  }

  /** The time in which the rows between two others lie, and up to `until`; a row that is not there leaves its side open. */
  spanOf({ before, after, until }: { before: Row | undefined; after: Row | undefined; until: number }): Span {
    const times = [before, after].flatMap((row) => (row ? [timeOf(row)] : []));
    return {
      from: before ? Math.min(...times) - SLACK_MS : null,
      to: after ? Math.max(...times, until) + SLACK_MS : null,
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
        const found = await this.#settledSpan(span(), signal);
        if (found !== null) return found;
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

  /** The rows that history has now in a span of time, newest pages first. */
  async span(span: Span, signal: AbortSignal): Promise<Found> {
    return this.#withOlder(await this.page(boundsOf(span), signal), span, signal);
  }

  /** The same; null when history has not come so far yet. */
  async #settledSpan(span: Span, signal: AbortSignal): Promise<Found | null> {
    const newest = await this.page(boundsOf(span), signal);
    const end = span.to === null ? this.liveSince : span.to - SLACK_MS;
    if (newest.as_of === null || Date.parse(newest.as_of) < end) return null;
    return this.#withOlder(newest, span, signal);
  }

  /** The newest page of a span together with the older ones. */
  async #withOlder(newest: Page<Row>, span: Span, signal: AbortSignal): Promise<Found> {
    let rows = [...newest.items];
    let cursor = newest.next_cursor;
    for (let fetched = 1; cursor !== null && fetched < FILL_PAGES; fetched += 1) {
      // Each page is asked for with the cursor of the one before.
      // oxlint-disable-next-line no-await-in-loop
      const page: Page<Row> = await this.page({ ...boundsOf(span), cursor }, signal);
      rows = [...page.items, ...rows];
      cursor = page.next_cursor;
    }
    return { rows, isComplete: cursor === null };
  }
}

function boundsOf(span: Span): Partial<LogsQuery> {
  return { limit: FILL_PAGE_ROWS, ...timesOf(span) };
}

function timesOf({ from, to }: Span): Partial<LogsQuery> {
  return {
    ...(from === null ? {} : { from: new Date(from).toISOString() }),
    ...(to === null ? {} : { to: new Date(to).toISOString() }),
  };
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
