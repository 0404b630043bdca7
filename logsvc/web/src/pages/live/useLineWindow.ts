import { defaultRangeExtractor, useVirtualizer, type Range, type Virtualizer } from "@tanstack/react-virtual";
import { useCallback, useLayoutEffect, type RefObject } from "react";

import { useTail, useTailView } from "../../live/TailContext.tsx";
import { useMedia } from "../../shell/useMedia.ts";

const ROW_PX = 25;
/** On a phone a line takes two. */
const NARROW_ROW_PX = 52;
/** The names of the columns, above all lines; a phone has none. */
const HEAD_PX = 28;
/** Room above the oldest line, where the state of history is told. */
const EDGE_PX = 34;
const OVERSCAN = 12;
/** Air below the newest line. */
const END_ROOM_PX = 6;
/** And so that the button over a held list covers none of them. */
const BUTTON_ROOM_PX = 60;

export interface LineWindow {
  virtualizer: Virtualizer<HTMLDivElement, Element>;
  /** Of a line that is not wrapped; of one that is, the least. */
  rowPx: number;
  /** Whether all lines are where they will stay: not so just after a phone was turned. */
  isSettled: boolean;
}

/**
 * Which lines are drawn, and where. Lines of one height cost nothing, however many there are; wrapped ones are measured
 * as they are drawn, and keep their height while they are held.
 */
export function useLineWindow(scroller: RefObject<HTMLDivElement | null>, isWrapped: boolean): LineWindow {
  const tail = useTail();
  const { count, isFollowing } = useTailView();
  const isNarrow = useMedia("(max-width: 767px)");
  const rowPx = isNarrow ? NARROW_ROW_PX : ROW_PX;
  const topPx = isNarrow ? EDGE_PX : HEAD_PX + EDGE_PX;
  const endPx = isFollowing ? END_ROOM_PX : BUTTON_ROOM_PX;

  // While following, the newest rows are drawn wherever the scroll position still is: they come into view this frame.
  const rangeExtractor = useCallback(
    (range: Range) => {
      if (!isFollowing) return defaultRangeExtractor(range);
      const shown = Math.ceil((scroller.current?.clientHeight ?? 0) / rowPx) + OVERSCAN;
      return defaultRangeExtractor({
        ...range,
        startIndex: Math.max(0, range.count - shown),
        endIndex: range.count - 1,
        overscan: 0,
      });
    },
    [isFollowing, rowPx, scroller],
  );
  // A measured height goes with its line, whose index changes when older ones are forgotten. Below 0: no index.
  const firstSeq = isWrapped ? tail.seqAt(0) : 0;
  const keyOf = useCallback((index: number) => (isWrapped ? -1 - firstSeq - index : index), [isWrapped, firstSeq]);

  // Its answers change without its identity changing; nothing here is memoised on it.
  // oxlint-disable-next-line react/incompatible-library
  const virtualizer = useVirtualizer<HTMLDivElement, Element>({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowPx,
    getItemKey: keyOf,
    overscan: OVERSCAN,
    paddingStart: topPx,
    scrollPaddingStart: topPx - EDGE_PX,
    scrollPaddingEnd: BUTTON_ROOM_PX,
    paddingEnd: endPx,
    rangeExtractor,
    useFlushSync: false,
  });
  useLayoutEffect(() => virtualizer.measure(), [virtualizer, rowPx]);
  useLayoutEffect(() => forgetUpTo(virtualizer.itemSizeCache, firstSeq), [virtualizer, firstSeq]);

  return { virtualizer, rowPx, isSettled: isWrapped || virtualizer.getTotalSize() === topPx + count * rowPx + endPx };
}

/** Drop the heights of lines that are held no more; they stand about in the order in which lines were drawn. */
function forgetUpTo(heights: Map<unknown, number>, firstSeq: number): void {
  for (const key of heights.keys()) {
    if (typeof key !== "number" || -1 - key >= firstSeq) return;
    heights.delete(key);
  }
}
