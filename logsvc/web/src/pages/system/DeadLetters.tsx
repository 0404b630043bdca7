import { useState, type ReactNode } from "react";

import { MOST_REPLAYED, useDeadLetter, type DeadLetter } from "../../api/deadLetters.ts";
import { useMayAct } from "../../api/me.ts";
import type { System } from "../../api/system.ts";
import { bytes } from "../../format/bytes.ts";
import { count, counted } from "../../format/count.ts";
import { fullTime } from "../../format/time.ts";
import { FactList, type NamedFact } from "../../parts/FactList.tsx";
import { JsonBlock } from "../../parts/JsonBlock.tsx";
import { NOT_ALLOWED } from "../../parts/actionWords.ts";
import { useZone } from "../../shell/timeStyle.ts";
import { ReplayDialog } from "./ReplayDialog.tsx";

/** What could not be read or stored, and why; each can be looked into, and what logsvc could not store tried again. */
export function DeadLetters({ letters }: { letters: System["all_dead_letters"] }): ReactNode {
  const [asked, setAsked] = useState<readonly string[] | null>(null);
  const storable = letters.newest.filter((letter) => letter.can_replay).slice(0, MOST_REPLAYED);
  const isCut = letters.count > letters.newest.length;
  return (
    <section data-testid="dead-letters">
      <div className="section-head">
        <h2 className="section-title">Dead letters</h2>
        {storable.length > 1 && (
          <ReplayButton words={`Replay these ${count(storable.length)}`} ids={storable} ask={setAsked} />
        )}
      </div>
      {letters.count === 0 && <p className="quiet">None: every record could be read and stored.</p>}
      {letters.count > 0 && (
        <p className="quiet">
          {isCut && `The newest ${count(letters.newest.length)} of about ${count(letters.count)}. `}
          Kafka keeps them for 30 days. After an upgrade, or once ClickHouse was mended, a record may be storable:
          replay it.
        </p>
      )}
      {letters.newest.map((letter) => (
        <Letter key={letter.id} letter={letter} ask={setAsked} />
      ))}
      {asked && <ReplayDialog ids={asked} close={() => setAsked(null)} />}
    </section>
  );
}

type Ask = (ids: readonly string[]) => void;

function ReplayButton({ words, ids, ask }: { words: string; ids: readonly DeadLetter[]; ask: Ask }): ReactNode {
  const mayAct = useMayAct();
  return (
    <button
      type="button"
      className="button"
      data-testid="replay"
      disabled={!mayAct}
      title={mayAct === false ? NOT_ALLOWED : undefined}
      onClick={() => ask(ids.map(({ id }) => id))}
    >
      {words}
    </button>
  );
}

function Letter({ letter, ask }: { letter: DeadLetter; ask: Ask }): ReactNode {
  const zone = useZone();
  const [isOpen, setIsOpen] = useState(false);
  const { data: whole, error } = useDeadLetter(letter.id, isOpen && letter.body.length < letter.length);
  const body = whole?.body ?? letter.body;
  const facts: readonly NamedFact[] = [
    ["Topic", letter.topic],
    ["Partition", letter.partition === null ? null : String(letter.partition)],
    ["Offset", letter.offset === null ? null : String(letter.offset)],
    ["It came from", letter.topic === null ? letter.origin : null],
    ["Size", bytes(letter.length)],
  ];
  return (
    <details className="letter" data-testid="dead-letter" onToggle={(event) => setIsOpen(event.currentTarget.open)}>
      <summary>
        <span>{letter.reason}</span>
        <span className="quiet">
          {letter.service} · {letter.ts ? fullTime(letter.ts, zone) : "at a time not known"}
        </span>
      </summary>
      <FactList facts={facts} isMono />
      {error && <p className="quiet">The whole of it cannot be had just now: {error.message}.</p>}
      <JsonBlock title={insideOf(body.length, letter.length, whole !== undefined)} text={body} canCopy />
      {letter.can_replay ? (
        <ReplayButton words="Replay it" ids={[letter]} ask={ask} />
      ) : (
        <p className="quiet">
          There is nothing to replay: {letter.service} could not read it, so it never became a record.
        </p>
      )}
    </details>
  );
}

function insideOf(shown: number, length: number, isAll: boolean): string {
  if (shown >= length) return "Inside";
  return isAll ? `Inside: the first ${counted(shown, "character")}` : "Inside: the beginning";
}
