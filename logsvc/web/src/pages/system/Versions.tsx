import type { ReactNode } from "react";

import type { System } from "../../api/system.ts";
import { FactList, type NamedFact } from "../../parts/FactList.tsx";

/** What runs, in which version. */
export function Versions({ system: { versions } }: { system: System }): ReactNode {
  const facts: readonly NamedFact[] = [
    ["Tocsin", versions.tocsin],
    ["Wire contract", String(versions.contract)],
    ["Python", versions.python],
    ["ClickHouse", versions.clickhouse ?? "not known now"],
    ["BullMQ, of the queues", versions.bullmq.join(", ") || "not told by the queues"],
  ];
  return (
    <section>
      <h2 className="section-title">Versions</h2>
      <FactList facts={facts} />
    </section>
  );
}
