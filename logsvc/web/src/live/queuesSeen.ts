import type { Row } from "../api/types.ts";

const MOST = 1_000;

/** Names of queues in the rows that came, for the filter to offer; the oldest are forgotten. */
export class QueuesSeen {
  readonly #names = new Set<string>();

  note(rows: readonly Row[]): void {
    for (const { queue } of rows) if (queue) this.#names.add(queue);
    for (const queue of this.#names) {
      if (this.#names.size <= MOST) break;
      this.#names.delete(queue);
    }
  }

  names(): string[] {
    return [...this.#names];
  }
}
