import { createContext, use, useState, type ReactNode } from "react";

import { ActionDialog, type AskedAction } from "./ActionDialog.tsx";

const AskContext = createContext<((asked: AskedAction) => void) | null>(null);

/** Asks before an action; for what stands in a page that is in `Asking`. */
export function useAsk(): (asked: AskedAction) => void {
  const ask = use(AskContext);
  if (ask === null) throw new Error("no Asking around this component");
  return ask;
}

/** Around a page whose actions are asked for: the question outlives its button, which goes with what the action changes. */
export function Asking({ children }: { children: ReactNode }): ReactNode {
  const [asked, setAsked] = useState<AskedAction | null>(null);
  return (
    <AskContext value={setAsked}>
      {children}
      {asked && <ActionDialog asked={asked} close={() => setAsked(null)} />}
    </AskContext>
  );
}
