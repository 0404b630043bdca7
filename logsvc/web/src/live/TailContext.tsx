import { createContext, use, useSyncExternalStore } from "react";

import type { Tail } from "./tail.ts";
import type { ConnectionView, TailView } from "./tailView.ts";

export const TailContext = createContext<Tail | null>(null);

/** The one tail of this page. */
export function useTail(): Tail {
  const tail = use(TailContext);
  if (tail === null) throw new Error("no TailContext around this component");
  return tail;
}

/** What the tail shows; renders at most once a frame. */
export function useTailView(): TailView {
  const tail = useTail();
  return useSyncExternalStore(tail.subscribe, tail.view);
}

/** One part of what the tail shows: renders when that changes, not for each line. pick: gives a plain value. */
export function useTailPart<Part extends string | number | boolean>(pick: (view: TailView) => Part): Part {
  const tail = useTail();
  return useSyncExternalStore(tail.subscribe, () => pick(tail.view()));
}

export function useConnection(): ConnectionView {
  const tail = useTail();
  return useSyncExternalStore(tail.subscribeConnection, tail.connection);
}
