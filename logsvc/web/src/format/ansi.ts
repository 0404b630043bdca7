/** The sixteen colours of a terminal, by name; a theme says how each looks. */
export const ANSI_COLOURS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"] as const;
export type AnsiColour = (typeof ANSI_COLOURS)[number];

/** A stretch of text in one style. */
export interface AnsiPiece {
  text: string;
  colour: AnsiColour | "";
  isBold: boolean;
  isDim: boolean;
  isUnderlined: boolean;
}

type Style = Omit<AnsiPiece, "text">;

const PLAIN: Style = { colour: "", isBold: false, isDim: false, isUnderlined: false };

/** ESC [ … letter, of its parameters and letter. Only what ends in "m" is a style; the others move a cursor. */
// oxlint-disable-next-line no-control-regex
export const CODE = /\u001B\[([0-9;?]*)[ -/]*([@-~])/g;

/** Cut terminal text into styled pieces. Other codes are left out; text nodes may hold any text. */
export function ansiPieces(text: string): AnsiPiece[] {
  const pieces: AnsiPiece[] = [];
  let style = PLAIN;
  let end = 0;
  const add = (upTo: number): void => {
    if (upTo > end) pieces.push({ text: text.slice(end, upTo), ...style });
  };
  for (const match of text.matchAll(CODE)) {
    add(match.index);
    end = match.index + match[0].length;
    if (match[2] === "m") style = styleAfter(style, match[1] ?? "");
  }
  add(text.length);
  return pieces;
}

function styleAfter(before: Style, codes: string): Style {
  let style = before;
  const numbers = codes.split(";").map(Number);
  for (let index = 0; index < numbers.length; index += 1) {
    const code = numbers[index] ?? 0;
    if (code === 38 || code === 48) {
      const is256 = numbers[index + 1] === 5;
      if (is256 && code === 38) style = { ...style, colour: colourOf256(numbers[index + 2] ?? 0) };
      index += is256 ? 2 : 4;
    } else style = styleOf(style, code);
  }
  return style;
}

function styleOf(style: Style, code: number): Style {
  if (code === 0) return PLAIN;
  if (code === 1) return { ...style, isBold: true };
  if (code === 2) return { ...style, isDim: true };
  if (code === 4) return { ...style, isUnderlined: true };
  if (code === 22) return { ...style, isBold: false, isDim: false };
  if (code === 24) return { ...style, isUnderlined: false };
  if (code === 39) return { ...style, colour: "" };
  if (code === 90) return { ...style, colour: "", isDim: true };
  const colour = ANSI_COLOURS[code >= 90 ? code - 90 : code - 30];
  return colour === undefined || code < 30 ? style : { ...style, colour };
}

/** The eight of the first sixteen; of the other 240 none is near enough to be sure to be readable. */
function colourOf256(number: number): AnsiColour | "" {
  return number < 16 ? (ANSI_COLOURS[number % 8] ?? "") : "";
}
