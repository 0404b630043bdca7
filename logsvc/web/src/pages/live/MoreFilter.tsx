import { useId, type ReactNode } from "react";

import type { QueueItem } from "../../api/types.ts";
import { toggled, type Filter } from "../../live/filter.ts";
import { Icon } from "../../shell/icons.tsx";
import type { SetFilter } from "./FilterBar.tsx";
import { usePopover } from "./usePopover.ts";

const STATES = [
  "waiting",
  "waiting-children",
  "active",
  "delayed",
  "retrying",
  "completed",
  "failed",
  "stalled",
  "removed",
] as const;
/** Whose own log lines there are. */
const SERVICES = ["bridge", "logsvc", "bot", "proxy"] as const;

interface MoreFilterProps {
  filter: Filter;
  setFilter: SetFilter;
  queues: readonly QueueItem[];
}

/** Sources where there are several, job states, and Tocsin's own services, to tick. */
export function MoreFilter({ filter, setFilter, queues }: MoreFilterProps): ReactNode {
  const { root, isOpen, setOpen } = usePopover();
  const panelId = useId();
  const chosen = filter.source.length + filter.state.length + filter.service.length;
  const sources = [...new Set([...queues.map(({ source }) => source), ...filter.source])].toSorted((one, other) =>
    one.localeCompare(other),
  );
  return (
    <div className="queue-filter" ref={root}>
      <button
        type="button"
        className="button"
        data-testid="filter-more"
        aria-expanded={isOpen}
        aria-controls={panelId}
        data-active={chosen > 0}
        onClick={() => setOpen(!isOpen)}
      >
        <span className="queue-filter-label">{chosen > 0 ? `More: ${chosen}` : "More"}</span>
        <Icon name="chevron" />
      </button>
      {isOpen && (
        <div className="popover" id={panelId} role="group" aria-label="More filters">
          <div className="popover-list">
            {(sources.length > 1 || filter.source.length > 0) && (
              <Options title="Source" name="source" values={sources} filter={filter} setFilter={setFilter} />
            )}
            <Options title="State of the job" name="state" values={STATES} filter={filter} setFilter={setFilter} />
            <Options title="Service of Tocsin" name="service" values={SERVICES} filter={filter} setFilter={setFilter} />
          </div>
        </div>
      )}
    </div>
  );
}

interface OptionsProps {
  title: string;
  name: "source" | "state" | "service";
  values: readonly string[];
  filter: Filter;
  setFilter: SetFilter;
}

function Options({ title, name, values, filter, setFilter }: OptionsProps): ReactNode {
  return (
    <fieldset className="popover-set">
      <legend>{title}</legend>
      {values.map((value) => (
        <label key={value} className="popover-option" data-testid={`filter-${name}-option`} data-value={value}>
          <input
            type="checkbox"
            checked={filter[name].includes(value)}
            onChange={() => setFilter(toggled(filter, name, value))}
          />
          <bdi>{value}</bdi>
        </label>
      ))}
    </fieldset>
  );
}
