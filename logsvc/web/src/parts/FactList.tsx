import type { ReactNode } from "react";

/** A name and what is said of it; nothing is said of an empty one. */
export type NamedFact = readonly [name: string, value: ReactNode];

interface FactListProps {
  facts: readonly NamedFact[];
  /** Values are data of the app, and not sentences. */
  isMono?: boolean;
}

/** Names and values side by side; those without a value are left out. */
export function FactList({ facts, isMono = false }: FactListProps): ReactNode {
  return (
    <dl className={isMono ? "facts" : "facts facts-plain"}>
      {facts.map(
        ([name, value]) =>
          value && (
            <div key={name} className="facts-row">
              <dt>{name}</dt>
              <dd>
                <bdi>{value}</bdi>
              </dd>
            </div>
          ),
      )}
    </dl>
  );
}
