import type { AuditItem } from "../../api/audit.ts";

/** Who paused a queue, and when: null where the audit does not tell, for it was done in the app or long ago. */
export function pausedBy(
  audit: readonly AuditItem[] | undefined,
  source: string,
  queue: string,
): { name: string; at: string } | null {
  const target = `${source}/${queue}`;
  const last = audit
    ?.filter(({ action, outcome }) => (action === "pause" || action === "resume") && outcome.startsWith("done"))
    .filter((entry) => entry.target === target)
    .reduce<AuditItem | null>((newest, entry) => (newest === null || entry.id > newest.id ? entry : newest), null);
  return last?.action === "pause" ? { name: last.name || last.user_id, at: last.at } : null;
}
