import { lazy, type ComponentType } from "react";

/** What every page is given of its address. */
export interface PageProps {
  /** The query string, with its question mark; empty when there is none. */
  search: string;
  /** The segments after the page's own, decoded: `errors/9f3c` gives ["9f3c"]. */
  rest: readonly string[];
}

export interface PageEntry {
  /** The first segment of its addresses. */
  path: string;
  name: string;
  /** One line for the palette: what is found there. */
  about: string;
  /** Whether the navigation shows it; the palette always does when it needs no more than its path. */
  isInNav: boolean;
  /** Whether its bare path is a page by itself. */
  isAlone: boolean;
  /** The path of the page that the navigation marks while this one is shown. */
  section: string;
  Component: ComponentType<PageProps>;
}

/** A page whose script is loaded when it is first shown. */
function entry(
  path: string,
  name: string,
  about: string,
  load: () => Promise<ComponentType<PageProps>>,
  { isInNav = true, isAlone = true, section = path }: { isInNav?: boolean; isAlone?: boolean; section?: string } = {},
): PageEntry {
  const Component = lazy(async () => ({ default: await load() }));
  return { path, name, about, Component, isInNav, isAlone, section };
}

/** A page that is reached from Queues: its address needs names. */
const OF_A_QUEUE = { isInNav: false, isAlone: false, section: "queues" };

/** Every page, in the order of the navigation. */
export const PAGES: readonly PageEntry[] = [
  entry(
    "logs",
    "Live",
    "Events and log lines as they come",
    async () => (await import("../pages/live/LivePage.tsx")).LivePage,
  ),
  entry(
    "queues",
    "Queues",
    "Every queue, trouble first",
    async () => (await import("../pages/queues/QueuesPage.tsx")).QueuesPage,
  ),
  entry(
    "queue",
    "Queue",
    "One queue",
    async () => (await import("../pages/queue/QueuePage.tsx")).QueuePage,
    OF_A_QUEUE,
  ),
  entry("job", "Job", "One job", async () => (await import("../pages/job/JobPage.tsx")).JobPage, OF_A_QUEUE),
  entry(
    "errors",
    "Errors",
    "Failures in groups of one cause",
    async () => (await import("../pages/errors/ErrorsPage.tsx")).ErrorsPage,
  ),
  entry(
    "incidents",
    "Incidents",
    "What rang, who has it, what rings",
    async () => (await import("../pages/incidents/IncidentsPage.tsx")).IncidentsPage,
  ),
  entry(
    "schedulers",
    "Schedulers",
    "Next, last and missed runs",
    async () => (await import("../pages/schedulers/SchedulersPage.tsx")).SchedulersPage,
  ),
  entry(
    "system",
    "System",
    "Lag, gaps, dead letters, Redis, versions",
    async () => (await import("../pages/system/SystemPage.tsx")).SystemPage,
  ),
  entry(
    "account",
    "Account",
    "You, this browser, views, API tokens, audit",
    async () => (await import("../pages/account/AccountPage.tsx")).AccountPage,
    { isInNav: false, isAlone: true },
  ),
  entry("home", "Home", "Where you begin", async () => (await import("./HomePage.tsx")).HomePage, {
    isInNav: false,
    isAlone: false,
  }),
];

/** The page of a path below the base, and what of the path is its own business; undefined when there is none. */
export function pageOf(path: string): { entry: PageEntry; rest: readonly string[] } | undefined {
  const [first = "", ...segments] = path === "" ? ["logs"] : path.split("/");
  const found = PAGES.find((each) => each.path === first);
  return found && { entry: found, rest: segments.map(decoded) };
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
