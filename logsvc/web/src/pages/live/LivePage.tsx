import { useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from "react";

import { useQueueNames } from "../../api/queues.ts";
import type { Row } from "../../api/types.ts";
import { isMarker } from "../../live/entries.ts";
import { filterFromSearch, filterToSearch, NO_FILTER, type Filter } from "../../live/filter.ts";
import { useTail, useTailView } from "../../live/TailContext.tsx";
import type { PageProps } from "../../shell/pages.ts";
import { navigate } from "../../shell/router.ts";
import { FilterBar } from "./FilterBar.tsx";
import { FilterChips } from "./FilterChips.tsx";
import { LineList, type LineListHandle } from "./LineList.tsx";
import { LinkedBanner } from "./LinkedBanner.tsx";
import { linkedFromSearch, searchWithoutLine } from "./permalink.ts";
import { RowDetail } from "./RowDetail.tsx";
import { useKeys } from "./useKeys.ts";
import "./live.css";

export function LivePage({ search }: PageProps): ReactNode {
  const tail = useTail();
  const view = useTailView();
  const filter = useMemo(() => filterFromSearch(search), [search]);
  const linked = useMemo(() => linkedFromSearch(search), [search]);
  const queues = useQueueNames();
  const list = useRef<LineListHandle>(null);
  const textInput = useRef<HTMLInputElement>(null);
  const [cursorId, setCursorId] = useState<string | null>(linked?.id ?? null);
  const [openRow, setOpenRow] = useState<Row | null>(null);

  const isMissing =
    linked !== null && view.history.status === "ready" && view.count > 0 && !tail.placeOfLinked().isHere;

  const setFilter = useCallback((next: Filter, options?: { replace: boolean }) => {
    navigate("logs", filterToSearch(next), options);
  }, []);

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

  const goLive = useCallback(() => {
    if (linked !== null) navigate("logs", searchWithoutLine(search));
    tail.follow();
  }, [tail, linked, search]);

  const togglePause = useCallback(() => {
    if (view.isFollowing) tail.hold("pause");
    else goLive();
  }, [tail, view.isFollowing, goLive]);

  /** Move the cursor by some rows, from the newest one when there is no cursor yet; an open detail goes along. */
  const move = (step: number): void => {
    const from = cursorId === null ? -1 : tail.indexOf(cursorId);
    let index = from < 0 ? view.count - 1 : from + step;
    let entry = tail.entryAt(index);
    while (entry !== undefined && isMarker(entry)) {
      index += step;
      entry = tail.entryAt(index);
    }
    if (entry === undefined || index >= view.count) return;
    if (view.isFollowing) tail.hold("scroll");
    setCursorId(entry.id);
    if (openRow !== null && !isMarker(entry)) setOpenRow(entry);
    list.current?.scrollToIndex(index);
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
      <FilterBar
        filter={filter}
        setFilter={setFilter}
        queues={queues.data?.items ?? []}
        textInput={textInput}
        isFollowing={view.isFollowing}
        togglePause={togglePause}
      />
      <FilterChips filter={filter} setFilter={setFilter} />
      {linked !== null && (
        <LinkedBanner linked={linked} isMissing={isMissing} goLive={goLive} newCount={view.newCount} />
      )}
      <div className="live-body" data-detail={openRow !== null}>
        <LineList
          ref={list}
          needle={filter.q}
          cursorId={cursorId}
          queues={queues.data?.items}
          open={open}
          goLive={goLive}
          clearFilter={() => setFilter(NO_FILTER)}
        />
        {openRow !== null && (
          <RowDetail row={openRow} filter={filter} setFilter={setFilter} move={move} close={close} />
        )}
      </div>
    </div>
  );
}
