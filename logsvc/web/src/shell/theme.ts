import { useSyncExternalStore } from "react";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const KEY = "tocsin-theme";
const listeners = new Set<() => void>();

/** The theme chosen in this browser; "system" until someone chose. */
export function chosenTheme(): Theme {
  const stored = document.documentElement.dataset["theme"];
  return THEMES.find((theme) => theme === stored) ?? "system";
}

/** Take the stored choice over; call before the first render. */
export function applyStoredTheme(): void {
  let stored: string | null = null;
  try {
    stored = localStorage.getItem(KEY);
  } catch {
    // Storage can be forbidden: then the system decides.
  }
  document.documentElement.dataset["theme"] = THEMES.find((theme) => theme === stored) ?? "system";
}

export function chooseTheme(theme: Theme): void {
  document.documentElement.dataset["theme"] = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // It holds until the page is left.
  }
  for (const listener of listeners) listener();
}

export function useTheme(): Theme {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, chosenTheme);
}
