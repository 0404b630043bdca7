import { useState, type ReactNode } from "react";

import type { ActionWish } from "../api/actions.ts";
import { useMe } from "../api/me.ts";
import { ActionDialog } from "./ActionDialog.tsx";
import { verbOf } from "./actionWords.ts";

interface ActionButtonProps {
  wish: ActionWish;
  /** Instead of the action's own word. */
  label?: string;
  note?: string;
  className?: string;
}

const NOT_ALLOWED = "That needs the role operator. An admin can give it: /grant in Telegram";

/** A button that asks before it does something; who may not is told what it takes. */
export function ActionButton({ wish, label, note = "", className = "button" }: ActionButtonProps): ReactNode {
  const { data: me } = useMe();
  const [isAsking, setAsking] = useState(false);
  const isAllowed = me !== undefined && me.role !== "viewer";
  return (
    <>
      <button
        type="button"
        className={className}
        data-testid={`action-${wish.action}`}
        disabled={!isAllowed}
        title={me && !isAllowed ? NOT_ALLOWED : undefined}
        onClick={() => setAsking(true)}
      >
        {label ?? verbOf(wish.action)}
      </button>
      {isAsking && <ActionDialog wish={wish} note={note} close={() => setAsking(false)} />}
    </>
  );
}
