/** Where a trace can be looked at, by TRACE_URL_TEMPLATE; null where none is set or the template makes no web address. */
export function traceUrl(template: string | null | undefined, traceId: string | undefined): string | null {
  if (!template || !traceId) return null;
  const address = template.replaceAll("{trace_id}", encodeURIComponent(traceId));
  return /^https?:\/\//u.test(address) ? address : null;
}
