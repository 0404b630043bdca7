import type { ReactNode } from "react";

import { useNow } from "../shell/useNow.ts";
import { toldWords, type ToldOf } from "./told.ts";

/** Beside what an answer shows: how old it is, and what of its time was lost. */
export function Told(answer: ToldOf): ReactNode {
  const words = toldWords(answer, useNow());
  return words !== "" && <span className="quiet"> · {words}</span>;
}

/** The same as a line of its own. */
export function ToldNote(answer: ToldOf): ReactNode {
  const words = toldWords(answer, useNow());
  return words !== "" && <p className="quiet">{words}</p>;
}
