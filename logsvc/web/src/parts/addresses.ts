import type { JobName } from "../api/jobs.ts";

/** The address of a job's page. addedAt picks a run; "" is the newest. Every name is one segment, whatever it holds. */
export function jobPlace({ source, queue, job_id }: JobName, addedAt = ""): { path: string; search: string } {
  const search = addedAt === "" ? "" : `?${new URLSearchParams({ added_at: addedAt }).toString()}`;
  return { path: pathOf("job", source, queue, job_id), search };
}

export function queuePlace(source: string, queue: string): { path: string } {
  return { path: pathOf("queue", source, queue) };
}

function pathOf(...names: readonly string[]): string {
  return names.map((name) => encodeURIComponent(name)).join("/");
}
