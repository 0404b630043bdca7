import { describe, expect, it } from "vitest";

import { Ring } from "./ring.ts";

function items<Item>(ring: Ring<Item>): Item[] {
  return ring.entries().map(([item]) => item);
}

describe("Ring", () => {
  it("forgets the oldest and keeps every item's number", () => {
    const gone: number[] = [];
    const ring = new Ring<number>(3, undefined, (item) => gone.push(item));
    for (const item of [0, 1, 2, 3, 4]) ring.push(item);
    expect(items(ring)).toEqual([2, 3, 4]);
    expect(gone).toEqual([0, 1]);
    expect([ring.firstSeq, ring.endSeq]).toEqual([2, 5]);
    expect(ring.at(0)).toBe(2);
    expect(ring.at(2)).toBe(4);
    expect([ring.at(-1), ring.at(3)]).toEqual([undefined, undefined]);
  });

  it("forgets by weight too, but always holds the newest item", () => {
    const ring = new Ring<string>(10, 100);
    ring.push("a", 60);
    ring.push("b", 30);
    ring.push("c", 50);
    expect(items(ring)).toEqual(["b", "c"]);
    expect(ring.weight).toBe(80);
    ring.push("huge", 1_000);
    expect(items(ring)).toEqual(["huge"]);
  });

  it("keeps the end number when its items are replaced", () => {
    const ring = new Ring<number>(4);
    for (const item of [1, 2, 3]) ring.push(item);
    ring.replaceAll([0, 1, 2, 3, 4].map((item) => [item, 1] as const));
    expect(items(ring)).toEqual([1, 2, 3, 4]);
    expect([ring.firstSeq, ring.endSeq]).toEqual([-1, 3]);
    ring.clear();
    expect([ring.length, ring.weight, ring.endSeq]).toEqual([0, 0, 3]);
  });

  it("agrees with a plain array over many random steps", () => {
    const ring = new Ring<number>(17, 90);
    let model: (readonly [number, number])[] = [];
    let state = 42;
    const next = (bound: number): number => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      return state % bound;
    };
    for (let step = 0; step < 5_000; step += 1) {
      const weight = 1 + next(12);
      ring.push(step, weight);
      model = [...model, [step, weight]];
      while (model.length > 17 || (model.length > 1 && model.reduce((sum, [, each]) => sum + each, 0) > 90)) {
        model = model.slice(1);
      }
      expect(items(ring)).toEqual(model.map(([item]) => item));
    }
  });
});
