import type { ReactNode } from "react";

import { Icon } from "./icons.tsx";
import { chooseTheme, THEMES, useTheme } from "./theme.ts";

const ICONS = { system: "auto", light: "light", dark: "dark" } as const;
const NAMES = { system: "as the system", light: "light", dark: "dark" } as const;

/** Steps through system, light and dark. */
export function ThemeToggle(): ReactNode {
  const theme = useTheme();
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "system";
  const label = `Colours: ${NAMES[theme]}. Change to ${NAMES[next]}`;
  return (
    <button type="button" className="icon-button" aria-label={label} title={label} onClick={() => chooseTheme(next)}>
      <Icon name={ICONS[theme]} />
    </button>
  );
}
