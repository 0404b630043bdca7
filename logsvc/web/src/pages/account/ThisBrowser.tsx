import { useState, type ReactNode } from "react";

import { TimeStyleToggle } from "../../parts/TimeStyleToggle.tsx";
import { isAlarmOn, switchAlarm, type AlarmKind, type AlarmState } from "../../shell/alarm.ts";
import { switchLetterKeys, useLetterKeys } from "../../shell/shortcuts.ts";
import { chooseTheme, THEMES, useTheme } from "../../shell/theme.ts";

/** What only this browser knows: colours, times, keys, and how it tells of a new incident. */
export function ThisBrowser(): ReactNode {
  const theme = useTheme();
  const areLettersOn = useLetterKeys();
  return (
    <section className="browser">
      <h2 className="section-title">This browser</h2>
      <Alarm kind="notify" label="Show a notification when something new rings" />
      <Alarm kind="sound" label="Ring when something new rings (while a page of Tocsin is open)" />
      <label className="browser-row">
        <input type="checkbox" checked={areLettersOn} onChange={(event) => switchLetterKeys(event.target.checked)} />
        Keys of one letter: / ? j k
      </label>
      <div className="browser-row">
        <span>Colours</span>
        <span className="segmented" role="group" aria-label="Colours">
          {THEMES.map((each) => (
            <button key={each} type="button" aria-pressed={each === theme} onClick={() => chooseTheme(each)}>
              {each}
            </button>
          ))}
        </span>
      </div>
      <div className="browser-row">
        <span>Times</span>
        <TimeStyleToggle />
      </div>
    </section>
  );
}

const REFUSALS: Readonly<Partial<Record<AlarmState, string>>> = {
  forbidden: "Your browser does not allow it for this address: allow notifications in its settings of this site.",
  impossible: "This browser shows no notifications of a page, as Chrome on Android. Telegram tells you all the same.",
};

function Alarm({ kind, label }: { kind: AlarmKind; label: string }): ReactNode {
  const [state, setState] = useState<AlarmState>(() => (isAlarmOn(kind) ? "on" : "off"));
  const change = async (wanted: boolean): Promise<void> => setState(await switchAlarm(kind, wanted));
  return (
    <>
      <label className="browser-row">
        <input type="checkbox" checked={state === "on"} onChange={(event) => void change(event.target.checked)} />
        {label}
      </label>
      {REFUSALS[state] && (
        <p className="quiet" role="status">
          {REFUSALS[state]}
        </p>
      )}
    </>
  );
}
