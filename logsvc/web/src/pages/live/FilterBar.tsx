import { useEffect, useEffectEvent, useState, type ReactNode, type RefObject } from "react";

import { LEVELS, type QueueItem } from "../../api/types.ts";
import { toggled, type Filter } from "../../live/filter.ts";
import { Icon } from "../../shell/icons.tsx";
import { MoreFilter } from "./MoreFilter.tsx";
import { QueueFilter } from "./QueueFilter.tsx";

export type SetFilter = (filter: Filter, options?: { replace: boolean }) => void;

interface FilterBarProps {
  filter: Filter;
  setFilter: SetFilter;
  queues: readonly QueueItem[];
  textInput: RefObject<HTMLInputElement | null>;
  isFollowing: boolean;
  togglePause: () => void;
}

const KIND_CHOICES = [
  { value: "", name: "All" },
  { value: "event", name: "Events" },
  { value: "log", name: "Logs" },
] as const;

export function FilterBar({
  filter,
  setFilter,
  queues,
  textInput,
  isFollowing,
  togglePause,
}: FilterBarProps): ReactNode {
  return (
    <div className="filters" role="search" aria-label="Filter the lines">
      <TextFilter filter={filter} setFilter={setFilter} input={textInput} />
      <div className="filters-rest">
        <QueueFilter filter={filter} setFilter={setFilter} queues={queues} />
        <MoreFilter filter={filter} setFilter={setFilter} queues={queues} />
        <div className="segmented" role="group" aria-label="Levels" data-testid="filter-level">
          {LEVELS.map((level) => (
            <button
              key={level}
              type="button"
              data-level={level}
              aria-pressed={filter.level.includes(level)}
              onClick={() => setFilter(toggled(filter, "level", level))}
            >
              <span className="level-dot" data-dot={level} />
              {level}
            </button>
          ))}
        </div>
        <div className="segmented" role="group" aria-label="Kind of line" data-testid="filter-kind">
          {KIND_CHOICES.map(({ value, name }) => (
            <button
              key={name}
              type="button"
              data-kind={value}
              aria-pressed={value === "" ? filter.kind.length === 0 : filter.kind.includes(value)}
              onClick={() => setFilter({ ...filter, kind: value === "" ? [] : [value] })}
            >
              {name}
            </button>
          ))}
        </div>
      </div>
      <button
        type="button"
        className="button pause"
        data-testid="pause"
        data-held={!isFollowing}
        title={isFollowing ? "Hold the view still (Space)" : "Follow the newest line again (Space)"}
        onClick={togglePause}
      >
        <Icon name={isFollowing ? "pause" : "play"} />
        <span>{isFollowing ? "Pause" : "Resume"}</span>
      </button>
    </div>
  );
}

const TYPING_MS = 200;
/** The server takes no longer text. */
const LONGEST_TEXT = 1_000;

/** The text is asked for once typing rests. */
function TextFilter({
  filter,
  setFilter,
  input,
}: {
  filter: Filter;
  setFilter: SetFilter;
  input: RefObject<HTMLInputElement | null>;
}): ReactNode {
  const [text, setText] = useState(filter.q);
  const [asked, setAsked] = useState(filter.q);
  // The URL changed by itself (Back, "Clear filters"): follow it.
  if (filter.q !== asked) {
    setAsked(filter.q);
    setText(filter.q);
  }
  const ask = useEffectEvent((next: string) => {
    setAsked(next);
    setFilter({ ...filter, q: next }, { replace: true });
  });
  useEffect(() => {
    if (text === asked) return undefined;
    const timer = setTimeout(() => ask(text), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text, asked]);

  return (
    <label className="text-filter">
      <Icon name="search" />
      <input
        ref={input}
        type="search"
        data-find
        data-testid="filter-text"
        aria-label="Text in message, error, job name or job id"
        placeholder="Message, error, job name or id"
        autoComplete="off"
        autoCapitalize="off"
        spellCheck={false}
        maxLength={LONGEST_TEXT}
        enterKeyHint="search"
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <kbd aria-hidden="true">/</kbd>
    </label>
  );
}
