import { useEffect, useEffectEvent } from "react";

export interface KeyActions {
  togglePause(): void;
  focusText(): void;
  next(): void;
  previous(): void;
  open(): void;
  end(): void;
  escape(): void;
}

const KEYS: Readonly<Record<string, keyof KeyActions>> = {
  " ": "togglePause",
  "/": "focusText",
  j: "next",
  ArrowDown: "next",
  k: "previous",
  ArrowUp: "previous",
  Enter: "open",
  G: "end",
  End: "end",
  Escape: "escape",
};

/** Keys that a focused button or link needs for itself. */
const OWN_KEYS = new Set([" ", "Enter"]);

/** The keys of the live page; silent while someone types, and while a control wants the key for itself. */
export function useKeys(actions: KeyActions): void {
  const act = useEffectEvent((name: keyof KeyActions) => actions[name]());
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      const name = KEYS[event.key];
      if (name === undefined || isBusy(event)) return;
      event.preventDefault();
      act(name);
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
}

function isBusy(event: KeyboardEvent): boolean {
  const { target } = event;
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement && target.type !== "checkbox") {
    if (event.key === "Escape") target.blur();
    return true;
  }
  return OWN_KEYS.has(event.key) && target.closest("button, a, label, input") !== null;
}
