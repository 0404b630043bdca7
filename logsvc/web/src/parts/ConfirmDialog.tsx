import type { ReactNode } from "react";

import type { Progress } from "../api/client.ts";
import { mayPass } from "../api/patience.ts";
import { Dialog } from "../shell/Dialog.tsx";
import { EnvBadge } from "../shell/EnvBadge.tsx";
import { ActionError } from "./ActionError.tsx";
import { Working } from "./Working.tsx";

interface ConfirmDialogProps {
  title: string;
  /** Where it is done, before people's eyes; left out where it is in several places, or in none. */
  where?: { env: string | undefined; source: string };
  /** What the button does, with its exact number: "Retry 412 jobs"; null while there is nothing to confirm. */
  verb: string | null;
  isDanger?: boolean;
  /** It is being done: the dialog stays until that is told. */
  isBusy: boolean;
  /** How far it is; left out where that is said in what stands in the dialog. */
  progress?: Progress | null | undefined;
  isDone: boolean;
  error: Error | null;
  confirm: () => void;
  close: () => void;
  /** Shown instead of the button, where what is to be confirmed could not be learnt. */
  tryAgain?: (() => void) | undefined;
  testId?: string;
  children: ReactNode;
}

/** Asks before something is done to what others rely on: what, where, how many, and what follows from it. */
export function ConfirmDialog(props: ConfirmDialogProps): ReactNode {
  const { title, where, verb, isDanger = false, isBusy, isDone, error, confirm, close, tryAgain, children } = props;
  const canHelp = error === null || mayPass(error);
  return (
    <Dialog
      title={isDone ? title.replace(/\?$/u, "") : title}
      close={close}
      isBusy={isBusy}
      testId={props.testId ?? "action-dialog"}
    >
      <div className="dialog-body">
        {where && (
          <p className="with-badge quiet">
            <EnvBadge env={where.env} />
            <bdi>{where.source}</bdi>
          </p>
        )}
        <div className="dialog-words" role="status">
          {children}
          <ActionError error={error} />
        </div>
        {isBusy && props.progress !== undefined && <Working progress={props.progress} />}
        <div className="dialog-foot">
          <button type="button" className="button" disabled={isBusy} onClick={close}>
            {isDone ? "Done" : "Cancel"}
          </button>
          {verb !== null && !isDone && canHelp && (
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
          {tryAgain && canHelp && (
            <button type="button" className="button" onClick={tryAgain}>
              Try again
            </button>
          )}
        </div>
      </div>
    </Dialog>
  );
}
