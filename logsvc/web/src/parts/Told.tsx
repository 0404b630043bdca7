import type { ReactNode } from "react";

import { ago } from "../format/time.ts";
import { useNow } from "../shell/useNow.ts";

/** Up to when numbers tell all that happened. asOf: as an answer has it; null = not known. */
export function Told({ asOf }: { asOf: string | null | undefined }): ReactNode {
  const now = useNow();
  if (!asOf) return null;
  return <span className="quiet"> · told {ago(now - Date.parse(asOf))}</span>;
}
