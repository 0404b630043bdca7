import { useEffect } from "react";

/** Name the document after the thing that a page shows, once it is known. */
export function useTitle(name: string | undefined): void {
  useEffect(() => {
    if (name) document.title = `${name} · Tocsin`;
  }, [name]);
}
