import { expect, it } from "vitest";

import { errorWords, splitHits } from "./text.ts";

it("finds every character as it stands, whatever it means in an expression", () => {
  for (const needle of ["line-3-", "a.b", "(x)", "[y]", "50%", "a\\b", "a|b", "{2}", "^$", "a/b", "?*+", "ע-🚀"]) {
    expect(splitHits(`before ${needle} after`, [needle])).toEqual(["before ", needle, " after"]);
  }
});

it("finds several needles without regard to case, and nothing for none", () => {
  expect(splitHits("Card Timeout", ["timeout", "card"])).toEqual(["", "Card", " ", "Timeout", ""]);
  expect(splitHits("text", ["", ""])).toEqual(["text"]);
});

it("says an error's type once", () => {
  expect(errorWords({ error: "TypeError: x", error_type: "TypeError" })).toBe("TypeError: x");
  expect(errorWords({ error: "x", error_type: "TypeError" })).toBe("TypeError: x");
  expect(errorWords({ error_type: "TypeError" })).toBe("TypeError");
  expect(errorWords({})).toBe("");
});
