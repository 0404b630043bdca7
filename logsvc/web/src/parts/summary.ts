import type { Row } from "../api/types.ts";
import { counted } from "../format/count.ts";
import { cut, errorWords, withoutAnsi } from "../format/text.ts";

/** What one line says of a row. */
export interface Summary {
  /** What happened, in a word; empty for log lines. */
  verb: string;
  text: string;
  /** The same text with a terminal's colours, where it has any; else empty. */
  coloured: string;
  /** bad: final; warning: may still go well; good: done; quiet: on its way. */
  tone: "bad" | "warning" | "good" | "quiet";
  /** Whether the text is data rather than a sentence. */
  isData: boolean;
}

/** Characters that a line shows at most; the detail has all. */
export const ONE_LINE = 600;
/** And one that is wrapped. */
export const WHOLE = 20_000;

/** Put a row into one line, of so many characters at most. */
export function summaryOf(row: Row, longest = ONE_LINE): Summary {
  if (row.kind === "log") return { verb: "", ...texts(row.message, longest), tone: toneOfLevel(row), isData: false };
  const event = row.event ?? row.state ?? "event";
  const { text, isData } = textOf(event, row);
  return { verb: event.replaceAll("-", " "), ...texts(text, longest), tone: toneOfEvent(event, row), isData };
}

/** The row as one line of plain text, to be pasted somewhere. */
export function plainLine(row: Row): string {
  const { verb, text } = summaryOf(row);
  const job = [row.job_name, row.job_id && `#${row.job_id}`].filter(Boolean).join(" ");
  return [row.ts, row.level.toUpperCase(), row.queue || row.service, job, verb, text].filter(Boolean).join(" ");
}

/** What a gap record means, in a sentence. */
export function gapSentence(row: Row): string {
  if (typeof row.lost !== "number") return row.message || "Events were lost before Tocsin could read them";
  return `${counted(row.lost, "event")} lost before Tocsin could read ${row.lost === 1 ? "it" : "them"}`;
}

function textOf(event: string, row: Row): { text: string; isData: boolean } {
  if (event === "gap") return { text: gapSentence(row), isData: false };
  if (row.error || row.error_type) return { text: errorWords(row), isData: false };
  if (row.message) return { text: row.message, isData: false };
  if (event === "completed") return { text: row.result ?? "", isData: true };
  if (event === "progress") return { text: row.progress ?? "", isData: true };
  if (event === "added") return { text: row.data ?? "", isData: true };
  return { text: "", isData: false };
}

function toneOfEvent(event: string, row: Row): Summary["tone"] {
  if (event === "completed") return "good";
  return toneOfLevel(row);
}

function toneOfLevel(row: Row): Summary["tone"] {
  if (row.level === "error") return "bad";
  return row.level === "warn" ? "warning" : "quiet";
}

function texts(text: string | null | undefined, longest: number): { text: string; coloured: string } {
  const given = (text ?? "").trim();
  return {
    text: cut(withoutAnsi(given), longest),
    coloured: given.includes("\u001B") ? cut(given, longest) : "",
  };
}
