import { age, duration } from "../format/time.ts";
import type { ConnectionView } from "../live/tailView.ts";

/** The connection in words: `short` for the pill, `long` for its title and for a screen reader. */
export interface ConnectionText {
  tone: "good" | "waiting" | "bad";
  short: string;
  /** How far behind the rows are: "85 ms"; empty when that is not known now. */
  lag: string;
  long: string;
}

/** Lag is a fact about rows that came just now, and not about a quiet stream. */
const LAG_HOLDS_MS = 10_000;

/** now: ms since 1970. */
export function connectionText({ state, lagMs, rowsAt }: ConnectionView, now: number): ConnectionText {
  switch (state.status) {
    case "live": {
      const isFresh = lagMs !== null && rowsAt !== null && now - rowsAt < LAG_HOLDS_MS;
      const lag = isFresh ? duration(lagMs) : "";
      const via = state.via === "sse" ? " by server-sent events, because a WebSocket did not get through" : "";
      return { tone: "good", short: "Live", lag, long: `Connected${via}` };
    }
    case "stale": {
      const silence = age(now - state.since);
      return {
        tone: "waiting",
        short: `Silent for ${silence}`,
        lag: "",
        long: "Connected, but the server says nothing: what you see may be old",
      };
    }
    case "reconnecting": {
      const seconds = Math.max(0, Math.ceil((state.retryAt - now) / 1000));
      const long = `Connection lost, try ${state.attempt}. Press to try now`;
      return { tone: "bad", short: `Retry in ${seconds} s`, lag: "", long };
    }
    case "refused":
      return {
        tone: "bad",
        short: "Filter refused",
        lag: "",
        long: `Tocsin does not take this filter: ${state.detail}`,
      };
    case "connecting":
      return { tone: "waiting", short: "Connecting…", lag: "", long: "Opening the live connection" };
    case "stopped":
      return { tone: "waiting", short: "Not connected", lag: "", long: "The live connection is not open" };
  }
}
