import { expect, it } from "vitest";

import { ApiError } from "../../api/client.ts";
import type { ErrorPlace } from "../../api/errors.ts";
import { toSend, withAnswer, type Outcome } from "./sending.ts";

const placeOf = (queue: string): ErrorPlace => ({ source: "main", env: "prod", queue }) as ErrorPlace;
const [MAILS, BILLS, BIG, LATE] = [placeOf("mails"), placeOf("bills"), placeOf("big"), placeOf("late")];
const DONE: Outcome["result"] = { count: 1, results: [] } as unknown as NonNullable<Outcome["result"]>;

it("sends again only what was confirmed and may still get an answer, whatever was counted since", () => {
  expect(toSend([MAILS, BILLS, BIG], [])).toEqual([MAILS, BILLS, BIG]);
  const first: Outcome[] = [
    { place: MAILS, result: DONE },
    { place: BIG, error: new ApiError(422, "too many") },
    { place: BILLS, error: new ApiError(503, "the bridge is away") },
  ];
  const outcomes = first.reduce<readonly Outcome[]>(withAnswer, []);
  expect(outcomes).toEqual(first);
  expect(toSend([MAILS, BILLS, LATE], outcomes)).toEqual([BILLS]);
  const again = withAnswer(outcomes, { place: BILLS, result: DONE });
  expect(again).toEqual([first[0], first[1], { place: BILLS, result: DONE }]);
  expect(toSend([MAILS, BILLS, LATE], again)).toEqual([]);
});
