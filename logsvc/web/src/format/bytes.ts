const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** "612 MB", "1.5 GB": in thousands, as disks and bills count. */
export function bytes(value: number): string {
  let size = value;
  let unit = 0;
  while (size >= 999.5 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${size < 9.95 && unit > 0 ? size.toFixed(1) : Math.round(size)} ${UNITS[unit] ?? ""}`;
}
