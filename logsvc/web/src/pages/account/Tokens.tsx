import { useState, type ReactNode } from "react";

import type { Me } from "../../api/me.ts";
import { useMakeToken, useRevokeToken, useTokens, type Token } from "../../api/tokens.ts";
import { ago, fullTime } from "../../format/time.ts";
import { ActionError } from "../../parts/ActionError.tsx";
import { CopyButton } from "../../parts/CopyButton.tsx";
import { Trouble } from "../../parts/Trouble.tsx";
import { Dialog } from "../../shell/Dialog.tsx";
import { useZone } from "../../shell/timeStyle.ts";
import { useNow } from "../../shell/useNow.ts";

const ROLES: readonly Me["role"][] = ["viewer", "operator", "admin"];
const DAYS = [30, 90, 365, null] as const;

/** API tokens for scripts: made, shown once, revoked. */
export function Tokens(): ReactNode {
  const { data: tokens, error, dataUpdatedAt, refetch } = useTokens();
  const [revoking, setRevoking] = useState<Token | null>(null);
  return (
    <>
      <NewToken />
      {error && (
        <Trouble what="Tokens" error={error} shownSince={tokens ? dataUpdatedAt : 0} retry={() => void refetch()} />
      )}
      <section>
        <h2 className="section-title">Tokens</h2>
        {tokens?.length === 0 && <p className="quiet">There is none yet.</p>}
        {tokens !== undefined && tokens.length > 0 && (
          <div className="table-frame">
            <table className="table">
              <thead>
                <tr>
                  <th scope="col">Name</th>
                  <th scope="col">Role</th>
                  <th scope="col">Made</th>
                  <th scope="col">Good until</th>
                  <th scope="col">
                    <span className="visually-hidden">Actions</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {tokens.map((token) => (
                  <TokenRow key={token.id} token={token} revoke={() => setRevoking(token)} />
                ))}
              </tbody>
            </table>
          </div>
        )}
      </section>
      {revoking && <Revoke token={revoking} close={() => setRevoking(null)} />}
    </>
  );
}

function TokenRow({ token, revoke }: { token: Token; revoke: () => void }): ReactNode {
  const zone = useZone();
  const now = useNow();
  const isOver = token.expires_at !== null && Date.parse(token.expires_at) <= now;
  return (
    <tr data-row data-testid="token">
      <th scope="row">
        <bdi>{token.name}</bdi> <span className="quiet name">{token.id}</span>
      </th>
      <td data-name="Role">{token.role}</td>
      <td data-name="Made" title={fullTime(token.created_at, zone)}>
        {ago(now - Date.parse(token.created_at))} by <bdi>{token.created_by}</bdi>
      </td>
      <td data-name="Good until">
        {token.revoked_at ? (
          <span className="tag">revoked {ago(now - Date.parse(token.revoked_at))}</span>
        ) : isOver ? (
          <span className="tag">ended</span>
        ) : token.expires_at ? (
          fullTime(token.expires_at, zone)
        ) : (
          "it is revoked"
        )}
      </td>
      <td className="number">
        {token.revoked_at === null && !isOver && (
          <button type="button" className="button button-small" onClick={revoke}>
            Revoke…
          </button>
        )}
      </td>
    </tr>
  );
}

function Revoke({ token, close }: { token: Token; close: () => void }): ReactNode {
  const revoking = useRevokeToken();
  return (
    <Dialog title={`Revoke the token ${token.name}?`} close={close} isBusy={revoking.isPending}>
      <div className="dialog-body">
        <p>What uses it is let in no longer, within seconds. It cannot be taken back.</p>
        <ActionError error={revoking.error} />
        <div className="dialog-foot">
          <button type="button" className="button" onClick={close}>
            Cancel
          </button>
          <button
            type="button"
            className="button button-go"
            data-danger="true"
            data-testid="revoke-confirm"
            disabled={revoking.isPending}
            onClick={() => revoking.mutate(token.id, { onSuccess: close })}
          >
            Revoke it
          </button>
        </div>
      </div>
    </Dialog>
  );
}

function NewToken(): ReactNode {
  const making = useMakeToken();
  const [name, setName] = useState("");
  const [role, setRole] = useState<Me["role"]>("viewer");
  const [days, setDays] = useState<number | null>(90);
  const secret = making.data?.token;
  return (
    <section>
      <h2 className="section-title">A new token</h2>
      <form
        className="token-form"
        onSubmit={(event) => {
          event.preventDefault();
          making.mutate({ name: name.trim(), role, days }, { onSuccess: () => setName("") });
        }}
      >
        <label>
          What is it for
          <input
            type="text"
            className="text-input"
            maxLength={100}
            placeholder="deploys from CI"
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        </label>
        <label>
          Role
          <select className="select" value={role} onChange={(event) => setRole(event.target.value as Me["role"])}>
            {ROLES.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </label>
        <label>
          Good for
          <select
            className="select"
            value={days ?? ""}
            onChange={(event) => setDays(event.target.value === "" ? null : Number(event.target.value))}
          >
            {DAYS.map((each) => (
              <option key={each ?? "ever"} value={each ?? ""}>
                {each === null ? "until it is revoked" : `${each} days`}
              </option>
            ))}
          </select>
        </label>
        <button type="submit" className="button button-go" disabled={name.trim() === "" || making.isPending}>
          {making.isPending ? "Making it…" : "Make it"}
        </button>
      </form>
      <ActionError error={making.error} />
      {secret && (
        <div className="secret" role="status" data-testid="new-token">
          <p>
            <strong>Copy it now: it is shown this once.</strong> Send it as <code>Authorization: Bearer …</code>
          </p>
          <code className="secret-text">{secret}</code>
          <CopyButton icon="copy" label="Copy" textOf={() => secret} />
        </div>
      )}
    </section>
  );
}
