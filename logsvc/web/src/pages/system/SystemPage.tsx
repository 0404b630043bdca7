import type { ReactNode } from "react";

import { useSystem, type System } from "../../api/system.ts";
import { Trouble } from "../../parts/Trouble.tsx";
import { useEnvs } from "../../shell/envs.ts";
import { useNow } from "../../shell/useNow.ts";
import { Breakers } from "./Breakers.tsx";
import { DeadLetters } from "./DeadLetters.tsx";
import { Gaps } from "./Gaps.tsx";
import { findingsOf, wellWords, type Finding } from "./health.ts";
import { Pipeline } from "./Pipeline.tsx";
import { RedisTable } from "./RedisTable.tsx";
import { Services } from "./Services.tsx";
import { Versions } from "./Versions.tsx";
import "./system.css";

/** How Tocsin itself does: what is not well first, then the parts. */
export function SystemPage(): ReactNode {
  const { data: system, error, isPending, dataUpdatedAt, refetch } = useSystem();
  return (
    <div className="sheet">
      <div className="page-head">
        <h1>System</h1>
        {system && <p className="page-sum">Tocsin {system.version}</p>}
      </div>
      {error && (
        <Trouble
          what="The state of Tocsin"
          error={error}
          shownSince={system ? dataUpdatedAt : 0}
          retry={() => void refetch()}
        />
      )}
      {isPending && <p className="empty empty-quiet">Looking…</p>}
      {system && <Parts system={system} />}
    </div>
  );
}

function Parts({ system }: { system: System }): ReactNode {
  const now = useNow();
  const envs = useEnvs();
  const isShown = ({ env }: { env: string }): boolean => envs.length === 0 || envs.includes(env);
  return (
    <div className="page-body">
      <Findings findings={findingsOf(system, now)} well={wellWords(system)} />
      <Pipeline system={system} now={now} />
      <Services services={system.services} now={now} />
      <RedisTable sources={system.sources.filter(isShown)} envs={envs} now={now} />
      <Gaps gaps={system.gaps?.filter(isShown) ?? null} losses={system.losses?.filter(isShown) ?? []} envs={envs} />
      <DeadLetters letters={system.all_dead_letters} />
      <Breakers breakers={system.breakers} />
      <Versions system={system} />
    </div>
  );
}

function Findings({ findings, well }: { findings: readonly Finding[]; well: string }): ReactNode {
  if (findings.length === 0) {
    return (
      <p className="all-well" data-testid="all-well">
        {well}
      </p>
    );
  }
  return (
    <ul className="findings" data-testid="findings">
      {findings.map(({ tone, text, mend }) => (
        <li key={text} data-tone={tone}>
          <strong>{text}.</strong> <span>{mend}</span>
        </li>
      ))}
    </ul>
  );
}
