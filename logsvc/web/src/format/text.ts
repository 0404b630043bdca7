// ESC [ … letter: the colour and cursor codes that terminals take.
// oxlint-disable-next-line no-control-regex
const ANSI = /\u001B\[[0-9;?]*[ -/]*[@-~]/g;

/** The text without terminal colour codes. */
export function withoutAnsi(text: string): string {
  return text.includes("\u001B") ? text.replace(ANSI, "") : text;
}

/** The first `limit` characters, with a mark when there are more. */
export function cut(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit)}…`;
}

/** The text in pieces, hits of the needle apart (without case); hits have odd indexes. */
export function splitHits(text: string, needle: string): string[] {
  if (needle === "") return [text];
  const pieces: string[] = [];
  const lower = text.toLowerCase();
  // Lower-casing can change the length (İ): then places in one text mean nothing in the other.
  if (lower.length !== text.length) return [text];
  const wanted = needle.toLowerCase();
  let start = 0;
  for (let hit = lower.indexOf(wanted); hit >= 0; hit = lower.indexOf(wanted, start)) {
    pieces.push(text.slice(start, hit), text.slice(hit, hit + wanted.length));
    start = hit + wanted.length;
  }
  pieces.push(text.slice(start));
  return pieces;
}
