import type { Query, QueryClient } from "@tanstack/react-query";

import { backoffMs } from "./backoff.ts";
import { parseRefresh, termsOf, touches, type Refresh, type RefreshMeta } from "./refreshes.ts";
import type { Channel, Clock, OpenChannel } from "./socket.ts";

declare module "@tanstack/react-query" {
  interface Register {
    queryMeta: RefreshMeta;
  }
}

interface RefresherPorts {
  queries: QueryClient;
  open: OpenChannel;
  clock: Clock;
  /** In [0, 1). */
  random: () => number;
  /** Whether nobody looks: what changed then is asked for when somebody looks again. */
  isHidden: () => boolean;
}

const LEAST_MS = 1_000;
/** History is about a second behind; once more after a while, for when it was slower. */
const HISTORY_MS = 1_200;
const ONCE_MORE_MS = 3_500;
const POLL_MS = 10_000;
/** A connection that says nothing for so long may be dead without knowing it, as after a sleep. */
const QUIET_MS = 60_000;
/** An answer says how old it is: one that nothing changed since is asked for anew, so that it says so too. */
const OLD_MS = 60_000;
const ANSWER_MS = 5_000;
/** A connection that has not answered so long after it was begun hangs on its way: another is tried. */
const CONNECT_MS = 10_000;
const SUBSCRIBE_MS = 100;
const GOOD_AFTER_MS = 5_000;

/** When one query was asked last, and what is planned for it: soon after a change, or once more after that. */
interface Plan {
  askedAt: number;
  /** It changed while an answer was on its way, which may not know of it: to be asked once more. */
  isOwed: boolean;
  next: "none" | "soon" | "once more";
  cancel: () => void;
}

/**
 * Asks queries again when `/ws` says that what they tell of has changed: only those in use, at most once a second each.
 *
 * Where nothing is said to have changed, once a minute. While there is no connection all of them are asked every ten
 * seconds, and once when it is back: nothing is kept. One that says nothing at all is left if it does not answer either.
 */
export class Refresher {
  readonly #ports: RefresherPorts;
  readonly #plans = new Map<string, Plan>();
  #channel: Channel | null = null;
  #isOpen = false;
  #attempt = 0;
  #openedAt = 0;
  #heardAt = 0;
  /** When it was asked for a sign of life that did not come yet. */
  #probedAt: number | null = null;
  /** Which connection it is: what one that was left still says is not heard. */
  #turn = 0;
  /** Of the wait for the next connection, or for the answer of the one that is being made. */
  #cancelConnect: (() => void) | null = null;
  #subscribed = "";
  #cancelSubscribe: (() => void) | null = null;

  constructor(ports: RefresherPorts) {
    this.#ports = ports;
  }

