/** A piece of JSON text and what it is, for colouring. */
export interface Token {
  kind: "key" | "string" | "number" | "word" | "plain";
  text: string;
}

/** JSON text with indents; what is not JSON (a text that was cut) comes back as it is. */
export function prettyJson(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

const PIECES = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|\b(true|false|null)\b/g;

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
