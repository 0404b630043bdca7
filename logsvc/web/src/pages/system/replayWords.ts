import type { ReplayResult } from "../../api/deadLetters.ts";
import { count } from "../../format/count.ts";

const WORDS: Readonly<Record<string, string>> = {
  stored: "stored now",
  storable: "can be stored now",
  already_stored: "stored before",
  refused: "refused again",
  gone: "gone from Kafka",
  expired: "older than history",
  busy: "being stored just now: try again in a moment",
  not_ours: "never a record",
  unknown: "not among the newest any more",
};

/** How many there are of each outcome, what is stored before what is not: "2 can be stored now". */
export function replayWords({ outcomes }: Pick<ReplayResult, "outcomes">): readonly string[] {
  const known = Object.keys(WORDS);
  const place = (word: string): number => (word in WORDS ? known.indexOf(word) : known.length);
  return Object.entries(outcomes)
    .toSorted(([one], [other]) => place(one) - place(other))
    .map(([word, number]) => `${count(number)} ${WORDS[word] ?? word}`);
}

const TOLD = 3;

/** Why some are not stored, each reason once, at most three. */
export function reasonsOf({ results }: Pick<ReplayResult, "results">): readonly string[] {
  return [...new Set(results.map(({ reason }) => reason).filter((reason) => reason !== ""))].slice(0, TOLD);
}
