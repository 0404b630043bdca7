import { useLayoutEffect, useRef, type ReactNode } from "react";

import type { Row } from "../../api/types.ts";
import { errorWords } from "../../format/text.ts";
import type { Filter } from "../../live/filter.ts";
import { jobPlace } from "../../parts/addresses.ts";
import { Block } from "../../parts/Block.tsx";
import { CopyButton } from "../../parts/CopyButton.tsx";
import { JsonBlock } from "../../parts/JsonBlock.tsx";
import { Icon, type IconName } from "../../shell/icons.tsx";
import { Link } from "../../shell/Link.tsx";
import { addressOf } from "../../shell/router.ts";
import { useBackCloses } from "../../shell/useBackCloses.ts";
import { useMedia } from "../../shell/useMedia.ts";
import { DetailFacts } from "./DetailFacts.tsx";
import type { SetFilter } from "./FilterBar.tsx";
import { searchOfLine, surroundingsOf } from "../../live/permalink.ts";
import { plainLine, summaryOf } from "../../parts/summary.ts";

interface RowDetailProps {
  row: Row;
  filter: Filter;
  setFilter: SetFilter;
  /** To the line before (-1) or after (1). */
  move: (step: number) => void;
  close: () => void;
}

/** Everything known of one line. */
export function RowDetail({ row, filter, setFilter, move, close }: RowDetailProps): ReactNode {
  const summary = summaryOf(row);
  const error = errorWords(row);
  // On a phone it covers the page: what is behind cannot be reached, and Back leads to the list.
  const isAlone = useMedia("(max-width: 767px)");
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const opened = isAlone ? dialog.current : null;
    opened?.showModal();
    return () => opened?.close();
  }, [isAlone]);
  useBackCloses(isAlone, close);
  const frame = {
    className: "detail",
    "data-testid": "row-detail",
    "data-id": row.id,
    "aria-label": "The chosen line",
  };
  const inside = (
    <>
      <div className="detail-head">
        <span className="detail-level" data-level={row.level}>
          {row.level}
        </span>
        <h2>
          {summary.verb || "log"}
          {row.job_name && <bdi className="detail-job">{row.job_name}</bdi>}
        </h2>
        <span className="header-space" />
        <IconButton icon="up" label="Line before" press={() => move(-1)} />
        <IconButton icon="chevron" label="Line after" press={() => move(1)} />
        <IconButton icon="close" label="Close (Esc)" press={close} />
      </div>
      <div className="detail-actions">
        <CopyButton icon="copy" label="Copy line" textOf={() => plainLine(row)} />
        <CopyButton icon="copy" label="Copy as JSON" textOf={() => JSON.stringify(row, null, 2)} />
        <CopyButton icon="link" label="Copy link" textOf={() => addressOf("logs", searchOfLine(filter, row))} />
        {row.queue && (
          <Link path="logs" search={searchOfLine(surroundingsOf(row), row)} className="button">
            Lines around it
          </Link>
        )}
        {row.job_id && row.queue && row.source && (
          <Link {...jobPlace({ source: row.source, queue: row.queue, job_id: row.job_id })} className="button">
            Open the job
          </Link>
        )}
        {row.job_id && !filter.job_id.includes(row.job_id) && (
          <button type="button" className="button" onClick={() => setFilter(onlyThisJob(filter, row))}>
            Only this job
          </button>
        )}
        {row.queue && !filter.queue.includes(row.queue) && (
          <button type="button" className="button" onClick={() => setFilter({ ...filter, queue: [row.queue ?? ""] })}>
            Only this queue
          </button>
        )}
      </div>
      {/* Focusable, so that the keyboard can scroll it. */}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div className="detail-body" tabIndex={0} role="region" aria-label="Details">
        {row.message && <Block title="Message" text={row.message} />}
        {error !== "" && <Block title="Error" text={error} tone="bad" />}
        <DetailFacts row={row} />
        {row.stack && row.stack.length > 0 && <Block title="Stack, newest call first" text={row.stack.join("\n")} />}
        {row.data && <JsonBlock title="Data" text={row.data} />}
        {row.result && <JsonBlock title="Result" text={row.result} />}
        {row.progress && <JsonBlock title="Progress" text={row.progress} />}
        {row.fields && <JsonBlock title="Fields" text={row.fields} />}
      </div>
    </>
  );
  if (!isAlone) return <aside {...frame}>{inside}</aside>;
  return (
    <dialog
      {...frame}
      ref={dialog}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
    >
      {inside}
    </dialog>
  );
}

/** Job ids repeat between queues, and queue names between sources: a job is all three. */
function onlyThisJob(filter: Filter, row: Row): Filter {
  return { ...filter, job_id: valuesOf(row.job_id), queue: valuesOf(row.queue), source: valuesOf(row.source) };
}

function valuesOf(value: string | undefined): string[] {
  return value ? [value] : [];
}

function IconButton({ icon, label, press }: { icon: IconName; label: string; press: () => void }): ReactNode {
  return (
    <button type="button" className="icon-button" aria-label={label} title={label} onClick={press}>
      <Icon name={icon} />
    </button>
  );
}
