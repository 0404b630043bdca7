import { useState, type ReactNode } from "react";

import { useMayAct } from "../../api/me.ts";
import { useChangeRule, usePreview, useRules, type Preview, type Rule } from "../../api/rules.ts";
import { count, counted } from "../../format/count.ts";
import { ago, fullTime } from "../../format/time.ts";
import { ActionError } from "../../parts/ActionError.tsx";
import { queuePlace } from "../../parts/addresses.ts";
import { Trouble } from "../../parts/Trouble.tsx";
import { EnvBadge } from "../../shell/EnvBadge.tsx";
import { Link } from "../../shell/Link.tsx";
import { useNow } from "../../shell/useNow.ts";
import { useZone } from "../../shell/timeStyle.ts";
import { Tabs } from "./Tabs.tsx";
import { changeOf, draftOf, isChanged, isShipped, labelOf, type Draft } from "./tuning.ts";

/** What rings, and from where on; each can be tried on the last 24 hours before it is changed. */
export function RulesPage(): ReactNode {
  const { data: rules, error, isPending, dataUpdatedAt, refetch } = useRules();
  return (
    <div className="sheet">
      <div className="page-head">
        <h1>Rules</h1>
        <p className="page-sum">{rules && `${counted(rules.length, "rule")}: what rings, and when`}</p>
        <Tabs current="rules" />
      </div>
      {error && (
        <Trouble what="Rules" error={error} shownSince={rules ? dataUpdatedAt : 0} retry={() => void refetch()} />
      )}
      {isPending && <p className="empty empty-quiet">Asking the bot…</p>}
      <ul className="rules">
        {rules?.map((rule) => (
          <RuleRow key={rule.name} rule={rule} />
        ))}
      </ul>
    </div>
  );
}

function RuleRow({ rule }: { rule: Rule }): ReactNode {
  const mayAct = useMayAct();
  const now = useNow();
  const [isEditing, setEditing] = useState(false);
  const canChange = rule.changeable.length > 0 || !rule.is_fixed;
  return (
    <li className="rule" data-row data-testid="rule" data-rule={rule.name}>
      <div className="rule-head">
        <h2>{rule.title}</h2>
        {!rule.is_on && <span className="tag">off</span>}
        {rule.finds > 0 && (
          <span className="tag" data-tone="error">
            rings in {counted(rule.finds, "place")}
          </span>
        )}
        {!isShipped(rule) && (
          <span className="quiet">
            changed{rule.changed_by && ` by ${rule.changed_by}`}
            {rule.changed_at && ` ${ago(now - Date.parse(rule.changed_at))}`}
          </span>
        )}
        <span className="spread" />
        {canChange && mayAct && (
          <button
            type="button"
            className="button button-small"
            aria-expanded={isEditing}
            onClick={() => setEditing(!isEditing)}
          >
            {isEditing ? "Leave it" : "Change…"}
          </button>
        )}
      </div>
      <p>Rings when {rule.about}.</p>
      <p className="quiet">Why: {rule.why}.</p>
      {isEditing && <RuleEditor rule={rule} done={() => setEditing(false)} />}
    </li>
  );
}

function RuleEditor({ rule, done }: { rule: Rule; done: () => void }): ReactNode {
  const [draft, setDraft] = useState<Draft>(() => draftOf(rule));
  const [begunWith, setBegunWith] = useState(rule.version);
  const preview = usePreview();
  const change = useChangeRule();
  const wanted = changeOf(rule, draft);
  const edit = (next: Partial<Draft>): void => {
    setDraft({ ...draft, ...next });
    preview.reset();
  };
  const shipped = draftOf({ ...rule, ...rule.shipped, is_on: true });
  const error = change.error ?? preview.error;
  const isOvertaken = rule.version !== begunWith && !change.isPending;
  const beginWithNow = (): void => {
    setBegunWith(rule.version);
    change.reset();
  };
  return (
    <form
      className="rule-editor"
      data-testid="rule-editor"
      onSubmit={(event) => {
        event.preventDefault();
        if (wanted) preview.mutate({ rule, change: wanted });
      }}
    >
      {!rule.is_fixed && (
        <label className="rule-on">
          <input type="checkbox" checked={draft.isOn} onChange={(event) => edit({ isOn: event.target.checked })} /> On
        </label>
      )}
      {rule.changeable.map((name) => (
        <label key={name}>
          {labelOf(name, rule.unit)}
          <input
            type="number"
            min={0}
            step="any"
            className="text-input"
            value={draft[name]}
            onChange={(event) => edit({ [name]: event.target.value })}
          />
          <span className="quiet">ships as {rule.shipped[name]}</span>
        </label>
      ))}
      {isOvertaken && (
        <p role="status">
          <strong>{rule.changed_by ?? "Somebody"} changed this rule meanwhile.</strong>{" "}
          <button
            type="button"
            className="link-button"
            onClick={() => {
              beginWithNow();
              edit(draftOf(rule));
            }}
          >
            Begin with the rule as it is now
          </button>{" "}
          or{" "}
          <button type="button" className="link-button" onClick={beginWithNow}>
            keep mine
          </button>
          , which then replaces that.
        </p>
      )}
      <div className="rule-buttons">
        <button type="submit" className="button" disabled={!wanted || preview.isPending}>
          {preview.isPending ? "Reading the last 24 hours…" : "Try it on the last 24 h"}
        </button>
        <button
          type="button"
          className="button button-go"
          disabled={!wanted || !isChanged(rule, draft) || change.isPending || isOvertaken}
          onClick={() =>
            wanted && change.mutate({ rule: { ...rule, version: begunWith }, change: wanted }, { onSuccess: done })
          }
        >
          {change.isPending ? "Saving…" : "Save"}
        </button>
        <button type="button" className="link-button" onClick={() => edit(shipped)}>
          As it ships
        </button>
      </div>
      <ActionError error={error} />
      {preview.data && <PreviewList preview={preview.data} rule={rule} />}
    </form>
  );
}

const SHOWN = 50;

/** What would have rung, all rules taken together; what this rule found is marked. */
function PreviewList({ preview, rule }: { preview: Preview; rule: Rule }): ReactNode {
  const zone = useZone();
  const own = preview.items.filter((item) => item.rule === rule.name);
  return (
    <div className="preview" data-testid="preview" role="status">
      <p>
        <strong>{counted(own.length, "time")} by this rule</strong>, {count(preview.count)} in all
        {preview.from && preview.to
          ? `, from ${fullTime(preview.from, zone)} to ${fullTime(preview.to, zone)} (${counted(preview.records, "record")} read).`
          : ": there is no record of that time."}
        {!preview.is_whole && " It is not the whole time: some of it is no longer in Kafka, or was too much to read."}
      </p>
      {own.length > 0 && (
        <ul>
          {own.slice(0, SHOWN).map((item) => (
            <li key={`${item.at} ${item.source} ${item.queue} ${item.fingerprint}`}>
              {fullTime(item.at, zone)} <EnvBadge env={item.env} />{" "}
              <Link {...queuePlace(item.source, item.queue)}>
                <bdi>{item.queue}</bdi>
              </Link>{" "}
              <bdi>
                {item.title}
                {item.error && `: ${item.error}`}
              </bdi>
            </li>
          ))}
          {own.length > SHOWN && <li className="quiet">and {count(own.length - SHOWN)} more</li>}
        </ul>
      )}
    </div>
  );
}
