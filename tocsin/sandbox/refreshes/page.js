// Shows what `/ws` says: one row for each thing that changed, and how often.
const MOST_ROWS = 500;
const $ = (id) => document.getElementById(id);
const rows = new Map();
let socket = null;

$("address").value = new URLSearchParams(location.search).get("ws") ?? `ws://${location.host}/ws`;
$("connect").addEventListener("submit", (event) => {
  event.preventDefault();
  connect();
});
connect();

function connect() {
  socket?.close();
  rows.clear();
  $("seen").replaceChildren();
  const mine = (socket = new WebSocket($("address").value));
  const say = (text) => {
    if (mine === socket) $("status").textContent = text;
  };
  say("connecting");
  mine.addEventListener("open", () => {
    say("connected");
    const term = {};
    if ($("type").value) term.type = $("type").value;
    if ($("queue").value) term.queueName = $("queue").value;
    mine.send(JSON.stringify({ type: "subscribe", to: [term] }));
  });
  mine.addEventListener("message", (message) => show(JSON.parse(message.data)));
  mine.addEventListener("close", (event) => say(`closed: ${event.code} ${event.reason}`));
}

function show({ type, data }) {
  if (data === undefined) return;
  const key = `${type} ${JSON.stringify(data)}`;
  let row = rows.get(key);
  if (row === undefined) {
    if (rows.size >= MOST_ROWS) return;
    row = $("seen").insertRow(0);
    row.dataset.type = type;
    for (const text of [type, data.id ?? data.queueName ?? "all", "0"]) row.insertCell().textContent = text;
    rows.set(key, row);
  }
  row.cells[2].textContent = String(Number(row.cells[2].textContent) + 1);
}
