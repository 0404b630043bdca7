import { LEVELS, type Level, type Row } from "../api/types.ts";

/** What the connection passes on. */
export type ToldFrame =
  | { type: "hello"; cursor: string; as_of: string }
  | { type: "rows"; rows: readonly Row[]; cursor: string; dropped: number; lagMs: number | null }
  | { type: "ping"; cursor: string; as_of: string }
  | { type: "gap"; count: number | null };

/** An error: the server refused what we asked, and closes. */
export type Frame = ToldFrame | { type: "error"; detail: string };

type Fields = Readonly<Record<string, unknown>>;

/** Read one frame of the live tail. null for what this page does not know: a newer server may say more. */
export function parseFrame(text: string): Frame | null {
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isFields(frame)) return null;
  switch (frame["type"]) {
    case "hello":
      return { type: "hello", cursor: string(frame["cursor"]), as_of: string(frame["as_of"]) };
    case "rows":
      return {
        type: "rows",
        rows: Array.isArray(frame["rows"]) ? frame["rows"].filter((row): row is Row => isRow(row)) : [],
        cursor: string(frame["cursor"]),
        dropped: number(frame["dropped"]) ?? 0,
        lagMs: number(frame["lag_ms"]),
      };
    case "ping":
      return { type: "ping", cursor: string(frame["cursor"]), as_of: string(frame["as_of"]) };
    case "gap":
      return { type: "gap", count: number(frame["count"]) };
    case "error":
      return { type: "error", detail: string(frame["detail"]) };
    default:
      return null;
  }
}

function isRow(value: unknown): value is Row {
  return (
    isFields(value) && typeof value["id"] === "string" && typeof value["ts"] === "string" && isLevel(value["level"])
  );
}

function isLevel(value: unknown): value is Level {
  return (LEVELS as readonly unknown[]).includes(value);
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function string(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function number(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
