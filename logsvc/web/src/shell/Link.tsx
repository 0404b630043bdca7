import type { MouseEvent, ReactNode } from "react";

import { addressOf, navigate } from "./router.ts";

interface LinkProps {
  path: string;
  search?: string;
  className?: string;
  isCurrent?: boolean;
  title?: string;
  children: ReactNode;
}

/** A link to a page of Tocsin: a true link for a middle click, without a reload for a plain one. */
export function Link({ path, search = "", className, isCurrent = false, title, children }: LinkProps): ReactNode {
  const follow = (event: MouseEvent): void => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(path, search);
  };
  return (
    <a
      href={addressOf(path, search)}
      className={className}
      title={title}
      aria-current={isCurrent ? "page" : undefined}
      onClick={follow}
    >
      {children}
    </a>
  );
}
