import type { ReactNode } from "react";

import { Dialog } from "./Dialog.tsx";
import { LIVE_SHORTCUTS, SHORTCUTS, switchLetterKeys, useLetterKeys, type Shortcut } from "./shortcuts.ts";

/** The keys, and the switch for those of one letter. */
export default function Help({ close }: { close: () => void }): ReactNode {
  const areOn = useLetterKeys();
  return (
    <Dialog title="Keys" close={close}>
      <Keys name="On every page" shortcuts={SHORTCUTS} />
      <Keys name="On the live page, in the list" shortcuts={LIVE_SHORTCUTS} />
      <label className="switch">
        <input type="checkbox" checked={areOn} onChange={(event) => switchLetterKeys(event.target.checked)} />
        Keys of one letter work on every page (switch them off if you speak to your browser)
      </label>
    </Dialog>
  );
}

function Keys({ name, shortcuts }: { name: string; shortcuts: readonly Shortcut[] }): ReactNode {
  return (
    <section className="keys">
      <h3>{name}</h3>
      <dl>
        {shortcuts.map(({ keys, does }) => (
          <div key={keys}>
            <dt>
              {keys.split(/\s+/u).map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
