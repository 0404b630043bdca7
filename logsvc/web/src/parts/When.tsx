import type { ReactNode } from "react";

import { dayAndTime, fullTime } from "../format/time.ts";
import { useZone } from "../shell/timeStyle.ts";

/** A moment, told by its distance from now. at: RFC 3339. A finger and a screen reader, which have no title, get its day and time beside. */
export function When({ at, children }: { at: string; children: ReactNode }): ReactNode {
  const zone = useZone();
  return (
    <time className="when" dateTime={at} title={fullTime(at, zone)}>
      {children}
      <span className="when-day"> · {dayAndTime(Date.parse(at), zone)}</span>
    </time>
  );
}
