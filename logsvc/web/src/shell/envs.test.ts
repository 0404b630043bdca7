import { describe, expect, it } from "vitest";

import { envsOf, keepEnvs, searchWithEnvs, toneOf } from "./envs.ts";

describe("the environments of an address", () => {
  it("are each named once", () => {
    expect(envsOf("?env=prod&q=x&env=&env=prod&env=eu")).toEqual(["prod", "eu"]);
  });

  it("change without what depended on the old ones", () => {
    expect(searchWithEnvs("?queue=mail&env=prod&cursor=abc&at=1&row=2", ["eu"])).toBe("?queue=mail&env=eu");
    expect(searchWithEnvs("?env=prod", [])).toBe("");
  });

  it("go along to the next page, unless its address names some", () => {
    expect(keepEnvs("", ["prod", "eu"])).toBe("?env=prod&env=eu");
    expect(keepEnvs("?added_at=1", ["prod"])).toBe("?added_at=1&env=prod");
    expect(keepEnvs("?env=eu", ["prod"])).toBe("?env=eu");
    expect(keepEnvs("?q=a+b", [])).toBe("?q=a+b");
  });

  it("are loud where it is earnest", () => {
    expect(["prod", "Production-eu", "staging", "dev"].map(toneOf)).toEqual(["prod", "prod", "near", "other"]);
  });
});
