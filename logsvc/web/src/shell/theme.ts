import { Stored, useStored } from "./stored.ts";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

/** The theme chosen in this browser; "system" until someone chose. */
const chosen = new Stored<Theme>("tocsin-theme", (text) => THEMES.find((theme) => theme === text) ?? "system");

/** Take the stored choice over; call before the first render. */
export function applyStoredTheme(): void {
  document.documentElement.dataset["theme"] = chosen.get();
}

export function chooseTheme(theme: Theme): void {
  chosen.choose(theme);
  applyStoredTheme();
}

export function useTheme(): Theme {
  return useStored(chosen);
}
