import type { ReactNode } from "react";

import type { System } from "../../api/system.ts";
import { bytes } from "../../format/bytes.ts";
import { count, counted } from "../../format/count.ts";
import { ago, fullTime } from "../../format/time.ts";
import { FactList, type NamedFact } from "../../parts/FactList.tsx";
import { useZone } from "../../shell/timeStyle.ts";
import { byTopic } from "./health.ts";

/** How far what comes in has got: stored, waiting in Kafka, held in memory. */
export function Pipeline({ system, now }: { system: System; now: number }): ReactNode {
  const zone = useZone();
  const facts: readonly NamedFact[] = [
    ["History is complete up to", system.as_of ? ago(now - Date.parse(system.as_of)) : "not known now"],
    ["Kept since", system.coverage.history_since ? fullTime(system.coverage.history_since, zone) : "not known now"],
    ["Queues counted", system.queues_as_of ? ago(now - Date.parse(system.queues_as_of)) : "not yet"],
    ["Live viewers", `${count(system.live.viewers)} of this replica`],
    ["Kept for who reconnects", `${counted(system.live.ring_rows, "line")}, ${bytes(system.live.ring_bytes)}`],
  ];
  return (
    <section>
      <h2 className="section-title">Pipeline</h2>
      <FactList facts={facts} />
      <div className="table-frame">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Kafka topic</th>
              <th scope="col">State</th>
              <th scope="col" className="number">
                Partitions
              </th>
              <th scope="col" className="number">
                Not stored yet
              </th>
              <th scope="col" className="number">
                In memory
              </th>
            </tr>
          </thead>
          <tbody>
            {byTopic(system.pipeline).map((topic) => (
              <tr key={topic.topic} data-bad={topic.reasons.length > 0}>
                <th scope="row">
                  <span className="name">{topic.topic}</span>
                </th>
                <td data-name="State">
                  {topic.states.join(", ")}
                  {topic.reasons.length > 0 && <span className="quiet">: {topic.reasons.join("; ")}</span>}
                </td>
                <td className="number" data-name="Partitions">
                  {count(topic.partitions)}
                </td>
                <td className="number" data-name="Not stored yet">
                  {count(topic.lag)}
                </td>
                <td className="number" data-name="In memory">
                  {bytes(topic.bufferedBytes)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
