import { count } from "../format/count.ts";

/** How far a file is, as `GET /api/v1/exports/{name}` tells it. */
export interface Progress {
  /** How many there will be; null = that could not be told in time. */
  rows: number | null;
  sent: number;
  is_over: boolean;
  /** Why what was sent is not all. */
  incomplete: string | null;
}

/** After so long without a word of it nobody knows how far a file is. */
const LOST_MS = 20_000;

/** Whether nobody knows how far a file is. silentMs: how long nothing was heard of it. */
export function isLost(progress: Progress | undefined, silentMs: number): boolean {
  return progress?.is_over !== true && silentMs > LOST_MS;
}

/** What is said of a file. silentMs: how long nothing was heard of it. */
export function exportWords(progress: Progress | undefined, silentMs: number): string {
  if (isLost(progress, silentMs)) {
    return "How far the file is cannot be told now; your browser's downloads show whether it still comes";
  }
  if (progress === undefined) return "The file is begun…";
  const { rows, sent, is_over, incomplete } = progress;
  if (incomplete !== null) return `Not all: ${count(sent)} rows, then ${incomplete}`;
  if (is_over) return `All ${count(sent)} rows`;
  return rows === null ? `${count(sent)} rows so far` : `${count(sent)} of ${count(rows)} rows`;
}
