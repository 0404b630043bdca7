import { useEffect, type RefObject } from "react";

/** Places are remembered of so many addresses. */
const MOST = 100;
/** So long the rows of a page that somebody comes back to may take to be there. */
const RESTORE_MS = 2_000;

/** Back and Forward lead to where a page was left, not to its top. The page's scroller is the last child of `main`. */
export function useScrollMemory(main: RefObject<HTMLElement | null>): void {
  useEffect(() => {
    const tops = new Map<string, number>();

    const note = ({ target }: Event): void => {
      if (!(target instanceof HTMLElement) || target !== main.current?.lastElementChild) return;
      tops.delete(location.href);
      tops.set(location.href, target.scrollTop);
      for (const oldest of tops.keys()) {
        if (tops.size <= MOST) break;
        tops.delete(oldest);
      }
    };

    const restore = (): void => {
      const { href } = location;
      const top = tops.get(href) ?? 0;
      const until = performance.now() + RESTORE_MS;
      const attempt = (): void => {
        if (location.href !== href || performance.now() > until) return;
        const scroller = main.current?.lastElementChild;
        // Heights are rounded, a place is not.
        if (scroller && scroller.scrollHeight - scroller.clientHeight >= top - 1) scroller.scrollTop = top;
        else requestAnimationFrame(attempt);
      };
      if (top > 0) requestAnimationFrame(attempt);
    };

    // A scroll event does not rise: it is caught on its way down.
    document.addEventListener("scroll", note, { capture: true, passive: true });
    addEventListener("popstate", restore);
    return () => {
      document.removeEventListener("scroll", note, { capture: true });
      removeEventListener("popstate", restore);
    };
  }, [main]);
}
