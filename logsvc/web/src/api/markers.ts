/** A moment that somebody marked, such as a deploy: a line in charts and timelines. */
export interface TimeMarker {
  id: string;
  ts: string;
  env: string;
  service: string;
  version: string;
  by: string;
}
