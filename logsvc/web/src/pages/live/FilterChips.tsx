import type { ReactNode } from "react";

import { isEmptyFilter, NO_FILTER, toggled, type Filter, type SetKey } from "../../live/filter.ts";
import { Icon } from "../../shell/icons.tsx";
import type { SetFilter } from "./FilterBar.tsx";

/** Conditions that have no control of their own in the bar, and how they are called. */
const CHIP_NAMES: Partial<Record<SetKey, string>> = {
  queue: "queue",
  job_id: "job",
  source: "source",
  service: "service",
  env: "env",
  state: "state",
};

/** What the filter asks for, each condition with a cross; nothing when nothing is asked. */
export function FilterChips({ filter, setFilter }: { filter: Filter; setFilter: SetFilter }): ReactNode {
  const chips = (Object.entries(CHIP_NAMES) as [SetKey, string][]).flatMap(([key, name]) =>
    filter[key].map((value) => ({ key, name, value })),
  );
  if (isEmptyFilter(filter)) return null;
  return (
    <div className="chips">
      {chips.map(({ key, name, value }) => (
        <button
          key={`${key}=${value}`}
          type="button"
          className="chip"
          aria-label={`Remove ${name} ${value}`}
          onClick={() => setFilter(toggled(filter, key, value))}
        >
          <span className="chip-name">{name}</span> <bdi>{value}</bdi>
          <Icon name="close" />
        </button>
      ))}
      <button type="button" className="link-button" onClick={() => setFilter(NO_FILTER)}>
        Clear all
      </button>
    </div>
  );
}
