/** A piece of JSON text and what it is, for colouring. */
export interface Token {
  kind: "key" | "string" | "number" | "word" | "plain";
  text: string;
}

/** What is deeper stays in its line: indents of thousands of levels would be longer than all the rest. */
const MOST_LEVELS = 20;
const PARTS = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/**
 * JSON text with indents; what is not JSON (a text that was cut) comes back as it is.
 *
 * Of the text itself, and not of what it means to JavaScript: a long number keeps its digits, a repeated key its values.
 */
export function prettyJson(text: string): string {
  if (!isJson(text)) return text;
  const parts = text.match(PARTS) ?? [];
  let level = 0;
  return parts
    .map((part, at) => {
      if (OPEN.has(part)) {
        level += 1;
        return CLOSE.has(parts[at + 1] ?? "") ? part : part + lineOf(level, level);
      }
      if (CLOSE.has(part)) {
        level -= 1;
        return OPEN.has(parts[at - 1] ?? "") ? part : lineOf(level + 1, level) + part;
      }
      if (part === ",") return part + (lineOf(level, level) || " ");
      return part === ":" ? ": " : part;
    })
    .join("");
}

const OPEN: ReadonlySet<string> = new Set(["{", "["]);
const CLOSE: ReadonlySet<string> = new Set(["}", "]"]);

/** A new line with its indent; none in what is `level` deep, if that is too deep. */
function lineOf(level: number, indent: number): string {
  return level > MOST_LEVELS ? "" : `\n${"  ".repeat(indent)}`;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const PIECES = /("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|\b(true|false|null)\b/g;

/** Cut JSON text into coloured pieces; joined again they are the text itself. */
export function jsonTokens(text: string): Token[] {
  const tokens: Token[] = [];
  let end = 0;
  for (const match of text.matchAll(PIECES)) {
    if (match.index > end) tokens.push({ kind: "plain", text: text.slice(end, match.index) });
    const [whole, quoted, colon, digits] = match;
    if (quoted !== undefined && colon !== undefined) {
      tokens.push({ kind: "key", text: quoted }, { kind: "plain", text: colon });
    } else if (quoted !== undefined) {
      tokens.push({ kind: "string", text: quoted });
    } else {
      tokens.push({ kind: digits === undefined ? "word" : "number", text: whole });
    }
    end = match.index + whole.length;
  }
  if (end < text.length) tokens.push({ kind: "plain", text: text.slice(end) });
  return tokens;
}
