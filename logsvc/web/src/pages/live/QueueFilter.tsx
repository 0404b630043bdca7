import { useId, useState, type ReactNode } from "react";

import type { QueueItem } from "../../api/types.ts";
import { toggled, type Filter } from "../../live/filter.ts";
import { useTail } from "../../live/TailContext.tsx";
import { Icon } from "../../shell/icons.tsx";
import type { SetFilter } from "./FilterBar.tsx";
import { usePopover } from "./usePopover.ts";

interface QueueFilterProps {
  filter: Filter;
  setFilter: SetFilter;
  queues: readonly QueueItem[];
}

/** More queues than this get a box to look for one. */
const MANY = 8;

/** A list of queues to tick: those the server watches, those seen in rows, and those the filter names already. */
export function QueueFilter({ filter, setFilter, queues }: QueueFilterProps): ReactNode {
  const { root, isOpen, setOpen } = usePopover();
  const [needle, setNeedle] = useState("");
  const [seen, setSeen] = useState<readonly string[]>([]);
  const tail = useTail();
  const panelId = useId();

  const names = [...new Set([...queues.map((item) => item.queue), ...seen, ...filter.queue])].toSorted((one, other) =>
    one.localeCompare(other),
  );
  const shown = names.filter((name) => name.toLowerCase().includes(needle.toLowerCase()));

  return (
    <div className="queue-filter" ref={root}>
      <button
        type="button"
        className="button"
        data-testid="filter-queue"
        aria-expanded={isOpen}
        aria-controls={panelId}
        data-active={filter.queue.length > 0}
        onClick={() => {
          setSeen(tail.queuesSeen());
          setOpen(!isOpen);
        }}
      >
        <span className="queue-filter-label">{labelOf(filter.queue)}</span>
        <Icon name="chevron" />
      </button>
      {isOpen && (
        <div className="popover" id={panelId} role="group" aria-label="Queues">
          {names.length > MANY && (
            <input
              type="search"
              className="popover-search"
              placeholder="Find a queue"
              aria-label="Find a queue"
              value={needle}
              onChange={(event) => setNeedle(event.target.value)}
            />
          )}
          <div className="popover-list">
            {shown.map((name) => (
              <label key={name} className="popover-option" data-testid="filter-queue-option" data-queue={name}>
                <input
                  type="checkbox"
                  checked={filter.queue.includes(name)}
                  onChange={() => setFilter(toggled(filter, "queue", name))}
                />
                <bdi>{name}</bdi>
              </label>
            ))}
            {shown.length === 0 && (
              <p className="popover-empty">{names.length === 0 ? "No queue is known yet" : "No queue has this name"}</p>
            )}
          </div>
          {filter.queue.length > 0 && (
            <button type="button" className="popover-clear" onClick={() => setFilter({ ...filter, queue: [] })}>
              All queues
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function labelOf(names: readonly string[]): string {
  const [first] = names;
  if (first === undefined) return "All queues";
  return names.length === 1 ? first : `${first} +${names.length - 1}`;
}
