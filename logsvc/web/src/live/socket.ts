import type { Params } from "../api/client.ts";
import { backoffMs } from "./backoff.ts";
import { parseFrame, type ToldFrame } from "./frames.ts";

export type { Params } from "../api/client.ts";

export interface ChannelEvents {
  onText(text: string): void;
  /** Called once when the channel ended or could not be opened. */
  onClose(): void;
}

/** An open WebSocket or EventSource. */
export interface Channel {
  /** false when this channel cannot carry messages to the server. */
  send(text: string): boolean;
  close(): void;
}

export type OpenChannel = (params: Params, events: ChannelEvents) => Channel;
export type Via = "websocket" | "sse";

export type ConnectionState =
  | { status: "connecting" }
  | { status: "live"; via: Via }
  /** Open, but nothing was heard since `since` (ms), although the server pings every 10 s. */
  | { status: "stale"; since: number }
  /** `retryAt` in ms of the clock; `attempt` is 1 after the first loss. */
  | { status: "reconnecting"; retryAt: number; attempt: number }
  /** The server does not take what we ask for, and says why; nothing happens before something else is asked. */
  | { status: "refused"; detail: string }
  | { status: "stopped" };

/** Time, as the connection needs it; a test brings its own. */
export interface Clock {
  now(): number;
  later(run: () => void, ms: number): () => void;
}

export interface ConnectionOptions {
  open: Readonly<Record<Via, OpenChannel>>;
  clock: Clock;
  /** In [0, 1). */
  random: () => number;
  onFrame(frame: ToldFrame): void;
  onState(state: ConnectionState): void;
}

const HELLO_DEADLINE_MS = 10_000;
const STALE_AFTER_MS = 20_000;
/** A line that stays silent this long is dead (a NAT forgot it): leave it and come back. */
const DEAD_AFTER_MS = 35_000;
/** A connection that lived this long was a good one: the next loss starts again with a short wait. */
const GOOD_AFTER_MS = 5_000;
const WEBSOCKET_TRIES = 2;
/** While server-sent events carry the tail, a WebSocket is tried beside it so often. */
const PROBE_EVERY_MS = 300_000;

