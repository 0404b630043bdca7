// The chat page: which chat is shown, who speaks in it, what is new.

import { listen, load, post } from "./page/api.js";
import { bubble, sender, summary } from "./page/bubble.js";
import { suggest } from "./page/suggest.js";

const SHOWN_MESSAGES = 300;
const TYPING_MS = 5000;
const TOAST_MS = 4000;
const at = (id) => document.getElementById(id);

const page = {
  chats: new Map(), // chat id -> view of GET /sandbox/chats
  chatId: null,
  topicId: null, // null = all topics, 0 = General
  messages: new Map(), // message id -> {message, silent}, of the shown chat
  early: null, // events of the shown chat heard while its messages are being loaded
  unread: new Map(), // chat id -> count
  heard: new Map(), // chat id -> newest message id counted as read or unread
  answering: null,
  isLost: false,
  typingUntil: 0,
};

// -- chats

async function loadChats() {
  const { items } = await load("/sandbox/chats");
  page.chats = new Map(items.map((view) => [view.chat.id, view]));
  if (!page.chats.has(page.chatId)) {
    const wanted = Number(location.hash.slice(1));
    await show(page.chats.has(wanted) ? wanted : items[0].chat.id);
  } else {
    drawChats();
    drawHeader();
  }
}

async function show(chatId) {
  page.chatId = chatId;
  page.topicId = null;
  page.typingUntil = 0;
  page.unread.delete(chatId);
  history.replaceState(null, "", `#${chatId}`);
  closeChats();
  answer(null);
  drawChats();
  drawHeader();
  drawSpeakers();
  drawTopics();
  await loadMessages();
  scrollDown();
}

async function loadMessages() {
  const early = [];
  page.early = early;
  const { items } = await load(`/sandbox/chats/${page.chatId}/messages?limit=${SHOWN_MESSAGES}`);
  if (page.early !== early) return; // another load began meanwhile
  page.early = null;
  page.messages = new Map(
    items.map((message) => [message.message_id, { message, silent: page.messages.get(message.message_id)?.silent }]),
  );
  early.forEach(remember);
  drawMessages();
}

const view = () => page.chats.get(page.chatId);
const titleOf = ({ chat, bot }) => (chat.type === "private" ? bot.first_name : chat.title);

function drawChats() {
  const total = [...page.unread.values()].reduce((sum, count) => sum + count, 0);
  at("back-unread").textContent = total;
  at("back-unread").hidden = total === 0;
  document.title = total ? `(${total}) Telegram sandbox` : "Telegram sandbox";
  at("chat-list").replaceChildren(...[...page.chats.values()].map(chatButton));
}

function chatButton(each) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  if (each.chat.id === page.chatId) button.setAttribute("aria-current", "true");
  const count = page.unread.get(each.chat.id) ?? 0;
  const name = node("span", "name", titleOf(each));
  const whose = each.chat.type === "private" ? `with ${each.chat.first_name}` : each.chat.is_forum ? "forum" : "group";
  const last = node("span", "last", summary(each.last_message));
  last.dir = "auto";
  button.append(face(each), name, node("span", "kind", whose), last);
  if (count) {
    const badge = node("span", "badge", count);
    badge.setAttribute("aria-label", `${count} unread`);
    button.append(badge);
  }
  button.addEventListener("click", () => show(each.chat.id).catch(complain));
  item.append(button);
  return item;
}

function face(each) {
  const circle = node("span", "face", [...titleOf(each)][0] ?? "?");
  circle.setAttribute("aria-hidden", "true");
  return circle;
}

function drawHeader() {
  const each = view();
  at("title").textContent = titleOf(each);
  at("face").textContent = [...titleOf(each)][0] ?? "?";
  at("presence").textContent = presence(each);
  at("presence").classList.toggle("lost", page.isLost);
}

function presence(each) {
  if (page.isLost) return "the sandbox does not answer; trying again…";
  if (Date.now() < page.typingUntil) return `${each.bot.first_name} is typing…`;
  if (each.migrated_to) return `moved to ${each.migrated_to}`;
  if (each.bot_status === "kicked") return each.chat.type === "private" ? "you blocked this bot" : "the bot was thrown out";
  if (each.bot_status === "left") return "the bot is not here";
  return each.chat.type === "private" ? "bot" : `${each.people.length + 1} members`;
}

