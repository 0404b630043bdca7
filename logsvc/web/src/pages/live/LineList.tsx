import {
  lazy,
  Suspense,
  useEffect,
  useImperativeHandle,
  useLayoutEffect,
  useRef,
  type ReactNode,
  type Ref,
} from "react";

import type { QueueItem, Row } from "../../api/types.ts";
import { count } from "../../format/count.ts";
import { isMarker } from "../../live/entries.ts";
import { useTail, useTailView } from "../../live/TailContext.tsx";
import { useAreEnvsMixed } from "../../shell/envs.ts";
import { Icon } from "../../shell/icons.tsx";
import { useTimeStyle } from "../../shell/timeStyle.ts";
import { useNow } from "../../shell/useNow.ts";
import { HistoryBanner } from "./HistoryBanner.tsx";
import { HistoryEdge } from "./HistoryEdge.tsx";
import { elementIdOf, LineRow } from "./LineRow.tsx";
import { MarkerRow } from "./MarkerRow.tsx";
import { useLineWindow } from "./useLineWindow.ts";

/** Not part of a first view that has lines. */
const EmptyList = lazy(async () => ({ default: (await import("./EmptyList.tsx")).EmptyList }));

export interface LineListHandle {
  scrollToIndex(index: number): void;
  focus(): void;
}

interface LineListProps {
  ref: Ref<LineListHandle>;
  needle: string;
  /** Long lines are shown whole. */
  isWrapped: boolean;
  cursorId: string | null;
  /** undefined until they are known. */
  queues: readonly QueueItem[] | undefined;
  open: (row: Row) => void;
  goLive: () => void;
  clearFilter: () => void;
}

/** Older lines are fetched when the reader comes this near to the oldest. */
const NEAR_TOP_PX = 600;
/** Nearer to the end than this counts as the end; zoomed pages have fractions of pixels. */
const END_PX = 3;
const HOUR_MS = 3_600_000;
const RELATIVE_MS = 1_000;

