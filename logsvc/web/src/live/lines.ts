import type { Row } from "../api/types.ts";
import { isMarker, timeOf, weightOf, type Entry, type Marker } from "./entries.ts";
import { Ring } from "./ring.ts";

/** Why the view does not follow the newest line. */
export type Hold = "scroll" | "pause" | "detail";

export interface LinesLimits {
  /** Most entries held. */
  entries: number;
  /** Most memory held, in characters. */
  weight: number;
  /** Newest entries kept apart while the view is held and everything else is full. */
  overflow: number;
}

const LIMITS: LinesLimits = { entries: 100_000, weight: 96_000_000, overflow: 2_000 };

/**
 * The lines this page holds, oldest first, each row once, and whether the view follows them.
 *
 * While the view is held nothing in front of the reader moves or disappears: when there is no room left, new lines go
 * to a small ring apart, and what that forgets is shown as a marker once the view follows again.
 */
export class Lines {
  readonly #ring: Ring<Entry>;
  readonly #overflow: Ring<Row>;
  readonly #ids = new Set<string>();
  readonly #holds = new Set<Hold>();
  #overflowed = 0;
  /** What was to be said of missing lines while there was no room for it; null: nothing. until: as of a marker. */
  #unsaid: { until: number } | null = null;
  #forgottenUpTo: number | null = null;
  /** Sequence number of the first entry that came since the view was held. */
  #seenEnd = 0;
  /** Sequence number of the first entry that a paused view does not show. */
  #pausedEnd: number | null = null;
  #epoch = 0;
  #markers = 0;

