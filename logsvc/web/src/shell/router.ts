import { useSyncExternalStore } from "react";

/** Where the page is, below its base: `/tocsin/queues?x=1` under `/tocsin/` is path "queues", search "?x=1". */
export interface Place {
  path: string;
  search: string;
}

const CHANGED = "tocsin:navigated";

/** The address of a page under the base. */
export function addressOf(path: string, search = ""): string {
  return new URL(path + search, document.baseURI).href;
}

/** Go to a page without loading the document anew. replace: leave no step for the Back button. */
export function navigate(path: string, search = "", options: { replace?: boolean } = {}): void {
  const address = addressOf(path, search);
  if (address === location.href) return;
  if (options.replace) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  dispatchEvent(new Event(CHANGED));
}

/** The present place; the component renders anew when it changes. */
export function usePlace(): Place {
  const href = useSyncExternalStore(subscribe, () => location.href);
  return placeOf(href, document.baseURI);
}

export function placeOf(href: string, base: string): Place {
  const url = new URL(href);
  const root = new URL(base).pathname;
  const path = url.pathname.startsWith(root) ? url.pathname.slice(root.length) : url.pathname.slice(1);
  return { path: path.replace(/\/$/, ""), search: url.search };
}

function subscribe(listener: () => void): () => void {
  addEventListener("popstate", listener);
  addEventListener(CHANGED, listener);
  return () => {
    removeEventListener("popstate", listener);
    removeEventListener(CHANGED, listener);
  };
}
