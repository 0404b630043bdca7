import { afterEach, describe, expect, it, vi } from "vitest";

import type { Incident } from "../api/incidents.ts";
import { newOnes, occurrence, soundBlock, switchAlarm, tell } from "./alarm.ts";
import { withBadge } from "./useTitleBadge.ts";

const one = { id: 1, episode: 1 } as Incident;

describe("newOnes", () => {
  it("takes nothing for new at the first look", () => {
    expect(newOnes([one], null)).toEqual([]);
  });

  it("takes an incident for new once, and again when it comes back", () => {
    const known = new Set([occurrence(one)]);
    const back = { ...one, episode: 2 };
    expect(newOnes([one], known)).toEqual([]);
    expect(newOnes([one, back], known)).toEqual([back]);
  });
});

describe("withBadge", () => {
  it("keeps one number before the title", () => {
    expect(withBadge("Live · Tocsin", 3)).toBe("(3) Live · Tocsin");
    expect(withBadge("(3) Live · Tocsin", 4)).toBe("(4) Live · Tocsin");
    expect(withBadge("(4) Live · Tocsin", 0)).toBe("Live · Tocsin");
  });
});

describe("the notification", () => {
  afterEach(() => vi.unstubAllGlobals());

  it("is missing, and breaks nothing, where a browser allows it and then throws", async () => {
    const stored = new Map([["tocsin-notify", "on"]]);
    vi.stubGlobal("localStorage", {
      getItem: (key: string) => stored.get(key) ?? null,
      setItem: (key: string, value: string) => stored.set(key, value),
    });
    vi.stubGlobal(
      "Notification",
      // As Chrome on Android has it.
      class {
        static permission = "granted";
        constructor() {
          throw new TypeError("Illegal constructor");
        }
      },
    );
    expect(() => tell([{ ...one, error: "boom" }], () => {})).not.toThrow();
    expect(await switchAlarm("notify", true)).toBe("impossible");
    expect(stored.get("tocsin-notify")).toBe("off");
  });
});

describe("the sound", () => {
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("is told to be blocked where the browser does not let it begin", async () => {
    vi.useFakeTimers();
    vi.stubGlobal("localStorage", { getItem: (key: string) => (key === "tocsin-sound" ? "on" : null) });
    const close = vi.fn();
    vi.stubGlobal(
      "AudioContext",
      class {
        state = "suspended";
        close = close;
        // As Chromium has it: neither kept nor refused before somebody touches the page.
        resume = (): Promise<void> => new Promise(() => {});
      },
    );
    tell([one], () => {});
    await vi.advanceTimersByTimeAsync(1_500);
    expect(soundBlock.get()).toBe(true);
    expect(close).toHaveBeenCalledOnce();
    soundBlock.clear();
    expect(soundBlock.get()).toBe(false);
  });
});
