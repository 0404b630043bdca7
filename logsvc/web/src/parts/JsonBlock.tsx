import { useMemo, type ReactNode } from "react";

import { jsonTokens, prettyJson } from "../format/json.ts";
import { cut } from "../format/text.ts";
import { CopyButton } from "./CopyButton.tsx";

/** Longer text is shown without colours: a node for every token would hold up the page. */
const COLOURED_CHARS = 50_000;
const SHOWN_CHARS = 500_000;

interface JsonBlockProps {
  title: string;
  text: string;
  canCopy?: boolean;
}

export function JsonBlock({ title, text, canCopy = false }: JsonBlockProps): ReactNode {
  const pretty = useMemo(() => cut(prettyJson(text), SHOWN_CHARS), [text]);
  return (
    <section className="block">
      <div className="block-head">
        <h3>{title}</h3>
        {canCopy && <CopyButton icon="copy" label="Copy" textOf={() => text} className="copy-small" />}
      </div>
      <pre>{pretty.length > COLOURED_CHARS ? pretty : <Coloured text={pretty} />}</pre>
    </section>
  );
}

function Coloured({ text }: { text: string }): ReactNode {
  return jsonTokens(text).map(({ kind, text: piece }, index) => {
    if (kind === "plain") return piece;
    return (
      // Tokens have no identity but their place.
      // oxlint-disable-next-line react/no-array-index-key
      <span key={index} className={`json-${kind}`}>
        {piece}
      </span>
    );
  });
}
