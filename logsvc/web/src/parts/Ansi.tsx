import type { ReactNode } from "react";

import { ansiPieces } from "../format/ansi.ts";

/** Text as a terminal would show it: colours as text nodes in spans, never markup. */
export function Ansi({ text }: { text: string }): ReactNode {
  if (!text.includes("\u001B")) return text;
  return ansiPieces(text).map(({ text: piece, colour, isBold, isDim, isUnderlined }, index) => (
    <span
      // Pieces have no identity but their place.
      // oxlint-disable-next-line react/no-array-index-key
      key={index}
      className={["ansi", isBold && "ansi-bold", isDim && "ansi-dim", isUnderlined && "ansi-under"]
        .filter(Boolean)
        .join(" ")}
      data-colour={colour || undefined}
    >
      {piece}
    </span>
  ));
}
