/**
 * A bounded list that forgets its oldest items: by number, and by weight, so that rows with large payloads cannot fill
 * the browser's memory.
 *
 * Every item has a sequence number that does not change as others come and go; the newest item's is `endSeq - 1`.
 */
export class Ring<Item> {
  readonly capacity: number;
  readonly maxWeight: number;
  #items: (Item | undefined)[] = [];
  #weights: number[] = [];
  /** Slot of the oldest item. */
  #head = 0;
  #length = 0;
  #weight = 0;
  #firstSeq = 0;
  readonly #onEvict: ((item: Item) => void) | undefined;

  constructor(capacity: number, maxWeight = Number.POSITIVE_INFINITY, onEvict?: (item: Item) => void) {
    if (capacity < 1) throw new RangeError("a ring holds at least one item");
    this.capacity = capacity;
    this.maxWeight = maxWeight;
    this.#onEvict = onEvict;
  }

  get length(): number {
    return this.#length;
  }

  get weight(): number {
    return this.#weight;
  }

  /** Sequence number of the oldest item. */
  get firstSeq(): number {
    return this.#firstSeq;
  }

  /** Sequence number that the next pushed item will get. */
  get endSeq(): number {
    return this.#firstSeq + this.#length;
  }

  /** Index 0 is the oldest item held. */
  at(index: number): Item | undefined {
    if (index < 0 || index >= this.#length) return undefined;
    return this.#items[this.#slot(index)];
  }

  /** Whether one more item of this weight would push an old one out. */
  isFullFor(weight: number): boolean {
    return this.#length >= this.capacity || (this.#length > 0 && this.#weight + weight > this.maxWeight);
  }

  /** Add the newest item, forgetting as many of the oldest as that takes. */
  push(item: Item, weight = 1): void {
    while (this.isFullFor(weight)) this.#evictOldest();
    const slot = this.#slot(this.#length);
    this.#items[slot] = item;
    this.#weights[slot] = weight;
    this.#length += 1;
    this.#weight += weight;
  }

  /**
   * Put a new list in place of the old one and keep `endSeq`, so that "N new since" still counts rightly.
   * Keeps the newest items when they are too many.
   */
  replaceAll(entries: readonly (readonly [Item, number])[]): void {
    const endSeq = this.endSeq;
    this.#items = [];
    this.#weights = [];
    this.#head = 0;
    this.#length = 0;
    this.#weight = 0;
    for (const [item, weight] of entries) this.push(item, weight);
    this.#firstSeq = endSeq - this.#length;
  }

  /** Forget everything; numbering goes on. */
  clear(): void {
    this.replaceAll([]);
  }

  /** All items with their weights, oldest first. */
  entries(): (readonly [Item, number])[] {
    return Array.from({ length: this.#length }, (_, index) => {
      const slot = this.#slot(index);
      return [this.#items[slot] as Item, this.#weights[slot] ?? 1] as const;
    });
  }

  #slot(index: number): number {
    return (this.#head + index) % this.capacity;
  }

  #evictOldest(): void {
    const item = this.#items[this.#head] as Item;
    this.#items[this.#head] = undefined;
    this.#weight -= this.#weights[this.#head] ?? 0;
    this.#head = (this.#head + 1) % this.capacity;
    this.#length -= 1;
    this.#firstSeq += 1;
    this.#onEvict?.(item);
  }
}
