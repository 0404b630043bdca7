import type { JobName } from "../api/jobs.ts";

/** The address of a job's page. addedAt picks a run; "" is the newest. Every name is one segment, whatever it holds. */
export function jobPlace({ source, queue, job_id }: JobName, addedAt = ""): { path: string; search: string } {
  const search = addedAt === "" ? "" : `?${new URLSearchParams({ added_at: addedAt }).toString()}`;
  return { path: pathOf("job", source, queue, job_id), search };
}

export function queuePlace(source: string, queue: string): { path: string } {
  return { path: pathOf("queue", source, queue) };
}

/** The same address with one parameter changed; empty: without it. */
export function searchWith(search: string, key: string, value: string): string {
  const params = new URLSearchParams(search);
  if (value === "") params.delete(key);
  else params.set(key, value);
  return params.size === 0 ? "" : `?${params.toString()}`;
}

function pathOf(...names: readonly string[]): string {
  return names.map((name) => encodeURIComponent(name)).join("/");
}
