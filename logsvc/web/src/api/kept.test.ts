import { expect, it } from "vitest";

import { keptFor } from "./kept.ts";

it("keeps an answer for another time of the same queue, and none of another queue", () => {
  const kept = keptFor(["durations", "main", "mail"]);
  expect(kept("numbers", { queryKey: ["durations", "main", "mail", { span: "6h" }] })).toBe("numbers");
  expect(kept("numbers", { queryKey: ["durations", "main", "orders", { span: "1h" }] })).toBeUndefined();
  expect(kept("numbers", { queryKey: ["durations", "eu", "mail", { span: "1h" }] })).toBeUndefined();
  expect(kept("numbers", undefined)).toBeUndefined();
});
