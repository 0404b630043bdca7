import { useMemo, type ReactNode } from "react";

import type { Job } from "../../api/jobs.ts";
import { markerWords } from "../../charts/markers.ts";
import { dayAndTime, duration, fullTime } from "../../format/time.ts";
import { StateBadge } from "../../parts/StateBadge.tsx";
import { useZone } from "../../shell/timeStyle.ts";
import { useNow } from "../../shell/useNow.ts";
import { lanesOf, lengthOf, type Lane, type Phase } from "./lanes.ts";

const WORDS = { wait: "waited", children: "waited for children", delay: "delayed", run: "ran" } as const;
const OPEN_WORDS = { wait: "waiting", children: "waiting for children", delay: "delayed", run: "running" } as const;
const MARKERS_SHOWN = 12;

/** A job's life drawn on one axis of time: a lane for each attempt, and what it did in words beside. */
export function Timeline({ job }: { job: Job }): ReactNode {
  const now = useNow();
  const zone = useZone();
  const lanes = useMemo(() => lanesOf(job, now), [job, now]);
  const phases = lanes.flatMap((lane) => lane.phases);
  const [first] = phases;
  if (first === undefined) return null;
  const from = first.from;
  const to = Math.max(from + 1, ...phases.map((phase) => phase.to));
  const place = (time: number): string => `${(((time - from) / (to - from)) * 100).toFixed(3)}%`;
  const markers = job.markers.filter(({ ts }) => Date.parse(ts) >= from && Date.parse(ts) <= to).slice(-MARKERS_SHOWN);
  return (
    <section className="timeline" aria-label="Timeline" data-testid="job-timeline">
      <div className="timeline-head">
        <h2>Timeline</h2>
        <span className="timeline-total">{duration(to - from)} in all</span>
        <ul className="timeline-legend" aria-hidden="true">
          <li data-phase="wait">waiting</li>
          {phases.some(({ kind }) => kind === "delay") && <li data-phase="delay">delayed</li>}
          {phases.some(({ kind }) => kind === "children") && <li data-phase="children">for children</li>}
          <li data-phase="run">running</li>
        </ul>
      </div>
      <ol className="lanes">
        {lanes.map((lane) => (
          <li key={`${lane.n} ${lane.phases[0]?.from ?? 0}`} className="lane" data-testid="job-lane">
            <span className="lane-name">Attempt {lane.n}</span>
            <span className="lane-track" aria-hidden="true">
              {lane.phases.map((phase) => (
                <span
                  key={`${phase.kind} ${phase.from}`}
                  className="phase"
                  data-phase={phase.kind}
                  data-outcome={phase.kind === "run" ? lane.outcome : undefined}
                  title={phaseWords(phase)}
                  style={{ left: place(phase.from), width: place(from + phase.to - phase.from) }}
                />
              ))}
              {markers.map((marker) => (
                <span
                  key={marker.id}
                  className="lane-marker"
                  title={`${markerWords(marker)}, ${fullTime(marker.ts, zone)}`}
                  style={{ left: place(Date.parse(marker.ts)) }}
                />
              ))}
            </span>
            <span className="lane-words">
              {laneWords(lane)} <StateBadge state={lane.outcome} />
            </span>
          </li>
        ))}
      </ol>
      <p className="timeline-axis">
        <time dateTime={new Date(from).toISOString()}>{fullTime(from, zone)}</time>
        <time dateTime={new Date(to).toISOString()} title={fullTime(to, zone)}>
          +{duration(to - from)}
        </time>
      </p>
      {markers.length > 0 && (
        <ul className="timeline-markers">
          {markers.map((marker) => (
            <li key={marker.id}>
              {markerWords(marker)}, {dayAndTime(Date.parse(marker.ts), zone)}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function laneWords(lane: Lane): string {
  return lane.phases.map((phase) => phaseWords(phase)).join(", ");
}

function phaseWords(phase: Phase): string {
  const length = duration(lengthOf(phase));
  return phase.isOpen ? `${OPEN_WORDS[phase.kind]} for ${length}` : `${WORDS[phase.kind]} ${length}`;
}
