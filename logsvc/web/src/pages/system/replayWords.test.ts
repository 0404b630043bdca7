import { expect, test } from "vitest";

import { reasonsOf, replayWords } from "./replayWords.ts";

test("a replay says how many of each outcome, and each reason once", () => {
  const results = ["a", "b", "c"].map((id) => ({ id, outcome: "refused", reason: "contract version 2" }));
  expect(replayWords({ outcomes: { new_word: 1, refused: 3, storable: 2 } })).toEqual([
    "2 can be stored now",
    "3 refused again",
    "1 new_word",
  ]);
  expect(reasonsOf({ results: [...results, { id: "d", outcome: "stored", reason: "" }] })).toEqual([
    "contract version 2",
  ]);
});
