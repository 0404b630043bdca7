import { expect, it } from "vitest";

import { wordsFor } from "./markers.ts";

const DEPLOY = { id: "1", ts: "2026-03-01T10:00:00.000Z", env: "prod", service: "shop", version: "1.4.2", by: "CI" };

it("names the environment of a deploy where those of several are shown", () => {
  const staged = { ...DEPLOY, id: "2", env: "staging", by: "" };
  expect([DEPLOY].map(wordsFor([DEPLOY]))).toEqual(["shop 1.4.2 by CI"]);
  expect([DEPLOY, staged].map(wordsFor([DEPLOY, staged]))).toEqual(["shop 1.4.2 by CI (prod)", "shop 1.4.2 (staging)"]);
});
