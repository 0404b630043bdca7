import { CODE } from "./ansi.ts";

/** The text without terminal colour codes. */
export function withoutAnsi(text: string): string {
  return text.includes("\u001B") ? text.replaceAll(CODE, "") : text;
}

/** The first `limit` characters, with a mark when there are more. */
export function cut(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit)}…`;
}

/** The text in pieces, hits of the needles apart (without case); hits have odd indexes. */
export function splitHits(text: string, needles: readonly string[]): string[] {
  const wanted = needles.filter((needle) => needle !== "").map((needle) => needle.replaceAll(SPECIAL, String.raw`\$&`));
  return wanted.length === 0 ? [text] : text.split(new RegExp(`(${wanted.join("|")})`, "giu"));
}

// What means something in a regular expression. Not `-`: with the flag u an escape that is none needed is an error.
const SPECIAL = /[$()*+./?[\\\]^{|}]/g;

interface Failed {
  error?: string;
  error_type?: string;
}

/** The error with its type before it, unless it says its type itself; empty where neither is known. */
export function errorWords({ error = "", error_type: type = "" }: Failed): string {
  if (type === "" || error.startsWith(type)) return error;
  return error === "" ? type : `${type}: ${error}`;
}
