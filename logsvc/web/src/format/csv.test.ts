import { expect, test } from "vitest";

import { csvOf } from "./csv.ts";

test("rows become lines that a spreadsheet reads and does not run", () => {
  expect(csvOf([])).toBe("\r\n");
  expect(
    csvOf([
      { queue: 'a,"b"', failed: -3, note: null },
      { queue: "=1+1", failed: 0, places: [{ env: "prod" }] },
      { queue: "two\nlines", is_paused: true },
    ]),
  ).toBe(
    "queue,failed,note,places,is_paused\r\n" +
      '"a,""b""",-3,,,\r\n' +
      `'=1+1,0,,"[{""env"":""prod""}]",\r\n` +
      '"two\nlines",,,,true\r\n',
  );
});
