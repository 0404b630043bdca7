import { lazy, Suspense, useState, type ReactNode } from "react";

import { apiUrl, type Params } from "../api/client.ts";
import { Icon } from "../shell/icons.tsx";

/** Where its script cannot be had, the file comes all the same, and the page stays. */
const ExportProgress = lazy(() => import("./ExportProgress.tsx").catch(() => ({ default: () => null })));

/**
 * All lines of a filter as a file, of any size; true links, so that the browser saves them as they come. It tells the
 * page nothing of that: a link that is followed gives the file a name to ask the server about. params: as of then.
 */
export function ExportLinks({ params }: { params: () => Params }): ReactNode {
  const [name, setName] = useState("");
  return (
    <>
      {name && (
        <Suspense>
          <ExportProgress key={name} name={name} close={() => setName("")} />
        </Suspense>
      )}
      <span className="export-links" role="group" aria-label="Export">
        {["csv", "ndjson"].map((suffix) => (
          <a
            key={suffix}
            className="button"
            download
            data-testid={`export-${suffix}`}
            href={apiUrl(`logs.${suffix}`, params()).href}
            title={`All these lines as ${suffix}; the last line says whether it is all`}
            onClick={({ currentTarget }) => {
              const named = `${Math.random()}`.slice(2);
              currentTarget.href = apiUrl(`logs.${suffix}`, { ...params(), export: named }).href;
              setName(named);
            }}
          >
            <Icon name="down" />
            {suffix.toUpperCase()}
          </a>
        ))}
      </span>
    </>
  );
}
