import { expect, it } from "vitest";

import { retryUntilNow } from "./actions.ts";

it("retries no job that fails after the question was asked", () => {
  const asked = Date.parse("2026-03-01T10:00:00.250Z");
  expect(retryUntilNow("f00d", { source: "main", queue: "mail" }, asked)).toEqual({
    action: "retry",
    source: "main",
    queue: "mail",
    filter: { fingerprint: "f00d", to: "2026-03-01T10:00:00.250Z" },
  });
});
