import type { ReactNode } from "react";

import { apiUrl, type Params } from "../api/client.ts";
import { Icon } from "../shell/icons.tsx";

/** All lines of a filter as a file, of any size; true links, so that the browser saves them as they come. */
export function ExportLinks({ params }: { params: Params }): ReactNode {
  return (
    <span className="export-links" role="group" aria-label="Export">
      {(["csv", "ndjson"] as const).map((suffix) => (
        <a
          key={suffix}
          className="button"
          download
          href={apiUrl(`logs.${suffix}`, params).href}
          title={`All these lines as ${suffix.toUpperCase()}; its last line says whether it is all`}
        >
          <Icon name="down" />
          {suffix.toUpperCase()}
        </a>
      ))}
    </span>
  );
}
