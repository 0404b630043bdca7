import type { ReactNode } from "react";

import { csvOf } from "../format/csv.ts";
import { Icon } from "../shell/icons.tsx";

/** A button that makes a file of the rows that are shown just now, as the API tells them. name: of the file. */
export function TableExport({ name, rows }: { name: string; rows: readonly object[] }): ReactNode {
  const save = (): void => {
    const href = URL.createObjectURL(new Blob([csvOf(rows)], { type: "text/csv" }));
    const link = Object.assign(document.createElement("a"), { href, download: `${name}.csv` });
    link.click();
    URL.revokeObjectURL(href);
  };
  return (
    <button
      type="button"
      className="button"
      data-testid="table-export"
      disabled={rows.length === 0}
      title="What is shown here, as CSV"
      onClick={save}
    >
      <Icon name="down" />
      CSV
    </button>
  );
}
