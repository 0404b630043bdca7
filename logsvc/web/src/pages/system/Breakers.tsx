import type { ReactNode } from "react";

import type { System } from "../../api/system.ts";
import { breakerWords } from "./health.ts";

/** Whether those that logsvc asks do answer. */
export function Breakers({ breakers }: { breakers: System["breakers"] }): ReactNode {
  return (
    <section>
      <h2 className="section-title">What logsvc asks of others</h2>
      <ul className="breakers">
        {Object.entries(breakers).map(([name, state]) => (
          <li key={name}>
            {name}{" "}
            <span className="tag" data-tone={state === "closed" ? "good" : "error"}>
              {breakerWords(state)}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
