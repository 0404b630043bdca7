import { ApiError } from "../api/client.ts";
import type { LogsQuery } from "../api/logs.ts";
import type { Page, Row } from "../api/types.ts";
import { timeOf, type Entry } from "./entries.ts";
import { filterParams, isNarrower, isSameFilter, matches, NO_FILTER, type Filter } from "./filter.ts";
import type { ToldFrame } from "./frames.ts";
import { History, unsureSince, type FetchLogs } from "./history.ts";
import { Lines, type Hold, type LinesLimits } from "./lines.ts";
import { QueuesSeen } from "./queuesSeen.ts";
import { Connection, type Clock, type OpenChannel, type Via } from "./socket.ts";
import {
  AFTER_LINK_MS,
  isSamePast,
  type ConnectionView,
  type HistoryState,
  type LinkedLine,
  type Past,
  type TailView,
} from "./tailView.ts";
import { Told } from "./told.ts";

const HISTORY_RETRY_MS = 5_000;
/** More new rows than a screen holds: nobody reads them as they fly by, and drawing each time would take a core. */
const FLOOD_ROWS = 60;
/** How often they are drawn then. */
const FLOOD_MS = 200;

/** Why nobody sees the lines: the tab is in the background, or it shows another page. */
export type Unseen = "tab" | "page";

export interface TailPorts {
  /** Bounds of the memory; left out: those of a page. */
  limits?: LinesLimits;
  open: Readonly<Record<Via, OpenChannel>>;
  fetchLogs: FetchLogs;
  clock: Clock;
  random: () => number;
  /** Runs something before the next repaint. */
  onNextFrame(run: () => void): void;
}

/**
 * The live tail of the page: history and live rows in one list, outside React.
 *
 * Components subscribe to `view` (rows; at most one change a frame) and to `connection`, and read entries by index.
 */
export class Tail {
  readonly #ports: TailPorts;
  readonly #lines: Lines;
  readonly #connection: Connection;
  readonly #history: History;
  readonly #queues = new QueuesSeen();
  #filter: Filter = NO_FILTER;
  #historyState: HistoryState = { status: "loading", problem: "", older: "none" };
  #olderCursor: string | null = null;
  #linked: LinkedLine | null = null;
  #past: Past | null = null;
  readonly #unseen = new Set<Unseen>();
  /** Rows that came while something of the past was shown. */
  #unshown = 0;
  /** How far the server's clock is ahead of ours at least, ms; null before its first word. */
  #serverAhead: number | null = null;
  /** The first row that came live for the present filter. */
  #firstLive: Row | undefined;
  #work = new AbortController();
  #cancelRetry: () => void = () => {};
  #isFrameAsked = false;
  /** Rows that came since the list was drawn, and when it was, in ms of the clock. */
  #undrawn = 0;
  #drawnAt = 0;
  readonly #view: Told<TailView>;
  readonly #connectionView = new Told<ConnectionView>({ state: { status: "stopped" }, lagMs: null, rowsAt: null });

  readonly subscribe: Told<TailView>["subscribe"];
  readonly view: Told<TailView>["get"];
  readonly subscribeConnection: Told<ConnectionView>["subscribe"];
  readonly connection: Told<ConnectionView>["get"];

