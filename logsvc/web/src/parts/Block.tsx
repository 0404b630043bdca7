import type { ReactNode } from "react";

/** A titled text as it was written: a message, an error, a stack. */
export function Block({ title, text, tone }: { title: string; text: string; tone?: "bad" }): ReactNode {
  return (
    <section className="block" data-tone={tone}>
      <h3>{title}</h3>
      <pre dir="auto">{text}</pre>
    </section>
  );
}
