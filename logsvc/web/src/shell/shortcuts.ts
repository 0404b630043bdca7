import { useEffect, useEffectEvent } from "react";

import { offOrOn, Stored, useStored } from "./stored.ts";

/** A key of the page that is shown, for the help overlay. */
export interface Shortcut {
  keys: string;
  does: string;
}

/** The keys that every page has. */
export const SHORTCUTS: readonly Shortcut[] = [
  { keys: "Ctrl K", does: "Go to a page, a queue or a job; do something" },
  { keys: "?", does: "Show these keys" },
  { keys: "/", does: "Search on this page, if it has a box for it" },
  { keys: "j  k", does: "Next and previous row" },
  { keys: "Enter", does: "Open the row" },
  { keys: "Esc", does: "Close, or leave a field" },
];

/** The keys that only the live page has. */
export const LIVE_SHORTCUTS: readonly Shortcut[] = [
  { keys: "Space", does: "Pause, go on" },
  { keys: "End", does: "To the newest line" },
];

/** Whether nothing of a page has the focus: it is where the browser puts it first, or on the ground of the page. */
export function isGround(element: Element | null): boolean {
  return element === document.body || element?.localName === "main";
}

/** Whether keys of one letter do something: who speaks to the page can switch them off (WCAG 2.1.4). */
const letterKeys = new Stored("tocsin-letters", (text) => text !== "off", offOrOn);

export function useLetterKeys(): boolean {
  return useStored(letterKeys);
}

export function areLettersOn(): boolean {
  return letterKeys.get();
}

export function switchLetterKeys(isOn: boolean): void {
  letterKeys.choose(isOn);
}

interface Overlays {
  openPalette(): void;
  openHelp(): void;
}

/**
 * The keys of every page. A page joins in by attributes: `data-find` is the field that "/" goes to, `data-row` what j
 * and k step through (the first link in it is focused, or a row that has none). A page with keys of its own prevents the
 * default.
 */
export function useShortcuts(overlays: Overlays): void {
  const open = useEffectEvent((what: keyof Overlays) => overlays[what]());
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || document.querySelector("dialog[open]") !== null) return;
      if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
        event.preventDefault();
        open("openPalette");
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || !(event.target instanceof HTMLElement)) return;
      if (event.key === "Escape") {
        event.target.blur();
        return;
      }
      if (isTyping(event.target) || !areLettersOn()) return;
      if (event.key === "?") open("openHelp");
      else if (event.key === "/") focusFind();
      else if (event.key === "j") stepRows(1);
      else if (event.key === "k") stepRows(-1);
      else return;
      event.preventDefault();
    };
    // After the document's own listeners: a page with keys of its own comes first, however late it was loaded.
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}

/** Whether letters are written into it. */
export function isTyping(target: HTMLElement): boolean {
  return target.matches("input:not([type=checkbox], [type=radio]), textarea, select") || target.isContentEditable;
}

function focusFind(): void {
  document.querySelector<HTMLElement>("main [data-find]")?.focus();
}

function stepRows(step: 1 | -1): void {
  const all = [...document.querySelectorAll<HTMLElement>("main [data-row]")];
  const rows = all.filter((row) => targetOf(row) !== null);
  const here = rows.findIndex((row) => row.contains(document.activeElement));
  const next = rows[here < 0 ? (step > 0 ? 0 : rows.length - 1) : here + step];
  if (next === undefined) return;
  targetOf(next)?.focus();
  next.scrollIntoView({ block: "nearest" });
}

/** What takes the focus of a row; null: it is stepped over. */
function targetOf(row: HTMLElement): HTMLElement | null {
  if (row.matches("a, button")) return row;
  return row.querySelector<HTMLElement>("a, button:enabled") ?? (row.matches("[tabindex]") ? row : null);
}
