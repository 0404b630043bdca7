import { describe, expect, it } from "vitest";

import type { Rule } from "../../api/rules.ts";
import { changeOf, draftOf, isChanged, isShipped, labelOf } from "./tuning.ts";

const shipped = { fire: 300, resolve: 60, fire_seconds: 120, resolve_seconds: 300, least: 0 };
const rule = {
  ...shipped,
  fire: 600,
  name: "waiting-long",
  unit: "seconds",
  is_on: true,
  is_fixed: false,
  changeable: ["fire", "resolve"],
  shipped,
  version: 3,
} as unknown as Rule;

describe("a rule that is edited", () => {
  it("keeps what was changed before, and takes a number back to how it ships", () => {
    const draft = draftOf(rule);
    expect(isChanged(rule, draft)).toBe(false);
    expect(changeOf(rule, { ...draft, resolve: "30" })).toMatchObject({ fire: 600, resolve: 30, is_on: null });
    expect(changeOf(rule, { ...draft, fire: "300" })).toMatchObject({ fire: null, resolve: null });
    expect(changeOf(rule, { ...draft, isOn: false })).toMatchObject({ is_on: false });
    expect(isShipped(rule)).toBe(false);
  });

  it("refuses what is no number", () => {
    expect(changeOf(rule, { ...draftOf(rule), fire: "" })).toBeNull();
    expect(changeOf(rule, { ...draftOf(rule), fire: "-1" })).toBeNull();
    expect(changeOf(rule, { ...draftOf(rule), fire: "many" })).toBeNull();
  });

  it("says what a number is", () => {
    expect(labelOf("fire", "seconds")).toBe("Rings from (seconds)");
    expect(labelOf("fire", "count")).toBe("Rings from");
  });
});
