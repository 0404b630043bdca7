import { describe, expect, it } from "vitest";

import { ansiPieces } from "./ansi.ts";

function told(text: string): string[] {
  return ansiPieces(text.replaceAll("^", "\u001B[")).map(
    ({ text: piece, colour, isBold, isDim }) =>
      `${[colour, isBold && "bold", isDim && "dim"].filter(Boolean).join(" ")}|${piece}`,
  );
}

describe("ansiPieces", () => {
  it("colours what stands between the codes", () => {
    expect(told("a ^1;31mred^0m b ^32mgreen^39m c")).toEqual(["|a ", "red bold|red", "| b ", "green|green", "| c"]);
  });

  it("leaves out what moves a cursor, and colours of which it knows none", () => {
    expect(told("^2Kx^1;1Hy^38;5;208mz^38;5;1mr^48;2;1;2;3ms")).toEqual(["|x", "|y", "|z", "red|r", "red|s"]);
  });

  it("takes bright colours for colours, and bright black for dim", () => {
    expect(told("^91mred^m^90mgrey")).toEqual(["red|red", "dim|grey"]);
  });

  it("leaves text without codes in one piece, markup and all", () => {
    expect(told("<b>x</b>")).toEqual(["|<b>x</b>"]);
    expect(told("")).toEqual([]);
  });
});
