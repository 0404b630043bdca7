import type { ReactNode } from "react";

import type { Service } from "../../api/system.ts";
import { ago, duration, fullTime } from "../../format/time.ts";
import { useZone } from "../../shell/timeStyle.ts";
import { breakerWords } from "./health.ts";

/** How bridge and bot say they are, each replica by itself; of one that is silent, what it said last. */
export function Services({ services, now }: { services: readonly Service[]; now: number }): ReactNode {
  return (
    <section>
      <h2 className="section-title">Bridge and bot</h2>
      <div className="table-frame">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Service</th>
              <th scope="col">State</th>
              <th scope="col" className="number">
                Behind
              </th>
              <th scope="col">What it asks of others</th>
              <th scope="col">Version</th>
            </tr>
          </thead>
          <tbody>
            {services.map((service) => (
              <ServiceRow key={`${service.service} ${service.address}`} service={service} now={now} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function ServiceRow({ service: one, now }: { service: Service; now: number }): ReactNode {
  const zone = useZone();
  const broken = Object.entries(one.breakers).filter(([, state]) => state !== "closed");
  return (
    <tr data-testid="service" data-service={one.service} data-bad={one.problem !== "" || broken.length > 0}>
      <th scope="row">
        <span className="name">{one.service}</span>{" "}
        <span className="quiet">{one.address.replace(/^https?:\/\//u, "")}</span>
      </th>
      <td data-name="State" title={one.as_of === null ? undefined : fullTime(one.as_of, zone)}>
        {one.problem === "" ? (
          one.missing.length > 0 ? (
            `without ${one.missing.join(", ")}`
          ) : (
            "answers"
          )
        ) : (
          <>
            not known {one.as_of === null ? "yet" : `since ${ago(now - Date.parse(one.as_of))}`}
            <span className="quiet">: {one.problem}</span>
          </>
        )}
      </td>
      <td className="number" data-name="Behind">
        {one.lag_seconds === null || one.as_of === null ? "–" : duration(one.lag_seconds * 1000)}
      </td>
      <td data-name="Asks of others">
        {broken.length === 0
          ? one.as_of !== null && `${Object.keys(one.breakers).length} of ${Object.keys(one.breakers).length} answer`
          : broken.map(([name, state]) => (
              <span key={name} className="tag" data-tone="error">
                {name}: {breakerWords(state)}
              </span>
            ))}
      </td>
      <td data-name="Version">{one.version || "–"}</td>
    </tr>
  );
}
