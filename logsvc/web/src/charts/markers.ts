import type { TimeMarker } from "../api/markers.ts";

/** A marker in words: "shop 1.4.2 by CI". */
export function markerWords({ service, version, by }: TimeMarker): string {
  return [`${service} ${version}`.trim() || "marker", by && `by ${by}`].filter(Boolean).join(" ");
}

/** How to word these markers: with their environment where they are of several. */
export function wordsFor(markers: readonly TimeMarker[]): (marker: TimeMarker) => string {
  const isOfSeveral = new Set(markers.map(({ env }) => env)).size > 1;
  return (marker) => (isOfSeveral ? `${markerWords(marker)} (${marker.env})` : markerWords(marker));
}