  constructor(ports: TailPorts) {
    this.#ports = ports;
    this.#lines = new Lines(ports.limits);
    this.#history = new History(ports.fetchLogs, ports.clock);
    this.#connection = new Connection({
      open: ports.open,
      clock: ports.clock,
      random: ports.random,
      onFrame: (frame) => this.#onFrame(frame),
      onState: (state) => this.#setConnection({ state }),
    });
    this.#view = new Told(this.#draw(0));
    this.subscribe = this.#view.subscribe;
    this.view = this.#view.get;
    this.subscribeConnection = this.#connectionView.subscribe;
    this.connection = this.#connectionView.get;
  }

  /** Open the connection and load what was before; called again, it only takes the new filter. */
  show(filter: Filter, linked: LinkedLine | null, past: Past | null = null): void {
    const isRunning = this.#connection.state.status !== "stopped";
    const isSamePlace = linked?.id === this.#linked?.id && isSamePast(past, this.#past);
    if (isRunning && isSamePlace && isSameFilter(filter, this.#filter)) return;
    const isMoreOfTheSame = isSamePlace && linked === null && past === null && isNarrower(filter, this.#filter);
    this.#filter = filter;
    this.#history.filter = filterParams(filter);
    // What is asked for now comes live from now on.
    if (this.#serverAhead !== null) this.#history.liveSince = this.#ports.clock.now() + this.#serverAhead;
    // What was held at a place in the past follows again where the view is live.
    if (!this.#isLive && linked === null && past === null) this.#lines.release("scroll");
    this.#linked = linked;
    this.#past = linked === null ? past : null;
    this.#history.past = this.#past;
    this.#unshown = 0;
    if (isMoreOfTheSame) this.#lines.keepOnly((row) => matches(filter, row));
    else this.#lines.clear();
    if (!this.#isLive) this.#lines.hold("scroll");
    if (isRunning) this.#connection.setParams(filterParams(filter));
    else this.#connection.start(filterParams(filter));
    this.#setHistory({ status: "loading" });
    this.#startOver();
  }

  /** Open the connection, whatever is shown, if it is not open yet. */
  open(): void {
    if (this.#connection.state.status === "stopped") this.show(this.#filter, this.#linked, this.#past);
  }

  /** Whether what happens now is shown, and nothing of the past instead. */
  get #isLive(): boolean {
    return this.#linked === null && this.#past === null;
  }

  /** Whether nobody sees the lines: what comes then is thinned out by the server, with a mark where. */
  setUnseen(because: Unseen, isUnseen: boolean): void {
    if (isUnseen) this.#unseen.add(because);
    else this.#unseen.delete(because);
    this.#connection.setHidden(this.#unseen.size > 0);
  }

  retryConnection(): void {
    this.#connection.retryNow();
  }

  retryHistory(): void {
    this.#setHistory({ status: "loading" });
    this.#startOver();
  }

  entryAt(index: number): Entry | undefined {
    return this.#lines.at(index);
  }

  seqAt(index: number): number {
    return this.#lines.seqAt(index);
  }

  indexOf(id: string): number {
    return this.#lines.indexOf(id);
  }

  /** Where the linked line is, or was; isHere: whether it is held. index -1: nothing of that time is. */
  placeOfLinked(): { index: number; isHere: boolean } {
    if (this.#linked === null) return { index: -1, isHere: false };
    const index = this.#lines.indexOf(this.#linked.id);
    if (index >= 0) return { index, isHere: true };
    return { index: this.#lines.indexFrom(Date.parse(this.#linked.ts)), isHere: false };
  }

  queuesSeen(): string[] {
    return this.#queues.names();
  }

  hold(reason: Hold): void {
    if (this.#lines.isHeldBy(reason)) return;
    this.#lines.hold(reason);
    this.#publishNow();
  }

  release(reason: Hold): void {
    if (!this.#lines.isHeldBy(reason)) return;
    this.#lines.release(reason);
    this.#publishNow();
  }

  /** The list is not on the page any more: what held it there holds nothing; a pause and the past stay. */
  leave(): void {
    this.release("detail");
    if (this.#isLive) this.release("scroll");
  }

  /** Follow the newest line again, whatever had stopped that. */
  follow(): void {
    this.#lines.releaseAll();
    this.#publishNow();
  }

  /** Load the rows of history before the oldest row held. */
  async loadOlder(): Promise<void> {
    const { older } = this.#view.get().history;
    if (older !== "more" && older !== "failed") return;
    if (!this.#lines.hasRoom) {
      this.#setHistory({ older: "full" });
      return;
    }
    const { signal } = this.#work;
    this.#setHistory({ older: "loading" });
    try {
      let merged = 0;
      do {
        // A page can hold nothing but what is here: rows of several queues come a little out of order.
        // oxlint-disable-next-line no-await-in-loop
        const page = await this.#olderPage(signal);
        this.#olderCursor = page.next_cursor;
        merged = this.#lines.merge(page.items);
      } while (merged === 0 && this.#olderCursor !== null);
      this.#setHistory({ older: this.#olderCursor === null ? "none" : "more" });
    } catch {
      if (!signal.aborted) this.#setHistory({ older: "failed" });
    }
  }

  /** The page behind the last one; where the oldest rows had to go for want of room, those come first. */
  async #olderPage(signal: AbortSignal): Promise<Page<Row>> {
    const upTo = this.#lines.forgottenUpTo;
    if (upTo === null) return this.#page(this.#olderCursor === null ? {} : { cursor: this.#olderCursor }, signal);
    const page = await this.#page({ to: new Date(upTo + 1).toISOString() }, signal);
    this.#lines.refetched(upTo);
    return page;
  }

  /** Load from history the lines that a marker stands for. */
  async fill(markerId: string): Promise<void> {
    const { signal } = this.#work;
    this.#lines.setFill(markerId, "loading");
    this.#publish();
    try {
      const found = await this.#history.settled(() => this.#history.spanOf(this.#lines.around(markerId)), signal);
      this.#lines.fillMarker(markerId, found.rows, found.isComplete);
    } catch {
      this.#lines.setFill(markerId, signal.aborted ? "idle" : "failed");
    }
    this.#publish();
  }

  #onFrame(frame: ToldFrame): void {
    if (frame.type === "gap") {
      if (this.#isLive) {
        // We were away for too long to resume. History has what we missed, or will have it soon: fetch it unasked.
        const marker = this.#lines.mark("gap", frame.count, this.#history.liveSince);
        if (marker !== null) void this.fill(marker.id);
      }
    } else if (frame.type === "hello") {
      this.#history.liveSince = Date.parse(frame.as_of) || 0;
      this.#noteClock(frame.as_of);
      return;
    } else if (frame.type === "ping") {
      this.#noteClock(frame.as_of);
      return;
    } else if (frame.type === "rows") {
      this.#undrawn += frame.rows.length;
      // Rows that wait because nobody sees them are not behind.
      const lagMs = this.#unseen.size > 0 ? null : frame.lagMs;
      this.#setConnection({ lagMs, rowsAt: this.#ports.clock.now() });
      this.#queues.note(frame.rows);
      const wanted = frame.rows.filter((row) => matches(this.#filter, row));
      if (this.#isLive) {
        if (frame.dropped > 0) this.#lines.mark("skipped", frame.dropped);
        this.#firstLive ??= wanted[0];
        this.#lines.append(wanted);
      } else {
        this.#unshown += wanted.length + frame.dropped;
      }
    }
    this.#publish();
  }

  #noteClock(asOf: string): void {
    const ahead = Date.parse(asOf) - this.#ports.clock.now();
    if (!Number.isNaN(ahead)) this.#serverAhead = Math.max(ahead, this.#serverAhead ?? ahead);
  }

  /** Forget what is on the way and load history for the present filter; again and again while it cannot be had. */
  #startOver(): void {
    this.#work.abort();
    this.#work = new AbortController();
    this.#cancelRetry();
    this.#olderCursor = null;
    this.#firstLive = undefined;
    this.#setHistory({ older: "none" });
    void this.#load(this.#work.signal);
  }

  async #load(signal: AbortSignal): Promise<void> {
    try {
      const page =
        this.#linked === null ? await this.#loadNewest(signal) : await this.#loadAround(this.#linked, signal);
      this.#olderCursor = page.next_cursor === null ? null : this.#cursorBehind(page);
      this.#setHistory({ status: "ready", problem: "", older: page.next_cursor === null ? "none" : "more" });
    } catch (error) {
      if (signal.aborted) return;
      const isRefused = error instanceof ApiError && error.isRefusal;
      this.#setHistory({ status: isRefused ? "refused" : "failed", problem: problemOf(error) });
      if (isRefused) return;
      const retryAfter = error instanceof ApiError ? error.retryAfterSeconds : null;
      this.#cancelRetry = this.#ports.clock.later(
        () => this.#startOver(),
        retryAfter === null ? HISTORY_RETRY_MS : retryAfter * 1000,
      );
    }
  }

  /** Where older rows begin: the lines kept from a wider filter can reach further back than the page. */
  #cursorBehind(page: Page<Row>): string | null {
    const [first] = page.items;
    const oldest = this.#lines.oldestRow;
    const isBehind = first !== undefined && oldest !== undefined && timeOf(oldest) < timeOf(first);
    return (isBehind && oldest.cursor) || page.next_cursor;
  }

  /** Returns the page of the newest rows. */
  async #loadNewest(signal: AbortSignal): Promise<Page<Row>> {
    const page = await this.#page({}, signal);
    this.#lines.merge(page.items);
    if (this.#isLive) void this.#closeSeam(unsureSince(page), signal);
    return page;
  }

  /** Returns the page of the rows up to the linked line. */
  async #loadAround(linked: LinkedLine, signal: AbortSignal): Promise<Page<Row>> {
    const time = Date.parse(linked.ts);
    const upTo = await this.#page({ to: new Date(time + 1).toISOString() }, signal);
    const after = await this.#history.span({ from: time, to: time + AFTER_LINK_MS }, signal);
    this.#queues.note(after.rows);
    this.#lines.merge([...upTo.items, ...after.rows]);
    const [first] = after.rows;
    if (first && !after.isComplete) this.#lines.markBefore(first.id, "cut");
    return upTo;
  }

  /**
   * Fetch the rows that were already past when the live tail began and not yet in history when that was read.
   *
   * from: from when on rows can be missing, ms; null = any may be.
   */
  async #closeSeam(from: number | null, signal: AbortSignal): Promise<void> {
    let oldest: Row | undefined = this.#firstLive;
    try {
      await this.#history.rest(signal);
      const until = this.#history.liveSince;
      const { to } = this.#history.spanOf({ before: undefined, after: this.#firstLive, until });
      const found = await this.#history.settled(() => ({ from, to }), signal);
      this.#lines.merge(found.rows);
      oldest = found.isComplete ? undefined : found.rows[0];
    } catch {
      if (signal.aborted) return;
      oldest = this.#firstLive;
    }
    if (oldest) this.#lines.markBefore(oldest.id, "seam", this.#history.liveSince);
    this.#publish();
  }

  async #page(query: Partial<LogsQuery>, signal: AbortSignal): Promise<Page<Row>> {
    const page = await this.#history.page(query, signal);
    this.#queues.note(page.items);
    return page;
  }

  #setHistory(change: Partial<HistoryState>): void {
    this.#historyState = { ...this.#historyState, ...change };
    this.#publish();
  }

  #setConnection(change: Partial<ConnectionView>): void {
    this.#connectionView.set({ ...this.#connectionView.get(), ...change });
  }

  /** The beginning is not shown any more once rows had to go. */
  #historyOf(): HistoryState {
    const state = this.#historyState;
    if (state.older !== "none" || state.status !== "ready" || this.#lines.forgottenUpTo === null) return state;
    return { ...state, older: "more" };
  }

  #publish(): void {
    if (this.#isFrameAsked) return;
    this.#isFrameAsked = true;
    const draw = (): void =>
      this.#ports.onNextFrame(() => {
        this.#isFrameAsked = false;
        this.#publishNow();
      });
    const early = this.#drawnAt + FLOOD_MS - this.#ports.clock.now();
    if (this.#undrawn > FLOOD_ROWS && early > 0) this.#ports.clock.later(draw, Math.min(early, FLOOD_MS));
    else draw();
  }

  #publishNow(): void {
    this.#undrawn = 0;
    this.#drawnAt = this.#ports.clock.now();
    this.#view.set(this.#draw(this.#view.get().version + 1));
  }

  #draw(version: number): TailView {
    const lines = this.#lines;
    return {
      version,
      count: lines.visibleCount,
      newCount: lines.newCount + this.#unshown,
      isFollowing: lines.isFollowing,
      isPaused: lines.isHeldBy("pause"),
      epoch: lines.epoch,
      history: this.#historyOf(),
      linked: this.#linked,
      past: this.#past,
    };
  }
}

function problemOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
