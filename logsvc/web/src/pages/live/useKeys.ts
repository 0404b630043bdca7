import { useEffect, useEffectEvent } from "react";

import { areLettersOn, isGround, isTyping } from "../../shell/shortcuts.ts";

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
 * The keys of the live page. Letters and "/" work wherever nobody types; for who speaks to the page they can be switched
 * off, and then are the list's alone (WCAG 2.1.4). The others work in the list and while nothing has the focus; Escape
 * works everywhere.
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
  if (!(target instanceof HTMLElement) || document.querySelector("dialog[open]") !== null) return false;
  if (key === "Escape") {
    const isInField = target instanceof HTMLInputElement && target.type !== "checkbox";
    if (isInField) target.blur();
    return !isInField;
  }
  const isInList = target.closest("[role=grid]") !== null;
  // What is open beside the list is read by keys of its own.
  if (isCharacter(key) && !isInList) return areLettersOn() && !isTyping(target) && target.closest("aside") === null;
  if (isGround(target)) return true;
  return isInList && !(OWN_KEYS.has(key) && target.closest("button, a") !== null);
}

function isCharacter(key: string): boolean {
  return key.length === 1 && key !== " ";
}
