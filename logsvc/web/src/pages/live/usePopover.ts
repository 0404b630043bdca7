import { useEffect, useRef, useState, type RefObject } from "react";

/** A list that opens below its button: a press elsewhere and Esc close it, and Esc gives the focus back. */
export function usePopover(): {
  root: RefObject<HTMLDivElement | null>;
  isOpen: boolean;
  setOpen: (isOpen: boolean) => void;
} {
  const [isOpen, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!isOpen) return undefined;
    const leave = (event: PointerEvent): void => {
      if (event.target instanceof Node && !root.current?.contains(event.target)) setOpen(false);
    };
    const escape = (event: KeyboardEvent): void => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      setOpen(false);
      root.current?.querySelector("button")?.focus();
    };
    document.addEventListener("pointerdown", leave);
    // Before the page's own keys: this Escape is for the list alone.
    document.addEventListener("keydown", escape, { capture: true });
    return () => {
      document.removeEventListener("pointerdown", leave);
      document.removeEventListener("keydown", escape, { capture: true });
    };
  }, [isOpen]);
  return { root, isOpen, setOpen };
}
