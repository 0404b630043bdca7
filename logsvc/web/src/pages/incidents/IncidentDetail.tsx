import { useState, type ReactNode } from "react";

import { ApiError } from "../../api/client.ts";
import { useHandling, useIncident, type Incident } from "../../api/incidents.ts";
import { useMayAct } from "../../api/me.ts";
import { count } from "../../format/count.ts";
import { ago, fullTime } from "../../format/time.ts";
import { filterToSearch, NO_FILTER } from "../../live/filter.ts";
import { ActionError } from "../../parts/ActionError.tsx";
import { jobPlace, queuePlace } from "../../parts/addresses.ts";
import { FactList, type NamedFact } from "../../parts/FactList.tsx";
import { Trouble } from "../../parts/Trouble.tsx";
import { EnvBadge } from "../../shell/EnvBadge.tsx";
import { Link } from "../../shell/Link.tsx";
import { useZone } from "../../shell/timeStyle.ts";
import { useNow } from "../../shell/useNow.ts";
import { useTitle } from "../../shell/useTitle.ts";
import { HandlingDialog } from "./HandlingDialog.tsx";
import { countOf, isUnheeded, standOf, toneOf, type Deed } from "./words.ts";

/** One incident: where it stands, what was said of it, and what to do. */
export function IncidentDetail({ id, search }: { id: string; search: string }): ReactNode {
  const { data: incident, error, isPending, dataUpdatedAt, refetch } = useIncident(id);
  useTitle(incident?.title);
  const isGone = error instanceof ApiError && (error.status === 404 || error.status === 400);
  return (
    <div className="sheet">
      <div className="page-head">
        <p className="crumb">
          <Link path="incidents" search={search}>
            Incidents
          </Link>
        </p>
      </div>
      {error && !isGone && (
        <Trouble
          what="This incident"
          error={error}
          shownSince={incident ? dataUpdatedAt : 0}
          retry={() => void refetch()}
        />
      )}
      {isPending && <p className="empty empty-quiet">Asking the bot…</p>}
      {isGone && (
        <div className="empty" data-testid="empty">
          <h2>There is no such incident</h2>
          <p>The bot forgets those that are long over.</p>
        </div>
      )}
      {incident && !isGone && <Detail incident={incident} />}
    </div>
  );
}

function Detail({ incident }: { incident: Incident }): ReactNode {
  const zone = useZone();
  const now = useNow();
  const workers = Object.entries(incident.workers);
  const before = [
    incident.previous_at && `ended ${ago(now - Date.parse(incident.previous_at))}`,
    incident.previous_by && `${incident.previous_by} had it`,
  ].filter(Boolean);
  const facts: readonly NamedFact[] = [
    ["Stands", standOf(incident, now)],
    [
      "Happened",
      `${countOf(incident)}${incident.total > incident.count ? `; ${count(incident.total)} in all episodes` : ""}`,
    ],
    ["First", `${fullTime(incident.first_at, zone)} · ${ago(now - Date.parse(incident.first_at))}`],
    ["Last", `${fullTime(incident.last_at, zone)} · ${ago(now - Date.parse(incident.last_at))}`],
    ["The time before", before.join(", ")],
    [
      "Newest job",
      incident.job_id && (
        <span key="job" className="with-badge">
          <Link {...jobPlace({ source: incident.source, queue: incident.queue, job_id: incident.job_id })}>
            <bdi>{[incident.job_name, `#${incident.job_id}`].filter(Boolean).join(" ")}</bdi>
          </Link>
          {incident.max_attempts > 0 && `attempt ${incident.attempt} of ${incident.max_attempts}`}
        </span>
      ),
    ],
    ["At", incident.frame && <code key="frame">{incident.frame}</code>],
    ["Workers", workers.map(([name, times]) => `${name} ×${times}`).join(", ")],
    [
      "Runbook",
      /^https?:\/\//u.test(incident.runbook) && (
        <a key="runbook" href={incident.runbook} target="_blank" rel="noreferrer">
          {incident.runbook}
        </a>
      ),
    ],
  ];
  const lines = filterToSearch({ ...NO_FILTER, source: [incident.source], queue: [incident.queue], level: ["error"] });
  return (
    <div className="page-body">
      <div>
        <h1 className="error-title">
          <span className="error-type">{incident.title}</span> <bdi>{incident.error}</bdi>
        </h1>
        <p className="group-where">
          <span className="tag" data-tone={toneOf(incident.state)} data-testid="incident-state">
            {incident.state}
          </span>
          <EnvBadge env={incident.env} />
          <Link {...queuePlace(incident.source, incident.queue)}>
            <bdi>{incident.queue}</bdi>
          </Link>
          {incident.kind === "failure" && (
            <Link path={`errors/${encodeURIComponent(incident.fingerprint)}`}>All of these failures, retry</Link>
          )}
          <Link path="logs" search={lines}>
            Error lines of the queue
          </Link>
        </p>
      </div>
      <Actions incident={incident} />
      <FactList facts={facts} />
      <Notes incident={incident} />
    </div>
  );
}

