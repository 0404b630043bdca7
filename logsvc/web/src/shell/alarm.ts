import type { Incident } from "../api/incidents.ts";
import { Told } from "../live/told.ts";
import { offOrOn, Stored } from "./stored.ts";

const CHOSEN = {
  notify: new Stored("tocsin-notify", (text) => text === "on", offOrOn),
  sound: new Stored("tocsin-sound", (text) => text === "on", offOrOn),
} as const;

/** What this browser does on a new incident; nothing until somebody asks for it. */
export type AlarmKind = keyof typeof CHOSEN;

export function isAlarmOn(kind: AlarmKind): boolean {
  return CHOSEN[kind].get();
}

/** forbidden: by whoever uses this browser; impossible: this browser has no such thing. */
export type AlarmState = "on" | "off" | "forbidden" | "impossible";

/** Switch one on or off; returns what it is now. One that is switched on shows at once how it will be. */
export async function switchAlarm(kind: AlarmKind, isOn: boolean): Promise<AlarmState> {
  const state = isOn && kind === "notify" ? await tryToNotify() : isOn ? "on" : "off";
  CHOSEN[kind].choose(state === "on");
  if (state === "on" && kind === "sound") void ring();
  return state;
}

async function tryToNotify(): Promise<AlarmState> {
  if (!("Notification" in globalThis)) return "impossible";
  const isAllowed = Notification.permission === "granted" || (await Notification.requestPermission()) === "granted";
  if (!isAllowed) return "forbidden";
  return notify("Tocsin tells of new incidents like this", { tag: "tocsin-shown-how" }) ? "on" : "impossible";
}

/** Show a notification; null where there can be none. Chrome on Android lets pages ask for them, and then throws. */
function notify(title: string, options: NotificationOptions): Notification | null {
  try {
    return new Notification(title, options);
  } catch {
    return null;
  }
}

/** What names one occurrence of an incident: one that comes back is new again. */
export function occurrence({ id, episode }: Pick<Incident, "id" | "episode">): string {
  return `${id}.${episode}`;
}

/** Those that were not there before; at the first look nothing is new. */
export function newOnes(unheeded: readonly Incident[], known: ReadonlySet<string> | null): Incident[] {
  return known === null ? [] : unheeded.filter((incident) => !known.has(occurrence(incident)));
}

/** Tell of new incidents as this browser was asked to. open: called with the one that was clicked. */
export function tell(incidents: readonly Incident[], open: (incident: Incident) => void): void {
  const [first] = incidents;
  if (first === undefined) return;
  if (isAlarmOn("sound")) void ring();
  if (!isAlarmOn("notify") || !("Notification" in globalThis) || Notification.permission !== "granted") return;
  const more = incidents.length > 1 ? ` and ${incidents.length - 1} more` : "";
  const shown = notify(`${first.env} · ${first.queue}: ${first.title}${more}`, {
    body: first.error.slice(0, 200),
    tag: `tocsin-${occurrence(first)}`,
  });
  shown?.addEventListener("click", () => {
    focus();
    open(first);
    shown.close();
  });
}

const RESUME_MS = 1_000;
const isSoundBlocked = new Told(false);

/** For useSyncExternalStore: whether it should have rung, and the browser made no sound. */
export const soundBlock = {
  subscribe: isSoundBlocked.subscribe,
  get: isSoundBlocked.get,
  /** Somebody has touched the page: from now on it may. */
  clear: () => isSoundBlocked.get() && isSoundBlocked.set(false),
};

/** Two strokes of a bell, made here: no file, no other site. */
async function ring(): Promise<void> {
  const context = new AudioContext();
  // A page that nobody has touched since it was loaded makes no sound in most browsers: resume() then waits for ever.
  await Promise.race([
    context.resume().catch(() => {}),
    new Promise((resume) => {
      setTimeout(resume, RESUME_MS);
    }),
  ]);
  isSoundBlocked.set(context.state !== "running");
  if (isSoundBlocked.get()) {
    void context.close();
    return;
  }
  for (const [at, pitch] of [
    [0, 880],
    [0.28, 660],
  ] as const) {
    const tone = context.createOscillator();
    const volume = context.createGain();
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0.25, context.currentTime + at);
    volume.gain.exponentialRampToValueAtTime(0.001, context.currentTime + at + 0.6);
    tone.connect(volume).connect(context.destination);
    tone.start(context.currentTime + at);
    tone.stop(context.currentTime + at + 0.65);
  }
  setTimeout(() => void context.close(), 1_500);
}
