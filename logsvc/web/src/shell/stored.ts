import { useSyncExternalStore } from "react";

/**
 * A choice that this browser remembers, for every tab of it. Where storage is forbidden it holds until the page is left.
 */
export class Stored<Value> {
  readonly #key: string;
  readonly #read: (text: string | null) => Value;
  readonly #write: (value: Value) => string;
  readonly #listeners = new Set<() => void>();
  /** The last choice of this page, where it could not be stored. */
  #held: string | null = null;
  /** What `#value` was read from; undefined: nothing yet. */
  #text: string | null | undefined;
  #value: Value | undefined;

  /** read: never throws, whatever was stored; null = nobody has chosen. */
  constructor(key: string, read: (text: string | null) => Value, write: (value: Value) => string = String) {
    this.#key = key;
    this.#read = read;
    this.#write = write;
  }

  readonly get = (): Value => {
    const text = this.#textNow();
    if (text !== this.#text || this.#value === undefined) {
      this.#text = text;
      this.#value = this.#read(text);
    }
    return this.#value;
  };

  /** Returns whether it is remembered beyond this page. */
  choose(value: Value): boolean {
    const text = this.#write(value);
    const isKept = this.#keep(text);
    this.#held = isKept ? null : text;
    for (const listener of this.#listeners) listener();
    return isKept;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  #textNow(): string | null {
    if (this.#held !== null) return this.#held;
    try {
      return localStorage.getItem(this.#key);
    } catch {
      return null;
    }
  }

  #keep(text: string): boolean {
    try {
      localStorage.setItem(this.#key, text);
      return true;
    } catch {
      return false;
    }
  }
}

/** What is chosen; the component renders anew when that changes. */
export function useStored<Value>(stored: Stored<Value>): Value {
  return useSyncExternalStore(stored.subscribe, stored.get);
}

/** How a switch is stored. */
export function offOrOn(isOn: boolean): string {
  return isOn ? "on" : "off";
}