/** Take it, give it back, end it, keep it quiet: for operators. The message in the chat changes with it. */
function Actions({ incident }: { incident: Incident }): ReactNode {
  const mayAct = useMayAct();
  const [deed, setDeed] = useState<Deed | null>(null);
  if (mayAct === false) {
    return <p className="quiet">You may look. To take it you need the role operator: /grant in Telegram.</p>;
  }
  const mayTake = isUnheeded(incident) || incident.state === "silenced";
  return (
    <div className="handling">
      {incident.state !== "resolved" && (
        <div className="handling-buttons">
          {mayTake && (
            <button type="button" className="button button-go" data-testid="ack" onClick={() => setDeed("ack")}>
              I have it
            </button>
          )}
          {incident.state === "acked" && (
            <button type="button" className="button" onClick={() => setDeed("unack")}>
              Give it back
            </button>
          )}
          <button type="button" className="button" data-testid="silence" onClick={() => setDeed("silence")}>
            Keep it quiet…
          </button>
          <button type="button" className="button" data-testid="resolve" onClick={() => setDeed("resolve")}>
            It is over
          </button>
        </div>
      )}
      {deed && <HandlingDialog deed={deed} incident={incident} close={() => setDeed(null)} />}
    </div>
  );
}

const MOST_NOTE = 1000;

function Notes({ incident }: { incident: Incident }): ReactNode {
  const zone = useZone();
  const mayAct = useMayAct();
  const now = useNow();
  const handling = useHandling();
  const [text, setText] = useState("");
  const isEmpty = text.trim() === "";
  return (
    <section>
      <h2 className="section-title">Notes</h2>
      {incident.notes.length === 0 && (
        <p className="quiet">Nobody has written one yet. The next one on call will read it.</p>
      )}
      <ul className="notes">
        {incident.notes.map(({ by, at, text: said }) => (
          <li key={`${at} ${by} ${said}`}>
            <p className="quiet">
              <bdi>{by}</bdi>, <span title={fullTime(at, zone)}>{ago(now - Date.parse(at))}</span>
            </p>
            <p dir="auto">{said}</p>
          </li>
        ))}
      </ul>
      {mayAct && (
        <form
          className="noting"
          onSubmit={(event) => {
            event.preventDefault();
            if (!isEmpty) handling.mutate({ do: "note", id: incident.id, text }, { onSuccess: () => setText("") });
          }}
        >
          <textarea
            aria-label="Your note"
            placeholder="What did you find, what did you do?"
            rows={3}
            maxLength={MOST_NOTE}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
          <button type="submit" className="button" disabled={isEmpty || handling.isPending}>
            {handling.isPending ? "Writing…" : "Write the note"}
          </button>
        </form>
      )}
      <ActionError error={handling.error} />
    </section>
  );
}
