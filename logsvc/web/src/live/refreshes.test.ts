import { describe, expect, it } from "vitest";

import { parseRefresh, termsOf, touches } from "./refreshes.ts";

const OF_JOB = { type: "job-refresh", source: "main", queue: "a/b", jobId: "7" } as const;

describe("parseRefresh", () => {
  it("reads what changed, the source from the path", () => {
    const text = '{"type":"job-refresh","data":{"id":"main/a%2Fb/7","queueName":"a/b","jobId":"7"}}';
    expect(parseRefresh(text)).toEqual(OF_JOB);
    expect(parseRefresh('{"type":"queue-refresh","data":{}}')).toEqual({
      type: "queue-refresh",
      source: "",
      queue: "",
      jobId: "",
    });
  });

  it("takes nothing else for one", () => {
    for (const text of ["", "[]", "null", '{"type":"done"}', '{"type":"other-refresh","data":{}}']) {
      expect(parseRefresh(text)).toBeNull();
    }
  });
});

describe("touches", () => {
  it("tells a job from others, and its queue's from another source's", () => {
    expect(touches(OF_JOB, { type: "job-refresh", source: "main", queue: "a/b", jobId: "7" })).toBe(true);
    expect(touches(OF_JOB, { type: "job-refresh", source: "main", queue: "a/b", jobId: "8" })).toBe(false);
    expect(touches(OF_JOB, { type: "job-refresh", source: "other", queue: "a/b" })).toBe(false);
    expect(touches(OF_JOB, { type: "log-refresh" })).toBe(false);
  });

  it("takes a message without names for all of them", () => {
    expect(touches({ ...OF_JOB, jobId: "" }, { type: "job-refresh", queue: "a/b", jobId: "8" })).toBe(true);
  });
});

describe("termsOf", () => {
  it("asks for each thing once, and for all of its kind where there are too many", () => {
    const job = { type: "job-refresh", source: "main", queue: "q", jobId: "1" } as const;
    expect(termsOf([job, { ...job, source: "other" }])).toEqual([{ type: "job-refresh", queueName: "q", jobId: "1" }]);
    const many = Array.from({ length: 201 }, (_, id) => ({ ...job, jobId: String(id) }));
    expect(termsOf(many)).toEqual([{ type: "job-refresh" }]);
  });
});
