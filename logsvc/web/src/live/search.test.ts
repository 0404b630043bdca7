import { expect, test } from "vitest";

import { hasAll, termsOf } from "./search.ts";

test.each([
  ["timeout card", "Timeout of the card service", true],
  ["timeout card", "Timeout of the mail service", false],
  ["timeout -card", "Timeout of the card service", false],
  ["timeout NOT card", "Timeout of the mail service", true],
  ['"connection refused"', "Connection refused by peer", true],
  ['timeout "card ser', "Timeout of the card service", true],
  ["42", "job 1423 failed", false],
  ["42", "order-42", true],
  ['"42"', "job 1423 failed", true],
  ["ord-8f3a", "for ord-8f3ab", false],
  ["№5", "билет №5", true],
  ['""', "anything", true],
])("%s in %s: %s", (q, text, isFound) => {
  expect(hasAll(termsOf(q), text)).toBe(isFound);
});
