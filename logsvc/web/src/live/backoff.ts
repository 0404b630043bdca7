const FIRST_MS = 500;
const LONGEST_MS = 15_000;

/**
 * How long to wait before try number `attempt` (1 is the first after a loss), in ms.
 *
 * Doubles up to 15 s; the random half keeps a hundred open pages from returning in the same instant.
 * random: in [0, 1).
 */
export function backoffMs(attempt: number, random: () => number): number {
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.max(0, attempt - 1));
  return Math.round(ceiling / 2 + (ceiling / 2) * random());
}
