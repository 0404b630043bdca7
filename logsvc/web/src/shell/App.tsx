import { useEffect, type ReactNode } from "react";

import { filterFromSearch } from "../live/filter.ts";
import { useTail } from "../live/TailContext.tsx";
import { LivePage } from "../pages/live/LivePage.tsx";
import { linkedFromSearch } from "../pages/live/permalink.ts";
import { QueuesPage } from "../pages/queues/QueuesPage.tsx";
import { Announcer } from "./Announcer.tsx";
import { Header } from "./Header.tsx";
import { Link } from "./Link.tsx";
import { usePlace } from "./router.ts";

/** The frame around every page. The tail runs on all of them: the header says whether Tocsin is live. */
export function App(): ReactNode {
  const tail = useTail();
  const { path, search } = usePlace();
  const page = path === "" ? "logs" : path;

  useEffect(() => {
    if (page === "logs") tail.show(filterFromSearch(search), linkedFromSearch(search));
    else tail.open();
  }, [tail, page, search]);

  useEffect(() => {
    document.title = page === "queues" ? "Queues · Tocsin" : "Live · Tocsin";
  }, [page]);

  return (
    <>
      <Header path={page} />
      <Announcer />
      <main className="main">
        {page === "logs" && <LivePage search={search} />}
        {page === "queues" && <QueuesPage />}
        {page !== "logs" && page !== "queues" && <NoSuchPage />}
      </main>
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
