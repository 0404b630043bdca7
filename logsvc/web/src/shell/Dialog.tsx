import { useEffect, useRef, type ReactNode } from "react";

import { Icon } from "./icons.tsx";

interface DialogProps {
  /** Names it for a screen reader, and heads it unless `isBare`. */
  title: string;
  close: () => void;
  className?: string;
  isBare?: boolean;
  /** Something is being written: it stays open until that is told. */
  isBusy?: boolean;
  children: ReactNode;
}

/** A window over the page: the browser keeps the focus in it, and gives it back; Esc and a click beside it close it. */
export function Dialog({
  title,
  close,
  className = "",
  isBare = false,
  isBusy = false,
  children,
}: DialogProps): ReactNode {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const opened = dialog.current;
    opened?.showModal();
    return () => opened?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      className={`dialog ${className}`}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        if (!isBusy) close();
      }}
      onPointerDown={(event) => event.target === event.currentTarget && !isBusy && close()}
    >
      {!isBare && (
        <div className="dialog-head">
          <h2>{title}</h2>
          <button type="button" className="icon-button" aria-label="Close" disabled={isBusy} onClick={close}>
            <Icon name="close" />
          </button>
        </div>
      )}
      {children}
    </dialog>
  );
}
