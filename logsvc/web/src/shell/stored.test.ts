import { afterEach, expect, it, vi } from "vitest";

import { offOrOn, Stored } from "./stored.ts";

afterEach(() => vi.unstubAllGlobals());

it("remembers a choice, and sees what another tab chose", () => {
  const texts = new Map<string, string>();
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => texts.get(key) ?? null,
    setItem: (key: string, text: string) => texts.set(key, text),
  });
  const isOn = new Stored("key", (text) => text === "on", offOrOn);
  const heard = vi.fn();
  isOn.subscribe(heard);
  expect(isOn.get()).toBe(false);
  expect(isOn.choose(true)).toBe(true);
  expect([isOn.get(), texts.get("key"), heard.mock.calls.length]).toEqual([true, "on", 1]);
  texts.set("key", "off");
  expect(isOn.get()).toBe(false);
});

it("holds a choice until the page is left where storage is forbidden, and tells the same value each time", () => {
  vi.stubGlobal("localStorage", undefined);
  const choice = new Stored(
    "key",
    (text) => ({ text }),
    ({ text }) => text ?? "",
  );
  expect(choice.get()).toBe(choice.get());
  expect(choice.choose({ text: "dark" })).toBe(false);
  expect(choice.get()).toEqual({ text: "dark" });
});
