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

/**
 * The keys of the live page. Letters and "/" are the list's and work while it has the focus: so they disturb nobody who
 * speaks to the page (WCAG 2.1.4). The others work while nothing else has the focus, too; Escape works everywhere.
 */
export function useKeys(actions: KeyActions): void {
  const act = useEffectEvent((name: keyof KeyActions) => actions[name]());
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      const name = KEYS[event.key];
      if (name === undefined || !isOurs(event)) return;
      event.preventDefault();
      act(name);
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
}

function isOurs(event: KeyboardEvent): boolean {
  const { target, key } = event;
  if (!(target instanceof HTMLElement)) return false;
  if (key === "Escape") {
    const isTyping = target instanceof HTMLInputElement && target.type !== "checkbox";
    if (isTyping) target.blur();
    return !isTyping;
  }
  if (target === document.body) return !isCharacter(key);
  return target.closest("[role=grid]") !== null && !(OWN_KEYS.has(key) && target.closest("button, a") !== null);
}

function isCharacter(key: string): boolean {
  return key.length === 1 && key !== " ";
}
