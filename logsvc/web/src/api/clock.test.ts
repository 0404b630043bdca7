import { beforeEach, expect, it } from "vitest";

import { noteDate, serverAheadMs } from "./clock.ts";

const NOW = Date.parse("2026-11-26T12:00:00Z");
const at = (ms: number): string => new Date(ms).toUTCString();

// As after an answer that shows both clocks alike to the millisecond.
beforeEach(() => {
  noteDate(at(NOW), NOW + 2_000, NOW + 2_000);
  noteDate(at(NOW), NOW, NOW);
});

it("leaves a clock alone that may be right", () => {
  noteDate(at(NOW), NOW - 5_000, NOW + 1_900);
  expect(serverAheadMs()).toBe(0);
});

it("knows how far a clock is off to the step of a date and the time on the way, and follows it when it is set", () => {
  noteDate(at(NOW + 120_000), NOW, NOW + 300);
  expect(serverAheadMs()).toBe(119_700);
  noteDate(at(NOW - 60_000), NOW, NOW + 300);
  expect(serverAheadMs()).toBe(-58_000);
  noteDate(at(NOW), NOW, NOW + 300);
  expect(serverAheadMs()).toBe(-300);
});

it("learns nothing from an answer without a date", () => {
  noteDate(null, NOW, NOW);
  expect(serverAheadMs()).toBe(0);
});
