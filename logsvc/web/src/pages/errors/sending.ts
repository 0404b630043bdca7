import type { ActionResult } from "../../api/actions.ts";
import type { ErrorPlace } from "../../api/errors.ts";
import { mayPass } from "../../api/patience.ts";

/** What became of one place: an answer, or why there is none. */
export interface Outcome {
  place: ErrorPlace;
  result?: ActionResult;
  error?: Error;
}

/** Where to send: what is chosen; once that was confirmed, only those of it that have no answer, and may get one. */
export function toSend(chosen: readonly ErrorPlace[], before: readonly Outcome[]): readonly ErrorPlace[] {
  if (before.length === 0) return chosen;
  return before.filter(({ error }) => error !== undefined && mayPass(error)).map(({ place }) => place);
}

/** What is known with one answer more: in the place of an older one, if there is one. */
export function withAnswer(before: readonly Outcome[], answer: Outcome): readonly Outcome[] {
  if (!before.some(({ place }) => place === answer.place)) return [...before, answer];
  return before.map((old) => (old.place === answer.place ? answer : old));
}
