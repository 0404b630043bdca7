import type { ReactNode } from "react";

import { useMe, type Me } from "../../api/me.ts";
import { Trouble } from "../../parts/Trouble.tsx";
import { Link } from "../../shell/Link.tsx";
import type { PageProps } from "../../shell/pages.ts";
import { addressOf } from "../../shell/router.ts";
import { AuditTable } from "./AuditTable.tsx";
import { ThisBrowser } from "./ThisBrowser.tsx";
import { Tokens } from "./Tokens.tsx";
import { Views } from "./Views.tsx";
import "./account.css";

const PARTS = [
  { path: "account", name: "You", isFor: (): boolean => true },
  { path: "account/views", name: "Views", isFor: (me: Me): boolean => me.has_bot },
  { path: "account/tokens", name: "API tokens", isFor: (me: Me): boolean => me.has_bot && me.role === "admin" },
  { path: "account/audit", name: "Audit", isFor: (me: Me): boolean => me.has_bot && me.role === "admin" },
] as const;

/** Who you are here, what this browser does, saved views; for admins API tokens and the audit. */
export function AccountPage({ rest }: PageProps): ReactNode {
  const { data: me, error, isPending, refetch } = useMe();
  const [which = ""] = rest;
  const path = which === "" ? "account" : `account/${which}`;
  const part = PARTS.find((each) => each.path === path);
  return (
    <div className="sheet">
      <div className="page-head">
        <h1>Account</h1>
        <span className="spread" />
        <nav className="tabs" aria-label="Account">
          {me &&
            PARTS.filter(({ isFor }) => isFor(me)).map((each) => (
              <Link key={each.path} path={each.path} isCurrent={each.path === path}>
                {each.name}
              </Link>
            ))}
        </nav>
      </div>
      {isPending && <p className="empty empty-quiet">Looking…</p>}
      {error && !me && <Trouble what="Your account" error={error} shownSince={0} retry={() => void refetch()} />}
      {me && (part === undefined || !part.isFor(me)) && (
        <div className="empty" data-testid="empty">
          <h2>{part === undefined ? "No such page" : "Not for you"}</h2>
          <p>
            {me.has_bot
              ? `${part?.name ?? "This"} needs the role admin; yours is ${me.role}.`
              : "This is the bot’s, and there is none: set TOCSIN_SERVICE_TOKEN for logsvc and bot."}
          </p>
        </div>
      )}
      {me && part?.isFor(me) && (
        <div className="page-body">
          {which === "" && <You me={me} />}
          {which === "views" && <Views me={me} />}
          {which === "tokens" && <Tokens />}
          {which === "audit" && <AuditTable />}
        </div>
      )}
    </div>
  );
}

const MAY: Readonly<Record<Me["role"], string>> = {
  viewer: "You may read everything.",
  operator: "You may read everything, and act: retry, pause, take incidents, keep things quiet.",
  admin: "You may do everything: also make API tokens, read the audit, give roles.",
};

function You({ me }: { me: Me }): ReactNode {
  return (
    <>
      <section>
        <h2 className="section-title">You</h2>
        <p>
          <strong>
            <bdi>{me.name}</bdi>
          </strong>
          , {me.role}. {MAY[me.role]}
        </p>
        {me.can_log_out && (
          <p>
            <a href={addressOf("logout")}>Log out</a>, here or on every device
          </p>
        )}
      </section>
      <ThisBrowser />
    </>
  );
}
