import { apiUrl, getJson, type Params } from "./client.ts";
import type { Page, Row } from "./types.ts";

export interface LogsQuery {
  /** The filter's own keys, as the URL has them. */
  filter: Params;
  limit: number;
  /** Where the page before ended: asks for older rows. */
  cursor?: string;
  /** RFC 3339 bounds of time. */
  from?: string;
  to?: string;
}

/** A page of history with its rows oldest first, the order in which the tail shows them. */
export async function fetchLogs(query: LogsQuery, signal?: AbortSignal): Promise<Page<Row>> {
  const url = apiUrl("logs", {
    ...query.filter,
    limit: String(query.limit),
    cursor: query.cursor ?? "",
    from: query.from ?? "",
    to: query.to ?? "",
  });
  const page = await getJson<Page<Row>>(url, signal);
  return { ...page, items: page.items.toReversed() };
}
