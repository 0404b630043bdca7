import { useState, type ReactNode } from "react";

import type { Progress } from "../api/client.ts";
import { useNow } from "../shell/useNow.ts";
import { workingWords } from "./actionWords.ts";

/** Says since when something is being done, and how far it is where that is known. */
export function Working({ progress }: { progress: Progress | null | undefined }): ReactNode {
  const now = useNow();
  const [begunAt] = useState(now);
  return (
    <span role="timer" className="quiet" data-testid="working">
      {workingWords(now - begunAt, progress ?? null)}
    </span>
  );
}
