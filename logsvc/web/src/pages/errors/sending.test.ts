import { expect, it } from "vitest";

import type { ErrorPlace } from "../../api/errors.ts";
import { afterSending, toSend, type Outcome } from "./sending.ts";

const placeOf = (queue: string): ErrorPlace => ({ source: "main", env: "prod", queue }) as ErrorPlace;
const [MAILS, BILLS, LATE] = [placeOf("mails"), placeOf("bills"), placeOf("late")];
const DONE: Outcome["result"] = { count: 1, results: [] } as unknown as NonNullable<Outcome["result"]>;

it("sends again only what was confirmed and has no answer, whatever was counted since", () => {
  expect(toSend([MAILS, BILLS], [])).toEqual([MAILS, BILLS]);
  const first: Outcome[] = [
    { place: MAILS, result: DONE },
    { place: BILLS, error: new Error("the bridge is away") },
  ];
  const outcomes = afterSending([], first);
  expect(toSend([MAILS, BILLS, LATE], outcomes)).toEqual([BILLS]);
  const again = afterSending(outcomes, [{ place: BILLS, result: DONE }]);
  expect(again).toEqual([first[0], { place: BILLS, result: DONE }]);
  expect(toSend([MAILS, BILLS, LATE], again)).toEqual([]);
});
