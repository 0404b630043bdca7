import { useEffect, useState, type ReactNode } from "react";

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
  useEffect(() => {
    if (told === "") return undefined;
    const timer = setTimeout(() => setTold(""), TOLD_MS);
    return () => clearTimeout(timer);
  }, [told]);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(textOf());
      setTold("Copied");
    } catch {
      // Browsers forbid the clipboard to pages without TLS.
      setTold("Could not copy");
    }
  };
  return (
    <button type="button" className={className} onClick={() => void copy()}>
      <Icon name={told === "Copied" ? "check" : icon} />
      <span aria-live="polite">{told || label}</span>
    </button>
  );
}
