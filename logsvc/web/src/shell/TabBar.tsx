import type { ReactNode } from "react";

import { Icon, type IconName } from "./icons.tsx";
import { Link } from "./Link.tsx";
import { PAGES } from "./pages.ts";
import { Unheeded } from "./Unheeded.tsx";

const ICONS: Readonly<Record<string, IconName>> = {
  logs: "lines",
  queues: "queue",
  errors: "warning",
  incidents: "bell",
};

interface TabBarProps {
  /** The path of the page to mark. */
  section: string;
  /** Incidents that nobody has. */
  unheeded: number;
  openPalette: () => void;
}

/** The pages that a phone has at the thumb; the others are behind More. */
export function TabBar({ section, unheeded, openPalette }: TabBarProps): ReactNode {
  return (
    <nav className="tab-bar" aria-label="Pages at the thumb">
      {PAGES.map(({ path, name }) => {
        const icon = ICONS[path];
        return (
          icon && (
            <Link key={path} path={path} className="tab" isCurrent={path === section}>
              <Icon name={icon} />
              {name}
              {path === "incidents" && <Unheeded count={unheeded} />}
            </Link>
          )
        );
      })}
      <button type="button" className="tab" onClick={openPalette}>
        <Icon name="more" />
        More
      </button>
    </nav>
  );
}
