import { useEffect, useId, useRef, type ReactNode } from "react";

import { ApiError } from "../api/client.ts";

interface ConfirmDialogProps {
  title: string;
  /** What the button does, with its exact number: "Retry 412 jobs"; null while there is nothing to confirm. */
  verb: string | null;
  isDanger?: boolean;
  /** It is being done: the dialog stays until that is told. */
  isBusy: boolean;
  isDone: boolean;
  error: Error | null;
  confirm: () => void;
  close: () => void;
  /** Shown instead of the button, where what is to be confirmed could not be learnt. */
  tryAgain?: (() => void) | undefined;
  children: ReactNode;
}

/** Asks before something is done to what others rely on: what, how many, and what follows from it. */
export function ConfirmDialog(props: ConfirmDialogProps): ReactNode {
  const { title, verb, isDanger = false, isBusy, isDone, error, confirm, close, tryAgain, children } = props;
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    const opened = dialog.current;
    opened?.showModal();
    return () => opened?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      className="action-dialog"
      data-testid="action-dialog"
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault();
        if (!isBusy) close();
      }}
      onPointerDown={(event) => event.target === event.currentTarget && !isBusy && close()}
    >
      <h2 id={titleId}>{isDone ? title.replace(/\?$/u, "") : title}</h2>
      <div className="action-body" role="status">
        {children}
        {error && (
          <p className="action-error" role="alert">
            {error.message}.{error instanceof ApiError && error.mend !== "" && ` ${error.mend}.`}
          </p>
        )}
      </div>
      <div className="action-buttons">
        <button type="button" className="button" disabled={isBusy} onClick={close}>
          {isDone ? "Close" : "Cancel"}
        </button>
        {verb !== null && !isDone && (
          <button
            type="button"
            className="button button-go"
            data-danger={isDanger}
            data-testid="action-confirm"
            disabled={isBusy}
            onClick={confirm}
          >
            {isBusy ? "Working…" : error ? "Send it again" : verb}
          </button>
        )}
        {tryAgain && (
          <button type="button" className="button" onClick={tryAgain}>
            Try again
          </button>
        )}
      </div>
    </dialog>
  );
}
