import type { ReactNode } from "react";

const PATHS = {
  auto: "M8 2.5a5.5 5.5 0 1 0 0 11v-11Z M8 2.5a5.5 5.5 0 0 1 0 11",
  light:
    "M8 5.25a2.75 2.75 0 1 0 0 5.5 2.75 2.75 0 0 0 0-5.5Z M8 1.5v1.5 M8 13v1.5 M1.5 8H3 M13 8h1.5 M3.4 3.4l1.06 1.06 M11.54 11.54l1.06 1.06 M3.4 12.6l1.06-1.06 M11.54 4.46l1.06-1.06",
  dark: "M13.2 9.6A5.6 5.6 0 0 1 6.4 2.8a5.6 5.6 0 1 0 6.8 6.8Z",
  pause: "M5.5 3.5v9 M10.5 3.5v9",
  play: "M5 3.5v9l7-4.5-7-4.5Z",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9Z M10.3 10.3l3.2 3.2",
  close: "M4 4l8 8 M12 4l-8 8",
  down: "M8 3v9.5 M4 8.8l4 4 4-4",
  chevron: "M4 6l4 4 4-4",
  copy: "M5.5 5.5h7v8h-7z M3.5 10.5v-8h7",
  link: "M6.8 9.2l2.4-2.4 M7.3 5.2l1.6-1.6a2.5 2.5 0 0 1 3.5 3.5l-1.6 1.6 M8.7 10.8l-1.6 1.6a2.5 2.5 0 0 1-3.5-3.5l1.6-1.6",
  check: "M3.5 8.5l3 3 6-7",
  up: "M4 10l4-4 4 4",
  lines: "M2.5 4h11 M2.5 8h11 M2.5 12h7",
  queue: "M2.5 3h11v3.5h-11z M2.5 9.5h11V13h-11z",
  warning: "M8 2.5l6 10.5H2z M8 6.8v2.8 M8 11.4v.1",
  bell: "M8 2.5c2.4 0 3.8 1.7 3.8 4 0 3 1.2 3.8 1.7 4.5h-11c.5-.7 1.7-1.5 1.7-4.5 0-2.3 1.4-4 3.8-4Z M6.5 13.2h3",
  more: "M3.5 8v.1 M8 8v.1 M12.5 8v.1",
} as const;

export type IconName = keyof typeof PATHS;

/** A small drawing beside words, or inside a button that has a label of its own. */
export function Icon({ name }: { name: IconName }): ReactNode {
  return (
    <svg className="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

export function Bell(): ReactNode {
  return (
    <svg className="bell" viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
      <path
        className="bell-body"
        d="M16 3a2 2 0 0 1 2 2v.7c4 .9 6.6 4.3 6.6 8.7 0 5.4 1.5 7.4 2.9 8.7.7.7.2 1.9-.8 1.9H5.3c-1 0-1.5-1.2-.8-1.9 1.4-1.3 2.9-3.3 2.9-8.7 0-4.4 2.6-7.8 6.6-8.7V5a2 2 0 0 1 2-2Z"
      />
      <path className="bell-clapper" d="M12.3 26.5h7.4a3.7 3.7 0 0 1-7.4 0Z" />
    </svg>
  );
}
