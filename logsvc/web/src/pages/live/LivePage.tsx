import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from "react";

import { serverNow } from "../../api/clock.ts";
import { useQueueNames } from "../../api/queues.ts";
import type { Row } from "../../api/types.ts";
import { isMarker } from "../../live/entries.ts";
import { filterFromSearch, filterToSearch, NO_FILTER, type Filter } from "../../live/filter.ts";
import { useTail, useTailPart } from "../../live/TailContext.tsx";
import { rangeFromSearch, searchWithRange, wider, type Range } from "../../parts/timeRange.ts";
import type { PageProps } from "../../shell/pages.ts";
import { navigate } from "../../shell/router.ts";
import { isGround } from "../../shell/shortcuts.ts";
import { FilterBar } from "./FilterBar.tsx";
import { FilterChips } from "./FilterChips.tsx";
import { LevelHistogram } from "./LevelHistogram.tsx";
import { LineList, type LineListHandle } from "./LineList.tsx";
import { LinkedBanner } from "./LinkedBanner.tsx";
import { PastBanner } from "./PastBanner.tsx";
import { exportParams, linkedFromSearch, pastFromSearch, searchLive } from "../../live/permalink.ts";
import { Tools } from "./Tools.tsx";
import { useKeys } from "./useKeys.ts";
import { useViewOptions } from "./viewOptions.ts";
import "./live.css";

const loadDetail = () => import("./RowDetail.tsx");
const RowDetail = lazy(async () => ({ default: (await loadDetail()).RowDetail }));
/** Soon after the first view, so that a line can be opened while the server is away. */
const LOAD_DETAIL_MS = 1_500;

/** How far the histogram reaches unless somebody chose. */
const USUAL: Range = { span: "1h" };

export function LivePage({ search }: PageProps): ReactNode {
  const tail = useTail();
  const isFollowing = useTailPart((view) => view.isFollowing);
  const filter = useMemo(() => filterFromSearch(search), [search]);
  const linked = useMemo(() => linkedFromSearch(search), [search]);
  const range = useMemo(() => rangeFromSearch(search) ?? USUAL, [search]);
  const past = useMemo(() => pastFromSearch(search), [search]);
  const { options, choose } = useViewOptions();
  const queues = useQueueNames();
  const list = useRef<LineListHandle>(null);
  const textInput = useRef<HTMLInputElement>(null);
  const [cursorId, setCursorId] = useState<string | null>(linked?.id ?? null);
  const [openRow, setOpenRow] = useState<Row | null>(null);
  // Another line was linked to, by a link of this page or by Back: it is marked.
  const [markedLink, setMarkedLink] = useState(linked?.id);
  if (linked?.id !== markedLink) {
    setMarkedLink(linked?.id);
    if (linked !== null) setCursorId(linked.id);
  }

  // Another filter is asked of the same time; a linked line is left.
  const setFilter = useCallback(
    (next: Filter, how?: { replace: boolean }) => {
      navigate("logs", searchWithRange(filterToSearch(next), rangeFromSearch(search)), how);
    },
    [search],
  );
  const setRange = useCallback(
    (next: Range) => navigate("logs", searchWithRange(filterToSearch(filterFromSearch(search)), next)),
    [search],
  );
  const zoom = useCallback((from: number, to: number) => setRange({ from, to }), [setRange]);
  const zoomOut = (): void => setRange("from" in range ? wider(range, serverNow()) : range);

  const open = useCallback(
    (row: Row) => {
      tail.hold("detail");
      setCursorId(row.id);
      setOpenRow(row);
    },
    [tail],
  );

  const close = useCallback(() => {
    setOpenRow(null);
    tail.release("detail");
    list.current?.focus();
  }, [tail]);

  useEffect(() => () => tail.leave(), [tail]);
  useEffect(() => {
    const timer = setTimeout(() => void loadDetail().catch(() => {}), LOAD_DETAIL_MS);
    return () => clearTimeout(timer);
  }, []);

  const goLive = useCallback(() => {
    if (linked !== null || past !== null) navigate("logs", searchLive(search));
    tail.follow();
  }, [tail, linked, past, search]);

  const togglePause = useCallback(() => {
    if (isFollowing) tail.hold("pause");
    else goLive();
  }, [tail, isFollowing, goLive]);

  /** Move the cursor by some rows, from the newest one when there is no cursor yet; an open detail goes along. */
  const move = (step: number): void => {
    const { count } = tail.view();
    const from = cursorId === null ? -1 : tail.indexOf(cursorId);
    let index = from < 0 ? count - 1 : from + step;
    let entry = tail.entryAt(index);
    while (entry !== undefined && isMarker(entry)) {
      index += step;
      entry = tail.entryAt(index);
    }
    if (entry === undefined || index >= count) return;
    if (isFollowing) tail.hold("scroll");
    setCursorId(entry.id);
    if (openRow !== null && !isMarker(entry)) setOpenRow(entry);
    list.current?.scrollToIndex(index);
    // The cursor is read out where the focus is; in an open detail it stays.
    if (isGround(document.activeElement)) list.current?.focus();
  };

  const openCursor = (): void => {
    const entry = cursorId === null ? undefined : tail.entryAt(tail.indexOf(cursorId));
    if (entry !== undefined && !isMarker(entry)) open(entry);
  };

  useKeys({
    togglePause,
    focusText: () => textInput.current?.focus(),
    next: () => move(1),
    previous: () => move(-1),
    open: openCursor,
    end: goLive,
    escape: () => {
      if (openRow !== null) close();
      else setCursorId(null);
    },
  });

  return (
    <div className="live">
      <h1 className="visually-hidden">Live</h1>
      <p className="visually-hidden" role="status">
        {openRow !== null && "The line is open beside the list. Escape closes it"}
      </p>
      <FilterBar
        filter={filter}
        setFilter={setFilter}
        queues={queues.data?.items ?? []}
        textInput={textInput}
        isFollowing={isFollowing}
        togglePause={togglePause}
      />
      <FilterChips filter={filter} setFilter={setFilter} />
      <Tools
        range={range}
        setRange={setRange}
        options={options}
        choose={choose}
        exported={() => exportParams(filter, range, linked, serverNow())}
      />
      {options.hasHistogram && (
        <LevelHistogram filter={filter} range={range} zoom={zoom} zoomOut={past === null ? undefined : zoomOut} />
      )}
      {linked !== null && <LinkedBanner linked={linked} goLive={goLive} />}
      {linked === null && past !== null && <PastBanner past={past} goLive={goLive} />}
      <div className="live-body" data-wrapped={options.isWrapped} data-detail={openRow !== null}>
        <LineList
          ref={list}
          needle={filter.q}
          isWrapped={options.isWrapped}
          cursorId={cursorId}
          queues={queues.data?.items}
          open={open}
          goLive={goLive}
          clearFilter={() => setFilter(NO_FILTER)}
        />
        {openRow !== null && (
          <Suspense fallback={<aside className="detail" aria-label="The chosen line" />}>
            <RowDetail row={openRow} filter={filter} setFilter={setFilter} move={move} close={close} />
          </Suspense>
        )}
      </div>
    </div>
  );
}
