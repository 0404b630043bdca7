import { useEffect } from "react";

import { withBadge } from "./useTitleBadge.ts";

/** Name the document after the thing that a page shows, once it is known, and for as long as it is shown. */
export function useTitle(name: string | undefined): void {
  useEffect(() => {
    if (!name) return undefined;
    const before = withBadge(document.title, 0);
    const own = `${name} · Tocsin`;
    document.title = own;
    return () => {
      // Another page has named it already; the list of the same page has not.
      if (withBadge(document.title, 0) === own) document.title = before;
    };
  }, [name]);
}