/** The windowed list of lines: follows the newest, and stays where the reader is when older or missing ones come in. */
export function LineList({
  ref,
  needle,
  isWrapped,
  cursorId,
  queues,
  open,
  goLive,
  clearFilter,
}: LineListProps): ReactNode {
  const tail = useTail();
  const view = useTailView();
  const scroller = useRef<HTMLDivElement>(null);
  const { isFollowing, linked } = view;
  const isLive = linked === null && view.past === null;
  const timeStyle = useTimeStyle();
  const hasEnvs = useAreEnvsMixed();
  const now = useNow();
  // What is written by the clock changes with the hour alone: so lines are not drawn anew each second.
  const timeStep = timeStyle === "relative" ? RELATIVE_MS : HOUR_MS;
  const timeNow = now - (now % timeStep);

  const { virtualizer, rowPx, isSettled } = useLineWindow(scroller, isWrapped);

  useImperativeHandle(
    ref,
    () => ({
      scrollToIndex: (index) => virtualizer.scrollToIndex(index, { align: "auto" }),
      focus: () => scroller.current?.focus({ preventScroll: true }),
    }),
    [virtualizer],
  );

  /** The first line in view and how far it is scrolled, to find the place again when lines come in above it. */
  const anchor = useRef({ id: "", offset: 0, epoch: -1, rowPx });
  const lastTop = useRef(0);

  const remember = (element: HTMLElement): void => {
    const first = virtualizer.getVirtualItemForOffset(element.scrollTop);
    const offset = element.scrollTop - (first?.start ?? 0);
    anchor.current = { id: tail.entryAt(first?.index ?? 0)?.id ?? "", offset, epoch: view.epoch, rowPx };
    lastTop.current = element.scrollTop;
  };

  const loadOlderIfNear = (element: HTMLElement): void => {
    if (view.history.older === "more" && element.scrollTop < NEAR_TOP_PX) void tail.loadOlder();
  };

  // Runs after every render, before paint: the one place that moves the list by itself.
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    if (isFollowing) {
      element.scrollTop = element.scrollHeight;
    } else if (anchor.current.id === "") {
      // A held list that was not there before (or had no line) begins at its end, too.
      element.scrollTop = element.scrollHeight;
    } else if (anchor.current.epoch !== view.epoch || anchor.current.rowPx !== rowPx) {
      const index = tail.indexOf(anchor.current.id);
      const place = virtualizer.measurementsCache[index];
      if (place !== undefined) element.scrollTop = place.start + anchor.current.offset;
    }
    // A turned phone has other rows: there the list gets its new height only after this, and this runs again.
    if (isSettled) remember(element);
    if (element.scrollHeight <= element.clientHeight + NEAR_TOP_PX) loadOlderIfNear(element);
  });

  // A linked line is brought to the middle once its surroundings are here.
  const linkedId = linked?.id;
  const isReady = view.history.status === "ready";
  useEffect(() => {
    if (linkedId === undefined || !isReady) return;
    const { index } = tail.placeOfLinked();
    if (index >= 0) virtualizer.scrollToIndex(index, { align: "center" });
  }, [linkedId, isReady, tail, virtualizer]);

  const onScroll = (): void => {
    const element = scroller.current;
    if (element === null) return;
    const toEnd = element.scrollHeight - element.clientHeight - element.scrollTop;
    if (toEnd <= END_PX) {
      if (isLive) tail.release("scroll");
    } else if (element.scrollTop < lastTop.current - 1) {
      tail.hold("scroll");
    }
    remember(element);
    loadOlderIfNear(element);
  };

  const measure = isWrapped ? virtualizer.measureElement : undefined;
  const items = virtualizer.getVirtualItems();
  const isCursorDrawn = items.some(({ index }) => tail.entryAt(index)?.id === cursorId);
  return (
    <section className="list" aria-label="Events and log lines">
      <HistoryBanner />
      <div
        className="list-grid"
        ref={scroller}
        onScroll={onScroll}
        role="grid"
        aria-label="Events and log lines, newest last"
        aria-rowcount={view.count + 1}
        aria-activedescendant={cursorId !== null && isCursorDrawn ? elementIdOf(cursorId) : undefined}
        aria-busy={view.history.status === "loading"}
        tabIndex={0}
        data-testid="live-scroller"
      >
        <div className="list-canvas" style={{ height: virtualizer.getTotalSize() }}>
          <div className="list-head" role="row" aria-rowindex={1}>
            <span role="columnheader">Time</span>
            <span role="columnheader">Level</span>
            <span role="columnheader">Queue</span>
            <span role="columnheader">Job</span>
            <span role="columnheader">Message</span>
            <span role="columnheader" className="list-head-facts">
              {hasEnvs ? "Env, attempt, run" : "Attempt, run"}
            </span>
          </div>
          <HistoryEdge
            history={view.history}
            isEmpty={view.count === 0}
            isPast={view.past !== null}
            retry={() => void tail.loadOlder()}
          />
          <div className="list-window" style={{ transform: `translateY(${items[0]?.start ?? 0}px)` }}>
            {items.map(({ index }) => {
              const entry = tail.entryAt(index);
              if (entry === undefined) return null;
              const key = tail.seqAt(index);
              if (isMarker(entry)) {
                return (
                  <MarkerRow key={key} ref={measure} marker={entry} index={index} fill={(id) => void tail.fill(id)} />
                );
              }
              return (
                <LineRow
                  key={key}
                  ref={measure}
                  row={entry}
                  index={index}
                  isWrapped={isWrapped}
                  needle={needle}
                  isCursor={entry.id === cursorId}
                  now={timeNow}
                  timeStyle={timeStyle}
                  hasEnvs={hasEnvs}
                  open={open}
                />
              );
            })}
          </div>
        </div>
      </div>
      {view.count === 0 && (
        <Suspense>
          <EmptyList queues={queues} clearFilter={clearFilter} />
        </Suspense>
      )}
      {!isFollowing && (
        <button type="button" className="new-rows" data-testid="new-rows" data-count={view.newCount} onClick={goLive}>
          <Icon name="down" />
          {view.newCount > 0 ? `${count(view.newCount)} new` : "To the newest"}
        </button>
      )}
    </section>
  );
}
