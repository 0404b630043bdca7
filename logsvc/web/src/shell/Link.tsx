import type { MouseEvent, ReactNode } from "react";

import { keepEnvs, useEnvs } from "./envs.ts";
import { addressOf, navigate } from "./router.ts";

interface LinkProps {
  path: string;
  search?: string;
  className?: string;
  isCurrent?: boolean;
  title?: string;
  /** The address is whole as it is: the environments chosen now are not added to it. */
  isWhole?: boolean;
  children: ReactNode;
}

/** A link to a page of Tocsin, in the environments chosen now: a true link for a middle click, without a reload for a plain one. */
export function Link(props: LinkProps): ReactNode {
  const { path, className, isCurrent = false, title, isWhole = false, children } = props;
  const envs = useEnvs();
  const search = isWhole ? (props.search ?? "") : keepEnvs(props.search ?? "", envs);
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
