import { expect, it } from "vitest";

import { retryWithin } from "./actions.ts";

const PLACE = { source: "main", queue: "mail" };
const HOUR = 3_600_000;

it("retries what failed in the time shown, and no job that fails after the question was asked", () => {
  const asked = Date.parse("2026-03-01T10:00:00.250Z");
  expect(retryWithin({ span: "1h" }, asked, "f00d", PLACE)).toEqual({
    action: "retry",
    source: "main",
    queue: "mail",
    filter: { fingerprint: "f00d", from: "2026-03-01T09:00:00.250Z", to: "2026-03-01T10:00:00.250Z" },
  });
  const past = retryWithin({ from: asked - 2 * HOUR, to: asked - HOUR }, asked, "f00d", PLACE);
  expect(past.filter).toMatchObject({ from: "2026-03-01T08:00:00.250Z", to: "2026-03-01T09:00:00.250Z" });
  expect(retryWithin({ from: asked - HOUR, to: asked + HOUR }, asked, "f00d", PLACE).filter?.to).toBe(
    "2026-03-01T10:00:00.250Z",
  );
});
