import { useEffectEvent, useLayoutEffect, useRef, type ReactNode } from "react";

import { Icon } from "./icons.tsx";

interface DialogProps {
  /** Names it for a screen reader, and heads it unless `isBare`. */
  title: string;
  close: () => void;
  className?: string;
  isBare?: boolean;
  /** Something is being written: it stays open until that is told. */
  isBusy?: boolean;
  testId?: string;
  children: ReactNode;
}

/** A window over the page: the browser keeps the focus in it, and gives it back; Esc and a click beside it close it. */
export function Dialog({
  title,
  close,
  className = "",
  isBare = false,
  isBusy = false,
  testId,
  children,
}: DialogProps): ReactNode {
  const dialog = useRef<HTMLDialogElement>(null);
  // The second Esc in a row closes it, whatever was prevented.
  const closed = useEffectEvent(() => {
    if (dialog.current?.open) return;
    if (isBusy) dialog.current?.showModal();
    else close();
  });
  // Not useEffect: its end is after the element has gone, when the browser gives the focus back no more.
  useLayoutEffect(() => {
    const opened = dialog.current;
    opened?.showModal();
    // A field that takes the focus would bring up the keyboard, over what the window is to show.
    if (matchMedia("(pointer: coarse)").matches) opened?.focus();
    opened?.addEventListener("close", closed);
    return () => {
      opened?.removeEventListener("close", closed);
      opened?.close();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      tabIndex={-1}
      className={`dialog ${className}`}
      data-testid={testId}
      aria-label={title}
      onCancel={(event) => isBusy && event.preventDefault()}
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
