import { useSyncExternalStore } from "react";

/** Where the page is, below its base: `/tocsin/queues?x=1` under `/tocsin/` is path "queues", search "?x=1". */
export interface Place {
  path: string;
  search: string;
}

/** An event: the page went to another address by itself. */
export const NAVIGATED = "tocsin:navigated";
/** The state of a step that is no place, but something open over one: Back closes it. */
export const OPEN_STEP = "tocsin-open";

/** The address of a page under the base. */
export function addressOf(path: string, search = ""): string {
  return new URL(path + search, document.baseURI).href;
}

/**
 * Go to a page without loading the document anew. replace: leave no step for the Back button. The step of something that
 * is open becomes the new place, so that Back leads to where it was opened.
 */
export function navigate(path: string, search = "", options: { replace?: boolean } = {}): void {
  const address = addressOf(path, search);
  if (address === location.href) return;
  if (options.replace || history.state === OPEN_STEP) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  dispatchEvent(new Event(NAVIGATED));
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
  addEventListener(NAVIGATED, listener);
  return () => {
    removeEventListener("popstate", listener);
    removeEventListener(NAVIGATED, listener);
  };
}
