import type { ReactNode } from "react";

import type { ActionWish } from "../api/actions.ts";
import { useMe } from "../api/me.ts";
import { NOT_ALLOWED, verbOf } from "./actionWords.ts";
import { useAsk } from "./Asking.tsx";

interface ActionButtonProps {
  /** As a function: made when it is asked for, with the time of then. */
  wish: ActionWish | (() => ActionWish);
  env: string | undefined;
  /** Instead of the action's own word. */
  label?: string;
  note?: string;
  className?: string;
}

/** A button that asks before it does something; who may not is told what it takes. */
export function ActionButton({ wish, env, label, note = "", className = "button" }: ActionButtonProps): ReactNode {
  const { data: me } = useMe();
  const ask = useAsk();
  const isAllowed = me !== undefined && me.role !== "viewer";
  const makeWish = (): ActionWish => (typeof wish === "function" ? wish() : wish);
  const { action } = makeWish();
  return (
    <button
      type="button"
      className={className}
      data-testid={`action-${action}`}
      disabled={!isAllowed}
      title={me && !isAllowed ? NOT_ALLOWED : undefined}
      onClick={() => ask({ wish: makeWish(), env, note })}
    >
      {label ?? verbOf(action)}
    </button>
  );
}
