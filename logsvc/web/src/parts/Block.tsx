import type { ReactNode } from "react";

import { Ansi } from "./Ansi.tsx";

/** A titled text as it was written: a message, an error, a stack; in the colours it was given. */
export function Block({ title, text, tone }: { title: string; text: string; tone?: "bad" }): ReactNode {
  return (
    <section className="block" data-tone={tone}>
      <h3>{title}</h3>
      <pre dir="auto">
        <Ansi text={text} />
      </pre>
    </section>
  );
}
