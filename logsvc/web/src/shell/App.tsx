import { lazy, Suspense, useEffect, useLayoutEffect, useRef, useState, type ReactNode } from "react";

import { filterFromSearch } from "../live/filter.ts";
import { useTail } from "../live/TailContext.tsx";
import { linkedFromSearch, pastFromSearch } from "../live/permalink.ts";
import { Announcer } from "./Announcer.tsx";
import { Header } from "./Header.tsx";
import { Link } from "./Link.tsx";
import { PageFault } from "./PageFault.tsx";
import { pageOf } from "./pages.ts";
import { usePlace } from "./router.ts";
import { useShortcuts } from "./shortcuts.ts";
import { useScrollMemory } from "./useScrollMemory.ts";
import { SoundBlocked } from "./SoundBlocked.tsx";
import { TabBar } from "./TabBar.tsx";
import { useAlarm } from "./useAlarm.ts";
import { useTitleBadge } from "./useTitleBadge.ts";

const Palette = lazy(() => import("./Palette.tsx"));
const Help = lazy(() => import("./Help.tsx"));
const SaveView = lazy(() => import("./SaveView.tsx"));

/** The frame around every page. The tail runs on all of them: the header says whether Tocsin is live. */
export function App(): ReactNode {
  const tail = useTail();
  const { path, search } = usePlace();
  const page = pageOf(path);
  const current = page?.entry.path ?? "";
  const section = page?.entry.section ?? "";
  const [overlay, setOverlay] = useState<"palette" | "help" | "save" | null>(null);
  const openPalette = (): void => setOverlay("palette");
  const openHelp = (): void => setOverlay("help");
  useShortcuts({ openPalette, openHelp });
  const unheeded = useAlarm();
  useTitleBadge(unheeded);
  const main = useRef<HTMLElement>(null);
  useScrollMemory(main);

  useEffect(() => {
    tail.setUnseen("page", current !== "logs");
    if (current === "logs") tail.show(filterFromSearch(search), linkedFromSearch(search), pastFromSearch(search));
    else tail.open();
  }, [tail, current, search]);

  // Before the effects of the page itself, which may know a better title.
  useLayoutEffect(() => {
    document.title = `${page?.entry.name ?? "No such page"} · Tocsin`;
  }, [page?.entry.name]);

  return (
    <>
      <button type="button" className="button skip" onClick={() => main.current?.focus()}>
        Skip to the page
      </button>
      <Header path={path} section={section} search={search} unheeded={unheeded} openPalette={openPalette} />
      <Announcer page={[page?.entry.name ?? "No such page", ...(page?.rest ?? [])].join(" ")} />
      <main className="main" ref={main} tabIndex={-1}>
        <SoundBlocked />
        {/* With a key: without, the page that is left stays behind while the script of the next is fetched. */}
        <PageFault key={current} place={path + search}>
          <Suspense fallback={<p className="empty empty-quiet">Loading…</p>}>
            {page ? <page.entry.Component search={search} rest={page.rest} /> : <NoSuchPage />}
          </Suspense>
        </PageFault>
      </main>
      <TabBar section={section} unheeded={unheeded} openPalette={openPalette} />
      <PageFault key={overlay} place={overlay ?? ""}>
        <Suspense>
          {overlay === "palette" && (
            <Palette close={() => setOverlay(null)} openHelp={openHelp} openSave={() => setOverlay("save")} />
          )}
          {overlay === "save" && <SaveView close={() => setOverlay(null)} />}
          {overlay === "help" && <Help close={() => setOverlay(null)} />}
        </Suspense>
      </PageFault>
    </>
  );
}

function NoSuchPage(): ReactNode {
  return (
    <div className="notice">
      <h1>No such page</h1>
      <p>
        Tocsin has no page at this address. <Link path="logs">Go to the live page</Link>
      </p>
    </div>
  );
}
