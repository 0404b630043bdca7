// Calls to the sandbox, and its event stream.

export async function load(path) {
  return settle(await fetch(path, { headers: { accept: "application/json" } }));
}

export async function post(path, body) {
  return settle(
    await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  );
}

async function settle(response) {
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.detail ?? `The sandbox answered ${response.status}`);
  return body;
}

/** Hear every change. onOpen runs at each (re)connection: what happened in between must be loaded again. */
export function listen(onEvent, onOpen, onLost) {
  const stream = new EventSource("/sandbox/events");
  stream.addEventListener("open", onOpen);
  stream.addEventListener("error", onLost);
  stream.addEventListener("message", (event) => onEvent(JSON.parse(event.data)));
}
