import { describe, expect, it } from "vitest";

import { count, counted, percent } from "./count.ts";
import { jsonTokens, prettyJson } from "./json.ts";
import { cut, splitHits, withoutAnsi } from "./text.ts";
import { age, clockTime, duration, exactTime, tickTime } from "./time.ts";

describe("time", () => {
  it("writes durations in at most two units", () => {
    const written = [0, 85, 999, 1_240, 12_340, 60_000, 123_400, 3_600_000, 12_000_000, 90_000_000].map((ms) =>
      duration(ms),
    );
    expect(written).toEqual([
      "0 ms",
      "85 ms",
      "999 ms",
      "1.24 s",
      "12.3 s",
      "1 min",
      "2 min 3 s",
      "1 h",
      "3 h 20 min",
      "1 d 1 h",
    ]);
    expect(duration(-1_500)).toBe("-1.50 s");
  });

  it("never writes 60 s or 10.00 s", () => {
    expect(duration(59_960)).toBe("1 min");
    expect(duration(9_999)).toBe("10.0 s");
  });

  it("writes ages in one unit", () => {
    expect([0, 12_000, 200_000, 7_300_000, 400_000_000].map((ms) => age(ms))).toEqual([
      "now",
      "12 s",
      "3 min",
      "2 h",
      "4 d",
    ]);
  });

  it("shows milliseconds today and the day for what is older", () => {
    const now = Date.parse("2026-11-22T12:00:00Z");
    expect(clockTime("2026-11-22T11:59:58.120Z", now, "local")).toMatch(/^\d\d:\d\d:58\.120$/);
    expect(clockTime("2026-11-19T11:59:58.120Z", now, "local")).toMatch(/^\d\d Nov \d\d:59:58$/);
    expect(exactTime("2026-11-19T11:59:58.120Z", now, "local")).toMatch(/^\d\d Nov \d\d:59:58\.120$/);
    expect(exactTime("2026-11-22T11:59:58.120Z", now, "local")).toMatch(/^\d\d:\d\d:58\.120$/);
    expect(clockTime("never", now, "local")).toBe("–");
  });
});

describe("count", () => {
  it("keeps thousands apart and minds one", () => {
    expect(count(1_234_567)).toBe("1,234,567");
    expect([counted(1, "line"), counted(412, "line"), counted(0, "reply", "replies")]).toEqual([
      "1 line",
      "412 lines",
      "0 replies",
    ]);
  });
});

describe("json", () => {
  it("indents JSON and leaves what was cut alone", () => {
    expect(prettyJson('{"a":[1]}')).toBe('{\n  "a": [\n    1\n  ]\n}');
    expect(prettyJson('{"a": "x… (cut)')).toBe('{"a": "x… (cut)');
    const value = { empty: [{}, []], "braces, {quoted}": '": ["', deep: { t: [true, null, -1.5e3] }, s: "a\\" };
    expect(prettyJson(JSON.stringify(value))).toBe(JSON.stringify(value, null, 2));
  });

  it("shows the numbers and keys of the text, and no others", () => {
    const text = '{"id":12345678901234567890,"price":10.00,"id":2}';
    expect(prettyJson(text)).toBe('{\n  "id": 12345678901234567890,\n  "price": 10.00,\n  "id": 2\n}');
  });

  it("does not grow what is deep", () => {
    const text = "[".repeat(3_000) + "]".repeat(3_000);
    expect(prettyJson(text).length).toBeLessThan(2 * text.length);
    expect(prettyJson(text).replaceAll(/\s/gu, "")).toBe(text);
  });

  it("loses no character when cut into tokens", () => {
    for (const text of ['{"a": "b\\"c", "n": -1.5e3, "t": [true, null]}', "not json", '"<b>"', '{"cut":"x']) {
      const joined = jsonTokens(text)
        .map((token) => token.text)
        .join("");
      expect(joined).toBe(text);
    }
  });

  it("knows keys from strings", () => {
    const kinds = jsonTokens('{"a": "b", "c": 1, "d": null}')
      .filter((token) => token.kind !== "plain")
      .map((token) => token.kind);
    expect(kinds).toEqual(["key", "string", "key", "number", "key", "word"]);
  });
});

describe("text", () => {
  it("takes terminal colours out", () => {
    expect(withoutAnsi("\u001B[31mred\u001B[0m plain")).toBe("red plain");
  });

  it("cuts long text with a mark", () => {
    expect([cut("abc", 3), cut("abcd", 3)]).toEqual(["abc", "abc…"]);
  });

  it("finds hits without case and keeps the text", () => {
    expect(splitHits("Timeout: TIMEOUT", ["timeout"])).toEqual(["", "Timeout", ": ", "TIMEOUT", ""]);
    expect(splitHits("a.*b>a", [".*", "B>"])).toEqual(["a", ".*", "", "b>", "a"]);
    expect(splitHits("a<b>a", [])).toEqual(["a<b>a"]);
    expect(splitHits("İx", ["x"]).join("")).toBe("İx");
  });
});

describe("tickTime", () => {
  const time = Date.UTC(2026, 10, 25, 14, 30, 5);
  const midnight = Date.UTC(2026, 10, 25);
  it("says no more than the axis needs", () => {
    expect(tickTime(time, 600_000, "utc")).toBe("14:30");
    expect(tickTime(time, 5_000, "utc")).toBe("14:30:05");
    expect(tickTime(midnight, 3_600_000, "utc")).toBe("25 Nov");
    expect(tickTime(time, 86_400_000, "utc")).toBe("25 Nov");
  });
});

describe("percent", () => {
  it("never makes none of a little, nor all of almost all", () => {
    expect([0, 0.0004, 0.004, 0.25, 0.9996, 1].map((share) => percent(share))).toEqual([
      "0 %",
      "< 0.1 %",
      "0.4 %",
      "25 %",
      "> 99.9 %",
      "100 %",
    ]);
  });
});
