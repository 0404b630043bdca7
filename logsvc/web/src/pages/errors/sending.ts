import type { ActionResult } from "../../api/actions.ts";
import type { ErrorPlace } from "../../api/errors.ts";

/** What became of one place: an answer, or why there is none. */
export interface Outcome {
  place: ErrorPlace;
  result?: ActionResult;
  error?: Error;
}

/** Where to send: what is chosen; once that was confirmed, only those of it that have no answer. */
export function toSend(chosen: readonly ErrorPlace[], before: readonly Outcome[]): readonly ErrorPlace[] {
  if (before.length === 0) return chosen;
  return before.filter(({ error }) => error !== undefined).map(({ place }) => place);
}

/** What is known after sending again: the new answers in the place of the old. */
export function afterSending(before: readonly Outcome[], answers: readonly Outcome[]): readonly Outcome[] {
  if (before.length === 0) return answers;
  return before.map((old) => answers.find(({ place }) => place === old.place) ?? old);
}
