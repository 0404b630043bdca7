import { useState, type ReactNode } from "react";

import { useIncidents, type Incident } from "../../api/incidents.ts";
import { useMe } from "../../api/me.ts";
import { count, counted } from "../../format/count.ts";
import { ago } from "../../format/time.ts";
import { queuePlace } from "../../parts/addresses.ts";
import { TableExport } from "../../parts/TableExport.tsx";
import { Told } from "../../parts/Told.tsx";
import { Trouble } from "../../parts/Trouble.tsx";
import { When } from "../../parts/When.tsx";
import { EnvBadge } from "../../shell/EnvBadge.tsx";
import { inEnvs, useEnvs } from "../../shell/envs.ts";
import { Bell } from "../../shell/icons.tsx";
import { Link } from "../../shell/Link.tsx";
import type { PageProps } from "../../shell/pages.ts";
import { useNow } from "../../shell/useNow.ts";
import { HandlingDialog } from "./HandlingDialog.tsx";
import { IncidentDetail } from "./IncidentDetail.tsx";
import { MaintenanceButton } from "./Maintenance.tsx";
import { RulesPage } from "./RulesPage.tsx";
import { Silences } from "./Silences.tsx";
import { Tabs } from "./Tabs.tsx";
import { byNeed, countOf, isUnheeded, standOf, toneOf } from "./words.ts";
import "./incidents.css";

/** What rang, and who has it; `incidents/<id>` is one of them, `incidents/rules` what rings. */
export function IncidentsPage({ search, rest }: PageProps): ReactNode {
  const { data: me, error, refetch } = useMe();
  const [which] = rest;
  // Whether there is a bot to ask is told with who asks.
  if (!me && error) return <Trouble what="Incidents" error={error} shownSince={0} retry={() => void refetch()} />;
  if (me && !me.has_bot) return <NoBot />;
  if (which === "rules") return <RulesPage />;
  return which ? <IncidentDetail id={which} search={search} /> : <IncidentList search={search} />;
}

function NoBot(): ReactNode {
  return (
    <div className="empty" data-testid="empty">
      <Bell />
      <h2>There is no bot</h2>
      <p>
        Incidents, rules and silences are the bot’s. Set <code>TOCSIN_SERVICE_TOKEN</code>, the same for logsvc and bot,
        and start <code>tocsin bot</code>.
      </p>
    </div>
  );
}

function IncidentList({ search }: { search: string }): ReactNode {
  const isAll = new URLSearchParams(search).get("state") === "all";
  const envs = useEnvs();
  const { data, error, isPending, dataUpdatedAt, refetch } = useIncidents(isAll ? "" : "open", envs);
  const items = byNeed((data?.items ?? []).filter(({ env }) => envs.length === 0 || envs.includes(env)));
  const unheeded = items.filter(isUnheeded).length;
  // Held here: a row leaves the list of what is open while somebody reads the question about it.
  const [taking, setTaking] = useState<Incident | null>(null);
  return (
    <div className="sheet">
      <div className="page-head">
        <h1>Incidents</h1>
        <p className="page-sum">
          {data && counted(items.length, isAll ? "incident" : "open incident")}
          {unheeded > 0 && `, ${count(unheeded)} that nobody has`}
          <Told asOf={data?.as_of} />
        </p>
        <TableExport name="incidents" rows={items} />
        <MaintenanceButton />
        <Tabs current={isAll ? "all" : "open"} />
      </div>
      {error && (
        <Trouble what="Incidents" error={error} shownSince={data ? dataUpdatedAt : 0} retry={() => void refetch()} />
      )}
      {isPending && <p className="empty empty-quiet">Asking the bot…</p>}
      {data && items.length === 0 && (
        <div className="empty" data-testid="empty">
          <Bell />
          <h2>
            {isAll ? "Nothing has ever rung" : "Nothing is on fire"}
            {inEnvs(envs)}
          </h2>
          <p>
            A job that fails for good opens one, and so do the <Link path="incidents/rules">rules</Link>. It rings in
            Telegram, and shows here.
          </p>
        </div>
      )}
      {items.length > 0 && (
        <ul className="incidents">
          {items.map((incident) => (
            <IncidentRow key={incident.id} incident={incident} search={search} take={() => setTaking(incident)} />
          ))}
        </ul>
      )}
      {data?.next_cursor && <p className="empty-quiet more">These are the newest {count(data.items.length)}.</p>}
      <Silences />
      {taking && <HandlingDialog deed="ack" incident={taking} close={() => setTaking(null)} />}
    </div>
  );
}

interface IncidentRowProps {
  incident: Incident;
  /** Of the list: the way back leads to the same one. */
  search: string;
  take: () => void;
}

function IncidentRow({ incident, search, take }: IncidentRowProps): ReactNode {
  const now = useNow();
  const { data: me } = useMe();
  return (
    <li className="incident" data-row data-testid="incident" data-state={incident.state}>
      <span className="tag incident-state" data-tone={toneOf(incident.state)}>
        {incident.state}
      </span>
      <div className="incident-what">
        <Link path={`incidents/${incident.id}`} search={search} className="group-title">
          <strong>{incident.title}</strong> <bdi>{incident.error}</bdi>
        </Link>
        <p className="group-where">
          <EnvBadge env={incident.env} />
          <Link {...queuePlace(incident.source, incident.queue)}>
            <bdi>{incident.queue}</bdi>
          </Link>
          <span>{standOf(incident, now)}</span>
          {incident.note && <bdi className="quiet">“{incident.note}”</bdi>}
        </p>
      </div>
      <p className="incident-count">
        {countOf(incident)}
        <span className="quiet">
          <When at={incident.last_at}>{ago(now - Date.parse(incident.last_at))}</When>
        </span>
      </p>
      <span className="incident-do">
        {isUnheeded(incident) && me && me.role !== "viewer" && (
          <button type="button" className="button button-small" onClick={take}>
            I have it
          </button>
        )}
      </span>
    </li>
  );
}
