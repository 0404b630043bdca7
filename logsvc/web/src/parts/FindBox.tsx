import { useEffect, useState, type ReactNode } from "react";

import { Icon } from "../shell/icons.tsx";
import { useSettled } from "../shell/useSettled.ts";

interface FindBoxProps {
  label: string;
  value: string;
  change: (value: string) => void;
}

/** The search field of a page, where "/" goes; what is typed counts when one pauses. */
export function FindBox({ label, value, change }: FindBoxProps): ReactNode {
  const [typed, setTyped] = useState(value);
  const settled = useSettled(typed);
  const [known, setKnown] = useState(value);
  // Changed from outside, as by a link or the Back button: what stands in the box is what is looked for.
  if (value !== known) {
    setKnown(value);
    if (value !== settled) setTyped(value);
  }
  useEffect(() => {
    if (settled !== value) change(settled);
    // Only what was typed counts here: a new `value` comes from outside, above.
    // oxlint-disable-next-line react/exhaustive-deps
  }, [settled]);
  return (
    <label className="text-filter find-box">
      <Icon name="search" />
      <input
        type="search"
        data-find
        aria-label={label}
        placeholder={label}
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
      />
    </label>
  );
}
