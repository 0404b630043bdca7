import { useEffect, useRef, useState, type ReactNode } from "react";

import { Icon, type IconName } from "../shell/icons.tsx";

const TOLD_MS = 1_600;

interface CopyButtonProps {
  icon: IconName;
  label: string;
  textOf: () => string;
  className?: string;
}

/** Puts a text on the clipboard and says whether that went well. */
export function CopyButton({ icon, label, textOf, className = "button" }: CopyButtonProps): ReactNode {
  const [told, setTold] = useState<"" | "Copied" | "Could not copy">("");
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (told === "") return undefined;
    const timer = setTimeout(() => setTold(""), TOLD_MS);
    return () => clearTimeout(timer);
  }, [told]);
  const copy = async (): Promise<void> => {
    setTold((await isCopied(textOf(), button.current)) ? "Copied" : "Could not copy");
  };
  return (
    <button
      type="button"
      ref={button}
      className={className}
      title={told === "Could not copy" ? "Your browser does not allow it. Over HTTPS it does" : undefined}
      onClick={() => void copy()}
    >
      <Icon name={told === "Copied" ? "check" : icon} />
      <span aria-live="polite">{told || label}</span>
    </button>
  );
}

/** Browsers give the clipboard to pages with TLS; on others the old way is left: copy what is selected. */
async function isCopied(text: string, button: HTMLElement | null): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return isSelectionCopied(text, button);
  }
}

function isSelectionCopied(text: string, button: HTMLElement | null): boolean {
  const area = Object.assign(document.createElement("textarea"), { value: text, readOnly: true });
  area.className = "visually-hidden";
  // Beside the button: in an open dialog nothing else can be selected.
  button?.after(area);
  area.select();
  try {
    // oxlint-disable-next-line typescript/no-deprecated
    return document.execCommand("copy");
  } finally {
    area.remove();
    button?.focus();
  }
}