  constructor(limits: LinesLimits = LIMITS) {
    this.#ring = new Ring(limits.entries, limits.weight, (entry) => this.#forgot(entry));
    this.#overflow = new Ring(limits.overflow, limits.weight / 4, () => {
      this.#overflowed += 1;
    });
  }

  /** Changes whenever entries appear, move or vanish elsewhere than at the newest end. */
  get epoch(): number {
    return this.#epoch;
  }

  get length(): number {
    return this.#ring.length;
  }

  /** How many entries to show: all, or those that were there when the view was paused. */
  get visibleCount(): number {
    if (this.#pausedEnd === null) return this.#ring.length;
    return Math.max(0, Math.min(this.#ring.length, this.#pausedEnd - this.#ring.firstSeq));
  }

  /** Lines that came since the view was held. */
  get newCount(): number {
    if (this.isFollowing) return 0;
    return this.#ring.endSeq - this.#seenEnd + this.#overflow.length + this.#overflowed;
  }

  get isFollowing(): boolean {
    return this.#holds.size === 0;
  }

  isHeldBy(hold: Hold): boolean {
    return this.#holds.has(hold);
  }

  /** Time of the newest row that had to go for want of room, ms; null = none, or they were fetched again. */
  get forgottenUpTo(): number | null {
    return this.#forgottenUpTo;
  }

  /** What had to go up to this time, ms, was fetched again. */
  refetched(upTo: number): void {
    if (this.#forgottenUpTo === upTo) this.#forgottenUpTo = null;
  }

  get oldestRow(): Row | undefined {
    return this.#rowFrom(0, 1);
  }

  /** Whether older lines would still fit. */
  get hasRoom(): boolean {
    return !this.#ring.isFullFor(
      weightOf({ kind: "marker", id: "", reason: "gap", count: null, until: 0, fill: "idle" }),
    );
  }

  at(index: number): Entry | undefined {
    return this.#ring.at(index);
  }

  /** A number that stays with an entry for as long as it is held; for keys. */
  seqAt(index: number): number {
    return this.#ring.firstSeq + index;
  }

  /** Looked for from the newest end; -1 when it is not held. */
  indexOf(id: string): number {
    for (let index = this.#ring.length - 1; index >= 0; index -= 1) {
      if (this.#ring.at(index)?.id === id) return index;
    }
    return -1;
  }

  /** The first row of this time, in ms, or later; -1 when there is none. */
  indexFrom(time: number): number {
    for (let index = 0; index < this.#ring.length; index += 1) {
      const entry = this.#ring.at(index);
      if (entry !== undefined && !isMarker(entry) && timeOf(entry) >= time) return index;
    }
    return -1;
  }

  /** The nearest rows before and after a marker, and its `until`. */
  around(markerId: string): { before: Row | undefined; after: Row | undefined; until: number } {
    const index = this.indexOf(markerId);
    const marker = this.#ring.at(index);
    if (marker === undefined || !isMarker(marker)) return { before: undefined, after: undefined, until: 0 };
    return { before: this.#rowFrom(index - 1, -1), after: this.#rowFrom(index + 1, 1), until: marker.until };
  }

  hold(reason: Hold): void {
    if (this.isFollowing) this.#seenEnd = this.#ring.endSeq;
    this.#holds.add(reason);
    if (reason === "pause") this.#pausedEnd ??= this.#ring.endSeq;
  }

  release(reason: Hold): void {
    if (!this.#holds.delete(reason)) return;
    if (reason === "pause") this.#pausedEnd = null;
    if (!this.isFollowing) return;
    const late = this.#takeOverflow();
    if (late.lost > 0 || late.unsaid) this.mark("unheld", late.unsaid ? null : late.lost, late.unsaid?.until);
    this.append(late.rows);
  }

  releaseAll(): void {
    for (const reason of this.#holds) this.release(reason);
  }

  /** Add the newest rows; those already held are left out. */
  append(rows: readonly Row[]): void {
    for (const row of rows) {
      if (this.#ids.has(row.id)) continue;
      const weight = weightOf(row);
      if (!this.isFollowing && this.#ring.isFullFor(weight)) {
        this.#overflow.push(row, weight);
      } else {
        this.#ids.add(row.id);
        this.#ring.push(row, weight);
      }
    }
  }

  /** Say at the newest end that lines are missing here; null: it is said once the view follows again. */
  mark(reason: Marker["reason"], count: number | null, until = 0): Marker | null {
    const marker = this.#marker(reason, count, until);
    if (!this.isFollowing && this.#ring.isFullFor(weightOf(marker))) {
      if (count === null) this.#unsaid = { until: Math.max(until, this.#unsaid?.until ?? 0) };
      else this.#overflowed += count;
      return null;
    }
    this.#ring.push(marker, weightOf(marker));
    return marker;
  }

  /** Say that lines are missing before a row that is held. */
  markBefore(rowId: string, reason: Marker["reason"], until = 0): void {
    const marker = this.#marker(reason, null, until);
    this.#replace(this.#ring.entries().flatMap(([entry]) => (entry.id === rowId ? [marker, entry] : [entry])));
  }

  /** Put rows of history (oldest first) where they belong in time; returns how many were not held yet. */
  merge(rows: readonly Row[]): number {
    const fresh = this.#unheld(rows);
    if (fresh.length === 0) return 0;
    const merged: Entry[] = [];
    let next = 0;
    let markers: Marker[] = [];
    for (const [entry] of this.#ring.entries()) {
      if (isMarker(entry)) {
        markers.push(entry);
        continue;
      }
      const time = timeOf(entry);
      for (let row = fresh[next]; row !== undefined && timeOf(row) <= time; row = fresh[next]) {
        merged.push(row);
        next += 1;
      }
      merged.push(...markers, entry);
      markers = [];
    }
    this.#replace([...merged, ...markers, ...fresh.slice(next)]);
    return fresh.length;
  }

  /** Put the rows that a marker stood for in its place; the marker stays, as `fill` says, unless all came. */
  fillMarker(markerId: string, rows: readonly Row[], isComplete: boolean): void {
    const fresh = this.#unheld(rows);
    const entries = this.#ring.entries().flatMap(([entry]) => {
      if (entry.id !== markerId || !isMarker(entry)) return [entry];
      return [{ ...entry, fill: "partly" as const, count: null }, ...fresh];
    });
    this.#replace(entries);
    // In a second step: so the rows are on the side of a pause where the marker was.
    if (isComplete) this.#replace(entries.filter((entry) => entry.id !== markerId));
  }

  setFill(markerId: string, fill: Marker["fill"]): void {
    if (this.indexOf(markerId) < 0) return;
    this.#replace(
      this.#ring.entries().map(([entry]) => (isMarker(entry) && entry.id === markerId ? { ...entry, fill } : entry)),
    );
  }

  /**
   * Forget the rows that are not wanted any more. A marker between those that are left stays, without its count: nobody
   * knows how many of its lines are wanted.
   */
  keepOnly(isWanted: (row: Row) => boolean): void {
    const kept: Entry[] = [];
    for (const [entry] of this.#ring.entries()) {
      const last = kept.at(-1);
      if (!isMarker(entry)) {
        if (isWanted(entry)) kept.push(entry);
      } else if (last !== undefined && !isMarker(last)) {
        kept.push({ ...entry, count: null, fill: "idle" });
      }
    }
    this.#replace(kept);
    const late = this.#takeOverflow();
    if (late.lost > 0 || late.unsaid) this.mark("unheld", null, late.unsaid?.until);
    this.append(late.rows.filter((row) => isWanted(row)));
  }

  /** Forget every line; a paused view stays paused. */
  clear(): void {
    this.#takeOverflow();
    this.#replace([]);
    this.#forgottenUpTo = null;
    this.#holds.delete("scroll");
    this.#holds.delete("detail");
  }

  #forgot(entry: Entry): void {
    this.#ids.delete(entry.id);
    if (!isMarker(entry)) this.#forgottenUpTo = Math.max(this.#forgottenUpTo ?? 0, timeOf(entry));
  }

  /** The rows that are not held yet, each once. */
  #unheld(rows: readonly Row[]): Row[] {
    const byId = new Map(rows.map((row) => [row.id, row]));
    return [...byId.values()].filter((row) => !this.#ids.has(row.id));
  }

  #marker(reason: Marker["reason"], count: number | null, until = 0): Marker {
    this.#markers += 1;
    return { kind: "marker", id: `marker-${this.#markers}`, reason, count, until, fill: "idle" };
  }

  #replace(entries: readonly Entry[]): void {
    const endOf = this.#boundaries(entries);
    this.#seenEnd = endOf(this.#seenEnd);
    if (this.#pausedEnd !== null) this.#pausedEnd = endOf(this.#pausedEnd);
    this.#ring.replaceAll(entries.map((entry) => [entry, weightOf(entry)] as const));
    this.#ids.clear();
    for (const [entry] of this.#ring.entries()) {
      if (!isMarker(entry)) this.#ids.add(entry.id);
    }
    this.#epoch += 1;
  }

  /**
   * Where a boundary between older and newer entries will be once these took the place of those held: before the first
   * entry behind it that is still there. Both are sequence numbers; the newest end keeps its own.
   */
  #boundaries(entries: readonly Entry[]): (end: number) => number {
    const places = new Map(entries.map((entry, index) => [entry.id, index]));
    return (end) => {
      for (let seq = Math.max(end, this.#ring.firstSeq); seq < this.#ring.endSeq; seq += 1) {
        const place = places.get(this.#ring.at(seq - this.#ring.firstSeq)?.id ?? "");
        if (place !== undefined) return this.#ring.endSeq - entries.length + place;
      }
      return this.#ring.endSeq;
    };
  }

  /** Empty what was kept apart: its rows, how many lines before them it had to forget, and what was not said. */
  #takeOverflow(): { rows: Row[]; lost: number; unsaid: { until: number } | null } {
    const taken = {
      rows: this.#overflow.entries().map(([row]) => row),
      lost: this.#overflowed,
      unsaid: this.#unsaid,
    };
    this.#overflow.clear();
    this.#overflowed = 0;
    this.#unsaid = null;
    return taken;
  }

  #rowFrom(start: number, step: 1 | -1): Row | undefined {
    for (let index = start; ; index += step) {
      const entry = this.#ring.at(index);
      if (entry === undefined) return undefined;
      if (!isMarker(entry)) return entry;
    }
  }
}