/**
 * Keeps one live channel open for ever: WebSocket first, server-sent events when two WebSockets in a row said no hello.
 *
 * Remembers the cursor of the last frame and resumes after it, so a reconnect leaves no hole. Never gives up, but stops
 * while the server refuses what is asked.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  #params: Params = {};
  #state: ConnectionState = { status: "stopped" };
  #channel: Channel | null = null;
  /** Tells the events of the current channel from those of one we left. */
  #generation = 0;
  #via: Via = "websocket";
  #websocketFailures = 0;
  #attempt = 0;
  /** The position to resume after; empty before the first hello. */
  #cursor = "";
  /** The position that was to be resumed after could not be read: the next hello begins after a hole. */
  #isCursorLost = false;
  #liveSince: number | null = null;
  #isHidden = false;
  #cancelTimer: () => void = () => {};
  #cancelProbe: () => void = () => {};

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  start(params: Params): void {
    this.#params = params;
    if (this.#state.status === "stopped") this.#connect();
  }

  /** Change what is asked for, on the open channel if it can carry that. */
  setParams(params: Params): void {
    this.#params = params;
    if (this.#state.status === "stopped") return;
    const isOpen = this.#state.status === "live" || this.#state.status === "stale";
    if (isOpen && this.#channel?.send(JSON.stringify({ type: "filter", ...params }))) return;
    if (this.#state.status === "reconnecting") return;
    this.#connect();
  }

  /** Nobody looks at the page, or somebody does again: the server sends less meanwhile. Server-sent events cannot say. */
  setHidden(isHidden: boolean): void {
    if (isHidden === this.#isHidden) return;
    this.#isHidden = isHidden;
    if (this.#liveSince !== null) this.#sayHidden();
  }

  /** Do not wait for the next try: the network is back, or someone pressed the button. */
  retryNow(): void {
    if (this.#state.status === "reconnecting" || this.#state.status === "stale") this.#connect();
  }

  #connect(): void {
    this.#leave();
    const generation = this.#generation;
    this.#liveSince = null;
    this.#setState({ status: "connecting" });
    this.#timer(HELLO_DEADLINE_MS, () => this.#lost());
    const params = this.#cursor === "" ? this.#params : { ...this.#params, after: this.#cursor };
    this.#channel = this.#options.open[this.#via](params, {
      onText: (text) => {
        if (generation === this.#generation) this.#heard(text);
      },
      onClose: () => {
        if (generation === this.#generation) this.#lost();
      },
    });
  }

  #heard(text: string): void {
    const frame = parseFrame(text);
    this.#watchSilence();
    if (frame === null) return;
    if (frame.type === "error") {
      this.#refused(frame.detail);
      return;
    }
    if ((frame.type === "rows" || frame.type === "ping") && frame.cursor !== "") this.#cursor = frame.cursor;
    // After a resume the rows in between are still to come: hello's own position would skip them at the next loss.
    if (frame.type === "hello" && this.#cursor === "") this.#cursor = frame.cursor;
    if (frame.type === "hello" && this.#isHidden) this.#sayHidden();
    if (this.#state.status !== "live") {
      if (this.#liveSince === null && this.#via === "sse") this.#probeLater();
      this.#liveSince ??= this.#options.clock.now();
      if (this.#via === "websocket") this.#websocketFailures = 0;
      this.#setState({ status: "live", via: this.#via });
    }
    this.#options.onFrame(frame);
    if (frame.type === "hello" && this.#isCursorLost) {
      this.#isCursorLost = false;
      this.#options.onFrame({ type: "gap", count: null });
    }
  }

  #sayHidden(): void {
    this.#channel?.send(JSON.stringify({ type: this.#isHidden ? "hidden" : "visible" }));
  }

  #refused(detail: string): void {
    if (this.#liveSince === null && this.#cursor !== "") {
      // Perhaps it is the position that this server cannot read: ask once more without.
      this.#cursor = "";
      this.#isCursorLost = true;
      this.#lost();
      return;
    }
    this.#leave();
    this.#setState({ status: "refused", detail });
  }

  #watchSilence(): void {
    const since = this.#options.clock.now();
    this.#timer(STALE_AFTER_MS, () => {
      this.#setState({ status: "stale", since });
      this.#timer(DEAD_AFTER_MS - STALE_AFTER_MS, () => this.#lost());
    });
  }

  #lost(): void {
    const { clock, random } = this.#options;
    if (this.#liveSince === null) this.#chooseAnother();
    else if (clock.now() - this.#liveSince >= GOOD_AFTER_MS) this.#attempt = 0;
    this.#leave();
    this.#attempt += 1;
    const wait = backoffMs(this.#attempt, random);
    this.#setState({ status: "reconnecting", retryAt: clock.now() + wait, attempt: this.#attempt });
    this.#timer(wait, () => this.#connect());
  }

  /** No hello came: the other way in may be open. */
  #chooseAnother(): void {
    if (this.#via === "sse") {
      this.#via = "websocket";
      this.#websocketFailures = 0;
      return;
    }
    this.#websocketFailures += 1;
    if (this.#websocketFailures >= WEBSOCKET_TRIES) this.#via = "sse";
  }

  /** Perhaps the WebSockets failed because the server was starting: go back to them once one gets through. */
  #probeLater(): void {
    this.#cancelProbe = this.#options.clock.later(() => {
      this.#cancelProbe();
      const probe = this.#options.open.websocket(this.#params, {
        onText: () => {
          this.#via = "websocket";
          this.#connect();
        },
        onClose: () => {},
      });
      this.#probeLater();
      const cancelNext = this.#cancelProbe;
      this.#cancelProbe = () => {
        cancelNext();
        probe.close();
      };
    }, PROBE_EVERY_MS);
  }

  #leave(): void {
    this.#generation += 1;
    this.#cancelTimer();
    this.#cancelProbe();
    this.#channel?.close();
    this.#channel = null;
  }

  #timer(ms: number, run: () => void): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#options.clock.later(run, ms);
  }

  #setState(state: ConnectionState): void {
    this.#state = state;
    this.#options.onState(state);
  }
}
