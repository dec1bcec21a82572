// Icons: lines of one width on a grid of 20, drawn for these pages. They say nothing by themselves; the text beside them does.

const PATHS = {
  today: "M3 10a7 7 0 1 0 14 0a7 7 0 1 0-14 0M10 6v4.2l2.8 1.8",
  accounts: "M3 6.5h14v10H3zM6 6.5V4h8v2.5M3 10.5h14M9 13.5h2",
  readers: "M2 10s3-5.5 8-5.5S18 10 18 10s-3 5.5-8 5.5S2 10 2 10zM7.7 10a2.3 2.3 0 1 0 4.6 0a2.3 2.3 0 1 0-4.6 0",
  sessions: "M2.5 4h11v8.5h-11zM5 15.5h6M13.5 7.5h4v8.5h-4z",
  security: "M10 2.5l6 2.2v4.6c0 3.8-2.5 6.6-6 8.2c-3.5-1.6-6-4.4-6-8.2V4.7z",
  key: "M3.5 13.2a3.3 3.3 0 1 0 6.6 0a3.3 3.3 0 1 0-6.6 0M9.2 10.9L16.5 3.6M13 7.1l2.6 2.6M15.4 4.7l1.6 1.6",
  activity: "M3 5h2M3 10h2M3 15h2M8 5h9M8 10h9M8 15h9",
  people:
    "M4.7 7a2.8 2.8 0 1 0 5.6 0a2.8 2.8 0 1 0-5.6 0M2 16.5c.4-3.2 2.5-5 5.5-5s5.1 1.8 5.5 5M12.5 4.4a2.8 2.8 0 0 1 0 5.2M15 12.2c1.7.8 2.7 2.2 3 4.3",
  providers: "M3 4h14v5H3zM3 11h14v5H3zM6 6.5h.01M6 13.5h.01",
  trouble: "M3 3v14h14M6 13l3-4l3 2l4.5-6",
  person: "M6.8 6.8a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0-6.4 0M3.5 17c.5-3.7 3-5.7 6.5-5.7s6 2 6.5 5.7",
  more: "M4.5 10h.01M10 10h.01M15.5 10h.01",
  check: "M4 10.5l4 4l8-9",
  cross: "M5 5l10 10M15 5L5 15",
  warning: "M10 3l8 14H2zM10 8.2v4M10 14.6h.01",
  stop: "M7 2.5h6l4.5 4.5v6L13 17.5H7L2.5 13V7zM10 6.2v4.6M10 13.6h.01",
  info: "M3 10a7 7 0 1 0 14 0a7 7 0 1 0-14 0M10 9.2v4.2M10 6.5h.01",
  pause: "M7 4v12M13 4v12",
  open: "M3 11l3 0l2.5-5l3.5 9l2.5-4H17",
  copy: "M7 7h9.5v9.5H7zM13 7V3.5H3.5V13H7",
  print: "M6 7.5v-4h8v4M6 13.5H3v-6h14v6h-3M6 11.5h8v5H6z",
  eye: "M2 10s3-5.5 8-5.5S18 10 18 10s-3 5.5-8 5.5S2 10 2 10zM7.7 10a2.3 2.3 0 1 0 4.6 0a2.3 2.3 0 1 0-4.6 0",
  eyeOff:
    "M3 3l14 14M8 4.8c.6-.2 1.3-.3 2-.3c5 0 8 5.5 8 5.5a14 14 0 0 1-2.4 3M5.2 6.2A13.5 13.5 0 0 0 2 10s3 5.5 8 5.5c1.3 0 2.4-.3 3.4-.8",
  down: "M5 7.5l5 5l5-5",
  plus: "M10 4v12M4 10h12",
  search: "M3.5 8.7a5.2 5.2 0 1 0 10.4 0a5.2 5.2 0 1 0-10.4 0M12.6 12.6L17 17",
  out: "M8 4.5H4.5v11h11V12M11.5 3.5h5v5M16 4L9.5 10.5",
  download: "M10 3v9.5M6 9l4 4l4-4M3.5 16.5h13",
} as const;

/** The name of an icon. */
export type IconName = keyof typeof PATHS;

/** An icon beside a text; readers of screens do not hear of it. */
export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 20 20"
      fill="none"
      stroke="currentColor"
      strokeWidth={name === "more" ? 2.5 : 1.6}
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
