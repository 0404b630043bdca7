import type { ReactNode } from "react";

import { Account } from "./Account.tsx";
import { ConnectionPill } from "./ConnectionPill.tsx";
import { EnvFilter } from "./EnvFilter.tsx";
import { Bell, Icon } from "./icons.tsx";
import { Link } from "./Link.tsx";
import { PAGES } from "./pages.ts";
import { ThemeToggle } from "./ThemeToggle.tsx";
import { Unheeded } from "./Unheeded.tsx";

interface HeaderProps {
  path: string;
  /** The path of the page to mark in the navigation. */
  section: string;
  search: string;
  /** Incidents that nobody has. */
  unheeded: number;
  openPalette: () => void;
}

export function Header({ path, section, search, unheeded, openPalette }: HeaderProps): ReactNode {
  return (
    <header className="header">
      <Link path="logs" className="brand" title="Tocsin">
        <Bell />
        <span className="brand-name">Tocsin</span>
      </Link>
      <nav className="nav" aria-label="Pages">
        {PAGES.filter((page) => page.isInNav).map((page) => (
          <Link key={page.path} path={page.path} className="nav-link" isCurrent={page.path === section}>
            {page.name}
            {page.path === "incidents" && <Unheeded count={unheeded} />}
          </Link>
        ))}
      </nav>
      <span className="header-space" />
      <EnvFilter path={path} search={search} />
      <ConnectionPill />
      <Account />
      <button
        type="button"
        className="icon-button"
        aria-label="Go to a page, queue or job"
        title="Go to a page, queue or job (Ctrl K)"
        data-testid="open-palette"
        onClick={openPalette}
      >
        <Icon name="search" />
      </button>
      <ThemeToggle />
    </header>
  );
}
