import { apiUrl } from "../api/client.ts";
import type { Channel, ChannelEvents, OpenChannel } from "./socket.ts";

/** The live tail over a WebSocket. */
export const openWebSocket: OpenChannel = (params, events) => openSocket(apiUrl("live", params), events);

/** The refresh messages. */
export const openRefreshes: OpenChannel = (_params, events) => openSocket(new URL("ws", document.baseURI), events);

function openSocket(url: URL, events: ChannelEvents): Channel {
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(url);
  socket.addEventListener("message", (message) => {
    if (typeof message.data === "string") events.onText(message.data);
  });
  socket.addEventListener("close", () => events.onClose());
  return {
    send(text) {
      if (socket.readyState !== WebSocket.OPEN) return false;
      socket.send(text);
      return true;
    },
    close: () => socket.close(),
  };
}

/**
 * The live tail as server-sent events, for networks whose proxies break WebSockets.
 *
 * EventSource would reconnect by itself, from a position only it knows; we close it on the first error and come back
 * with `after`, the same way as over a WebSocket.
 */
export const openEventSource: OpenChannel = (params, events) => {
  const source = new EventSource(apiUrl("live/sse", params));
  source.addEventListener("message", (message: MessageEvent<unknown>) => {
    if (typeof message.data === "string") events.onText(message.data);
  });
  source.addEventListener("error", () => {
    source.close();
    events.onClose();
  });
  return { send: () => false, close: () => source.close() };
};
