import { QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { fetchLogs } from "./api/logs.ts";
import { retryMs } from "./api/client.ts";
import { isLoggedOut } from "./api/me.ts";
import { openEventSource, openRefreshes, openWebSocket } from "./live/channels.ts";
import { Refresher } from "./live/refresher.ts";
import type { Clock } from "./live/socket.ts";
import { Tail } from "./live/tail.ts";
import { TailContext } from "./live/TailContext.tsx";
import { App } from "./shell/App.tsx";
import { PageFault } from "./shell/PageFault.tsx";
import { applyStoredTheme } from "./shell/theme.ts";
import "./styles/index.css";

applyStoredTheme();

const clock: Clock = {
  now: () => Date.now(),
  later: (run, ms) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

const tail = new Tail({
  open: { websocket: openWebSocket, sse: openEventSource },
  fetchLogs,
  clock,
  random: Math.random,
  onNextFrame: (run) => requestAnimationFrame(run),
});
const isHidden = (): boolean => document.visibilityState === "hidden";
const watchVisibility = (): void => tail.setUnseen("tab", isHidden());
document.addEventListener("visibilitychange", watchVisibility);
watchVisibility();

const queries = new QueryClient({
  defaultOptions: {
    // Never held back for a browser that thinks it is offline: what cannot be asked says so, and nothing is done later.
    queries: { retry: 1, refetchInterval: ({ state }) => retryMs(state.error), networkMode: "always" },
    mutations: { networkMode: "always" },
  },
  queryCache: new QueryCache({
    // The server sends who is not logged in to the login page, and back here afterwards.
    onError: (error) => isLoggedOut(error) && location.reload(),
  }),
});

const refresher = new Refresher({ queries, open: openRefreshes, clock, random: Math.random, isHidden });
refresher.start();

addEventListener("online", () => {
  tail.retryConnection();
  refresher.check();
});
document.addEventListener("visibilitychange", () => {
  if (!isHidden()) refresher.check();
});

const root = document.querySelector("#root");
if (root === null) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <PageFault place="">
      <QueryClientProvider client={queries}>
        <TailContext value={tail}>
          <App />
        </TailContext>
      </QueryClientProvider>
    </PageFault>
  </StrictMode>,
);
