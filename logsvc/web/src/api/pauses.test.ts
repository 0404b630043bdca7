import { expect, test } from "vitest";

import { pauseWords, type Pause } from "./pauses.ts";

const NOW = Date.parse("2026-05-01T12:00:00Z");
const MAIL = { source: "main", queue: "mail" };
const PAUSE: Pause = { ...MAIL, by: "Ann", at: "2026-05-01T11:58:00Z", reason: "the provider moves" };

test("a paused queue says by whom and why, as far as that is known", () => {
  expect(pauseWords([PAUSE], MAIL, NOW)).toBe("paused; last pause through Tocsin: Ann, 2 min ago: the provider moves");
  expect(pauseWords([{ ...PAUSE, reason: "" }], MAIL, NOW)).toBe(
    "paused; last pause through Tocsin: Ann, 2 min ago: no reason given",
  );
  expect(pauseWords([PAUSE], { ...MAIL, source: "eu" }, NOW)).toBe("paused, not by Tocsin");
  expect(pauseWords(undefined, MAIL, NOW)).toBe("paused");
});