function drawSpeakers() {
  const { people } = view();
  const chosen = at("speaker").value;
  at("speaker").replaceChildren(
    ...people.map((person) => {
      const option = node("option", "", person.first_name);
      option.value = person.id;
      option.selected = String(person.id) === chosen;
      return option;
    }),
  );
  at("speaker").parentElement.hidden = people.length < 2;
}

function drawTopics() {
  const { topics, chat } = view();
  at("topics").hidden = !chat.is_forum;
  const choices = [{ id: null, name: "All" }, { id: 0, name: "General" }, ...topics];
  at("topics").replaceChildren(
    ...choices.map(({ id, name, is_closed: closed }) => {
      const button = node("button", "", closed ? `${name} (closed)` : name);
      button.type = "button";
      button.setAttribute("aria-pressed", String(page.topicId === id));
      button.addEventListener("click", () => {
        page.topicId = id;
        drawTopics();
        drawMessages();
        scrollDown();
      });
      return button;
    }),
  );
}

// -- messages

function drawMessages() {
  const isShown = ({ message }) => page.topicId === null || (message.message_thread_id ?? 0) === page.topicId;
  const shown = [...page.messages.values()].filter(isShown).slice(-SHOWN_MESSAGES);
  const list = [];
  let day = "";
  for (const { message, silent } of shown) {
    const date = new Date(message.date * 1000).toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
    if (date !== day) list.push(dayMark(date));
    day = date;
    list.push(draw(message, silent));
  }
  if (list.length === 0) list.push(dayMark("No messages yet. Type / to see what the bot can do."));
  at("messages").replaceChildren(...list);
}

function dayMark(text) {
  const item = node("div", "service");
  item.append(node("p", "note", text));
  return item;
}

function draw(message, silent) {
  const topics = view().topics;
  const topicName = page.topicId === null ? topics.find(({ id }) => id === message.message_thread_id)?.name : undefined;
  const isMine = message.from.id === speaker() && !message.sender_chat;
  return bubble(message, { silent, isMine, topicName, showsSender: view().chat.type !== "private" }, handlers);
}

const handlers = {
  onCommand: (text) => speak(text).catch(complain),
  onReply: (message) => answer(message),
  onPress: (message, button, element) => press(message, button, element).catch(complain),
};

function remember(event) {
  if (event.type === "deleted") page.messages.delete(event.message_id);
  else page.messages.set(event.message.message_id, { message: event.message, silent: event.silent });
}

function take(event) {
  if (page.early) page.early.push(event);
  if (event.type === "deleted") {
    remember(event);
    drawMessages();
    return;
  }
  const { message, silent } = event;
  const known = page.messages.has(message.message_id);
  remember(event);
  if (page.topicId !== null && (message.message_thread_id ?? 0) !== page.topicId) return;
  const follows = isAtEnd();
  const old = at("messages").querySelector(`[data-id="${message.message_id}"]`);
  if (old) old.replaceWith(draw(message, silent));
  else if (known || page.messages.size > 2 * SHOWN_MESSAGES || page.messages.size === 1) drawMessages();
  else at("messages").append(draw(message, silent));
  if (!known && message.from.is_bot) page.typingUntil = 0;
  if (follows) scrollDown();
  else if (!known) countNew();
}

function isAtEnd() {
  const list = at("messages");
  return list.scrollHeight - list.scrollTop - list.clientHeight < 60;
}

function scrollDown() {
  at("messages").scrollTop = at("messages").scrollHeight;
  at("newest").hidden = true;
  at("newest").dataset.count = "0";
}

function countNew() {
  const count = Number(at("newest").dataset.count ?? 0) + 1;
  at("newest").dataset.count = String(count);
  at("newest-count").textContent = count === 1 ? "1 new message" : `${count} new messages`;
  at("newest").hidden = false;
}

async function press(message, button, element) {
  element.disabled = true;
  element.setAttribute("aria-busy", "true");
  try {
    const { answered, answer: said } = await post("/sandbox/callbacks", {
      chat_id: page.chatId,
      user_id: speaker(),
      message_id: message.message_id,
      data: button.callback_data,
    });
    if (!answered) toast("The bot did not answer this button.");
    else if (said.text && said.show_alert) alertWith(said.text);
    else if (said.text) toast(said.text);
  } finally {
    element.disabled = false;
    element.removeAttribute("aria-busy");
  }
}

