import { useEffect } from "react";

const BADGE = /^\(\d+\) /u;

/** The title with the number before it; without, where it is 0. */
export function withBadge(title: string, number: number): string {
  const plain = title.replace(BADGE, "");
  return number > 0 ? `(${number}) ${plain}` : plain;
}

/** Keep a number before the title of the document, whoever writes the title. */
export function useTitleBadge(number: number): void {
  useEffect(() => {
    const title = document.querySelector("title");
    if (title === null) return undefined;
    const apply = (): void => {
      const wanted = withBadge(document.title, number);
      if (document.title !== wanted) document.title = wanted;
    };
    apply();
    const watcher = new MutationObserver(apply);
    watcher.observe(title, { childList: true });
    return () => watcher.disconnect();
  }, [number]);
}
