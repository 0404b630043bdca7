const HOUR = 3_600_000;

/** How far back a page looks, by the word that its address has for it. */
export const RANGES = { "1h": HOUR, "24h": 24 * HOUR, "7d": 7 * 24 * HOUR, "30d": 30 * 24 * HOUR } as const;
export type RangeName = keyof typeof RANGES;

export const RANGE_NAMES = Object.keys(RANGES) as readonly RangeName[];

export const RANGE_WORDS: Readonly<Record<RangeName, string>> = {
  "1h": "the last hour",
  "24h": "the last 24 hours",
  "7d": "the last 7 days",
  "30d": "the last 30 days",
};

/** The range an address asks for. */
export function rangeOf(search: string, usually: RangeName): RangeName {
  const said = new URLSearchParams(search).get("since");
  return RANGE_NAMES.find((name) => name === said) ?? usually;
}

/** The same address with one parameter changed; empty: without it. */
export function searchWith(search: string, key: string, value: string): string {
  const params = new URLSearchParams(search);
  if (value === "") params.delete(key);
  else params.set(key, value);
  return params.size === 0 ? "" : `?${params.toString()}`;
}
