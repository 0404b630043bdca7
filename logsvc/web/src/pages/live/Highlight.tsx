import type { ReactNode } from "react";

import { splitHits } from "../../format/text.ts";
import { termsOf } from "../../live/search.ts";

/** Text with the hits of a search marked; text nodes only, whatever the text holds. */
export function Highlight({ text, needle }: { text: string; needle: string }): ReactNode {
  if (needle === "") return text;
  const needles = termsOf(needle).flatMap((term) => (term.isWanted ? [term.text] : []));
  return splitHits(text, needles).map((piece, index) =>
    // Pieces have no identity but their place.
    // oxlint-disable-next-line react/no-array-index-key
    index % 2 === 1 ? <mark key={index}>{piece}</mark> : piece,
  );
}
