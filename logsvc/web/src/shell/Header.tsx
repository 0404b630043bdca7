import type { ReactNode } from "react";

import { Account } from "./Account.tsx";
import { ConnectionPill } from "./ConnectionPill.tsx";
import { Bell } from "./icons.tsx";
import { Link } from "./Link.tsx";
import { ThemeToggle } from "./ThemeToggle.tsx";

const PAGES = [
  { path: "logs", name: "Live" },
  { path: "queues", name: "Queues" },
] as const;

export function Header({ path }: { path: string }): ReactNode {
  return (
    <header className="header">
      <Link path="logs" className="brand" title="Tocsin">
        <Bell />
        <span className="brand-name">Tocsin</span>
      </Link>
      <nav className="nav" aria-label="Pages">
        {PAGES.map((page) => (
          <Link key={page.path} path={page.path} className="nav-link" isCurrent={page.path === path}>
            {page.name}
          </Link>
        ))}
      </nav>
      <span className="header-space" />
      <ConnectionPill />
      <Account />
      <ThemeToggle />
    </header>
  );
}
