/** What `/ws` tells of: names of things that changed, and nothing of how they are now. */
export const REFRESH_TYPES = [
  "job-refresh",
  "log-refresh",
  "queue-refresh",
  "job-scheduler-refresh",
  "incident-refresh",
  "rule-refresh",
  "audit-refresh",
  "system-refresh",
] as const;
export type RefreshType = (typeof REFRESH_TYPES)[number];

/** One message. An empty name stands for all of them. */
export interface Refresh {
  type: RefreshType;
  source: string;
  queue: string;
  jobId: string;
}

/** What a query's answer is made of; what is left out stands for any. */
export interface Dependence {
  type: RefreshType;
  source?: string;
  queue?: string;
  jobId?: string;
}

/** Kept in the `meta` of a query that is to be asked again when what it tells of changes. */
export interface RefreshMeta extends Record<string, unknown> {
  refreshedBy: readonly Dependence[];
  /** Answered from history, which learns of things about a second later than we hear of them. */
  isHistory?: boolean;
  /** At most once in so many ms; 1,000 unless it says more. */
  leastMs?: number;
  /** Asked though nobody looks at the page: it is what rings. */
  isAlarm?: boolean;
}

/** Read one message; null for anything else. */
export function parseRefresh(text: string): Refresh | null {
  let said: unknown;
  try {
    said = JSON.parse(text);
  } catch {
    return null;
  }
  const type = REFRESH_TYPES.find((each) => each === field(said, "type"));
  if (type === undefined) return null;
  const data: unknown = typeof said === "object" && said !== null ? Reflect.get(said, "data") : null;
  const [source = ""] = field(data, "id").split("/");
  return { type, source: decoded(source), queue: field(data, "queueName"), jobId: field(data, "jobId") };
}

/** Whether a change may concern an answer. */
export function touches(refresh: Refresh, on: Dependence): boolean {
  return (
    refresh.type === on.type &&
    isSame(refresh.source, on.source) &&
    isSame(refresh.queue, on.queue) &&
    isSame(refresh.jobId, on.jobId)
  );
}

/** The server takes no more terms than this. */
const MOST_TERMS = 200;

/** What to subscribe to, in the server's words, so that all of these are told of. */
export function termsOf(dependences: readonly Dependence[]): Record<string, string>[] {
  const terms = dependences.map(({ type, queue, jobId }) => ({
    type,
    ...(queue === undefined ? {} : { queueName: queue }),
    ...(jobId === undefined ? {} : { jobId }),
  }));
  const unique = [...new Map(terms.map((term) => [JSON.stringify(term), term])).values()];
  if (unique.length <= MOST_TERMS) return unique;
  return [...new Set(dependences.map(({ type }) => type))].map((type) => ({ type }));
}

function isSame(said: string, wanted: string | undefined): boolean {
  return said === "" || wanted === undefined || said === wanted;
}

function field(value: unknown, name: string): string {
  if (typeof value !== "object" || value === null) return "";
  const found: unknown = Reflect.get(value, name);
  return typeof found === "string" ? found : "";
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