// -- writing

const speaker = () => Number(at("speaker").value) || view().people[0]?.id || 1001;

async function speak(text) {
  const body = { chat_id: page.chatId, user_id: speaker(), text };
  if (page.topicId) body.message_thread_id = page.topicId;
  if (page.answering) body.reply_to_message_id = page.answering.message_id;
  if (page.answering?.message_thread_id) body.message_thread_id = page.answering.message_thread_id;
  await post("/sandbox/messages", body);
  answer(null);
  scrollDown();
}

async function send() {
  const text = at("text").value.trim();
  if (!text) return;
  at("text").value = "";
  fit();
  try {
    await speak(text);
  } catch (error) {
    at("text").value = text;
    fit();
    throw error;
  }
}

function answer(message) {
  page.answering = message;
  at("answering").hidden = message === null;
  at("answering-text").textContent = message ? `${sender(message)}: ${summary(message).slice(0, 80)}` : "";
  if (message) at("text").focus();
}

function fit() {
  const box = at("text");
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight, 140)}px`;
  at("send").disabled = box.value.trim() === "";
}

// -- small things

function node(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

let toastTimer;
function toast(text) {
  at("toast").textContent = text;
  at("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (at("toast").hidden = true), TOAST_MS);
}

function alertWith(text) {
  at("alert-text").textContent = text;
  at("alert").showModal();
}

const complain = (error) => toast(error.message);

function openChats() {
  document.body.classList.add("choosing");
  at("back").setAttribute("aria-expanded", "true");
  at("chat-list").querySelector("button")?.focus();
}

function closeChats() {
  document.body.classList.remove("choosing");
  at("back").setAttribute("aria-expanded", "false");
}

function typing(chatId) {
  if (chatId !== page.chatId) return;
  page.typingUntil = Date.now() + TYPING_MS;
  drawHeader();
  setTimeout(drawHeader, TYPING_MS + 50);
}

function hear(event) {
  if (event.type === "resync") return reload().catch(complain);
  if (event.type === "typing") return typing(event.chat_id);
  if (event.type === "chat" || event.type === "commands") return loadChats().then(drawTopics).then(drawSpeakers).catch(complain);
  if (event.chat_id === page.chatId) take(event);
  if (event.type === "message") count(event);
  return undefined;
}

function count({ chat_id: chatId, message }) {
  if (message.message_id > (page.heard.get(chatId) ?? 0)) {
    page.heard.set(chatId, message.message_id);
    const isSeen = chatId === page.chatId && !document.hidden;
    if (!isSeen) page.unread.set(chatId, (page.unread.get(chatId) ?? 0) + 1);
  }
  const each = page.chats.get(chatId);
  if (!each) return;
  if (message.message_id >= (each.last_message?.message_id ?? 0)) each.last_message = message;
  drawChats();
  drawHeader();
}

/** Load everything anew: at the start, and when events were missed. What came in between counts as read. */
async function reload() {
  page.isLost = false;
  await loadChats();
  for (const [chatId, each] of page.chats) {
    page.heard.set(chatId, each.last_message?.message_id ?? 0);
  }
  await loadMessages();
  scrollDown();
}

const suggestions = suggest(at("text"), at("suggestions"), () => view()?.commands ?? [], (text) => {
  at("text").value = "";
  fit();
  speak(text).catch(complain);
});

at("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  suggestions.close();
  send().catch(complain);
});
at("text").addEventListener("input", fit);
at("text").addEventListener("keydown", (event) => {
  if (suggestions.key(event)) return;
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    at("composer").requestSubmit();
  }
});
at("speaker").addEventListener("change", () => {
  drawMessages();
  scrollDown();
});
at("answering-cancel").addEventListener("click", () => answer(null));
at("newest").addEventListener("click", scrollDown);
at("messages").addEventListener("scroll", () => isAtEnd() && (at("newest").hidden = true, (at("newest").dataset.count = "0")));
at("back").addEventListener("click", () => (document.body.classList.contains("choosing") ? closeChats() : openChats()));
document.addEventListener("keydown", (event) => event.key === "Escape" && closeChats());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && page.unread.delete(page.chatId)) drawChats();
});

listen(hear, () => reload().catch(complain), () => {
  page.isLost = true;
  if (view()) drawHeader();
});
