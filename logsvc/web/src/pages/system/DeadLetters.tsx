import type { ReactNode } from "react";

import type { DeadLetter, System } from "../../api/system.ts";
import { bytes } from "../../format/bytes.ts";
import { count } from "../../format/count.ts";
import { fullTime } from "../../format/time.ts";
import { JsonBlock } from "../../parts/JsonBlock.tsx";
import { useZone } from "../../shell/timeStyle.ts";

/** What could not be read or stored, and why; each can be looked into. */
export function DeadLetters({ letters }: { letters: System["all_dead_letters"] }): ReactNode {
  return (
    <section>
      <h2 className="section-title">Dead letters</h2>
      {letters.count === 0 && <p className="quiet">None: every record could be read and stored.</p>}
      {letters.count > letters.newest.length && (
        <p className="quiet">
          The newest {count(letters.newest.length)} of about {count(letters.count)}; the topic deadletter holds the
          others for 30 days.
        </p>
      )}
      {letters.newest.map((letter) => (
        <Letter key={letter.id} letter={letter} />
      ))}
    </section>
  );
}

function Letter({ letter }: { letter: DeadLetter }): ReactNode {
  const zone = useZone();
  const isCut = letter.body.length < letter.length;
  return (
    <details className="letter" data-testid="dead-letter">
      <summary>
        <span>{letter.reason}</span>
        <span className="quiet">
          {letter.service} · {letter.ts ? fullTime(letter.ts, zone) : "at a time not known"}
        </span>
      </summary>
      <p className="quiet">
        It came from <bdi className="name">{letter.origin}</bdi>, {bytes(letter.length)}
        {isCut && `, of which this is the beginning`}.
      </p>
      <JsonBlock title="Inside" text={letter.body} />
    </details>
  );
}