  /** Connect, and stay so for as long as the page lives. */
  start(): void {
    this.#ports.queries.getQueryCache().subscribe(({ type, query }) => {
      if (type === "observerAdded" || type === "observerRemoved") this.#subscribeSoon();
      if (type === "removed") this.#forget(query.queryHash);
      if (type === "updated") this.#askOwed(query);
    });
    this.#connect();
    this.#poll();
  }

  /** It may be back, or dead, as when the network came or the machine woke: find out now. */
  check(): void {
    if (this.#isOpen) this.#probe();
    else this.#connectAnew();
  }

  #connect(): void {
    this.#turn += 1;
    const turn = this.#turn;
    const isOurs = (): boolean => turn === this.#turn;
    this.#openedAt = this.#ports.clock.now();
    this.#heardAt = this.#openedAt;
    this.#probedAt = null;
    this.#channel = this.#ports.open(
      {},
      { onText: (text) => isOurs() && this.#onText(text), onClose: () => isOurs() && this.#onClose() },
    );
    this.#subscribed = "";
    this.#subscribeSoon();
    this.#cancelConnect = this.#ports.clock.later(() => this.#giveUp(), CONNECT_MS);
  }

  /** No answer in time: as if it had closed. */
  #giveUp(): void {
    const left = this.#channel;
    this.#turn += 1;
    this.#onClose();
    left?.close();
  }

  /** Leave the connection there is, or the wait for the next. */
  #connectAnew(): void {
    this.#cancelConnect?.();
    const left = this.#channel;
    this.#isOpen = false;
    this.#connect();
    left?.close();
  }

  /** The answer to a subscription, were it the same, shows that somebody is there. */
  #probe(): void {
    this.#probedAt ??= this.#ports.clock.now();
    this.#subscribed = "";
    this.#subscribe();
  }

  #onText(text: string): void {
    this.#heardAt = this.#ports.clock.now();
    this.#probedAt = null;
    // The answer to our subscription is the first word: from here on changes are told.
    if (!this.#isOpen && text.includes('"done"')) {
      this.#isOpen = true;
      this.#cancelConnect?.();
      this.#askAll();
    }
    const refresh = parseRefresh(text);
    if (refresh !== null) this.#onRefresh(refresh);
  }

  #onClose(): void {
    const { clock, random } = this.#ports;
    if (this.#isOpen && clock.now() - this.#openedAt > GOOD_AFTER_MS) this.#attempt = 0;
    this.#isOpen = false;
    this.#channel = null;
    this.#attempt += 1;
    this.#cancelConnect?.();
    this.#cancelConnect = clock.later(() => this.#connect(), backoffMs(this.#attempt, random));
  }

  #poll(): void {
    const { clock } = this.#ports;
    clock.later(() => {
      const isQuiet = clock.now() - this.#heardAt >= QUIET_MS;
      if (this.#probedAt !== null && clock.now() - this.#probedAt >= ANSWER_MS) this.#connectAnew();
      else if (isQuiet && this.#isOpen) this.#probe();
      if (isQuiet || !this.#isOpen) this.#askAll();
      else this.#askOld();
      this.#poll();
    }, POLL_MS);
  }

  #onRefresh(refresh: Refresh): void {
    for (const query of this.#inUse()) {
      if (query.meta?.refreshedBy.some((dependence) => touches(refresh, dependence))) this.#touch(query);
    }
  }

  #touch(query: Query): void {
    const { clock } = this.#ports;
    const plan = this.#planOf(query);
    if (plan.next === "soon") return;
    plan.cancel();
    const now = clock.now();
    const isHistory = query.meta?.isHistory === true;
    const due = Math.max(now + (isHistory ? HISTORY_MS : 0), plan.askedAt + (query.meta?.leastMs ?? LEAST_MS));
    plan.next = "soon";
    plan.cancel = clock.later(() => {
      this.#ask(query, plan);
      if (!isHistory) return;
      plan.next = "once more";
      plan.cancel = clock.later(() => this.#ask(query, plan), ONCE_MORE_MS);
    }, due - now);
  }

  #planOf(query: Query): Plan {
    const plan = this.#plans.get(query.queryHash) ?? { askedAt: 0, isOwed: false, next: "none", cancel: () => {} };
    this.#plans.set(query.queryHash, plan);
    return plan;
  }

  #ask(query: Query, plan: Plan): void {
    plan.next = "none";
    plan.askedAt = this.#ports.clock.now();
    this.#invalidate(query);
  }

  #askAll(): void {
    for (const query of this.#inUse()) this.#invalidate(query);
  }

  /** Each at its own time, so that what was loaded together does not come in one rush each minute. */
  #askOld(): void {
    const { clock, random } = this.#ports;
    for (const query of this.#inUse()) {
      const { dataUpdatedAt, errorUpdatedAt } = query.state;
      const isOld = clock.now() - Math.max(dataUpdatedAt, errorUpdatedAt) >= OLD_MS;
      // What is over for good depends on nothing.
      if (!isOld || query.meta?.refreshedBy.length === 0) continue;
      clock.later(() => query.isActive() && this.#invalidate(query), random() * POLL_MS);
    }
  }

  #invalidate(query: Query): void {
    // To begin anew each time would never end where an answer takes longer than changes do.
    if (query.state.fetchStatus === "fetching") {
      this.#planOf(query).isOwed = true;
      return;
    }
    const { queryKey, meta } = query;
    const refetchType = this.#ports.isHidden() && meta?.isAlarm !== true ? "none" : "active";
    void this.#ports.queries.invalidateQueries({ queryKey, exact: true, refetchType });
  }

  #askOwed(query: Query): void {
    const plan = this.#plans.get(query.queryHash);
    if (plan?.isOwed !== true || query.state.fetchStatus === "fetching") return;
    plan.isOwed = false;
    this.#touch(query);
  }

  #inUse(): Query[] {
    const all = this.#ports.queries.getQueryCache().getAll();
    return all.filter((query) => query.meta?.refreshedBy !== undefined && query.isActive());
  }

  /** A page that changes takes queries out and puts others in: told together. */
  #subscribeSoon(): void {
    this.#cancelSubscribe?.();
    this.#cancelSubscribe = this.#ports.clock.later(() => this.#subscribe(), SUBSCRIBE_MS);
  }

  #subscribe(): void {
    const to = termsOf(this.#inUse().flatMap((query) => query.meta?.refreshedBy ?? []));
    const text = JSON.stringify({ type: "subscribe", to });
    if (text === this.#subscribed || this.#channel === null) return;
    if (this.#channel.send(text)) this.#subscribed = text;
    // Still opening: try again until it is open, or closed.
    else this.#subscribeSoon();
  }

  #forget(queryHash: string): void {
    this.#plans.get(queryHash)?.cancel();
    this.#plans.delete(queryHash);
  }
}
