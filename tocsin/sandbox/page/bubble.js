// One message as a bubble: who, what, the buttons, the time.

import { link, render } from "./entities.js";

/** handlers: onCommand(text), onPress(message, button, element), onReply(message). */
export function bubble(message, { silent, isMine, topicName, showsSender }, handlers) {
  const item = document.createElement("div");
  item.dataset.id = message.message_id;
  item.className = service(message) ? "service" : isMine ? "mine" : "theirs";
  if (service(message)) {
    item.append(note(service(message)));
    return item;
  }
  const box = part("article", "bubble");
  box.setAttribute("aria-label", `${sender(message)}, ${clock(message.date)}`);
  if (showsSender && !isMine) box.append(part("p", "sender", sender(message)));
  if (topicName) box.append(part("p", "topic", `# ${topicName}`));
  const told = message.reply_to_message;
  if (told && !told.forum_topic_created) box.append(answered(told)); // what began a topic is no answer's subject
  if (message.photo) box.append(photo(message.photo.at(-1), message.caption));
  if (message.document) box.append(file(message.document));
  const text = message.text ?? message.caption ?? "";
  if (text) {
    const body = part("div", "text");
    body.dir = "auto";
    body.append(...render(text, message.entities ?? message.caption_entities ?? [], handlers.onCommand));
    box.append(body);
  }
  box.append(footer(message, silent, handlers));
  item.append(box);
  if (message.reply_markup?.inline_keyboard) item.append(keyboard(message, handlers));
  return item;
}

export function sender(message) {
  return message.sender_chat?.title ?? [message.from.first_name, message.from.last_name].filter(Boolean).join(" ");
}

export function summary(message) {
  if (!message) return "No messages yet";
  const text = message.text ?? message.caption ?? service(message);
  return text || (message.document ? message.document.file_name : "Photo");
}

function service(message) {
  if (message.migrate_to_chat_id) return `This group moved to ${message.migrate_to_chat_id}`;
  if (message.migrate_from_chat_id) return `This group came from ${message.migrate_from_chat_id}`;
  return "";
}

function note(text) {
  return part("p", "note", text);
}

function part(tag, className, text) {
  const node = document.createElement(tag);
  node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function answered(message) {
  const quote = part("p", "answered");
  quote.append(part("b", "", sender(message)), document.createTextNode(` ${summary(message).slice(0, 120)}`));
  return quote;
}

function photo(size, caption) {
  const image = document.createElement("img");
  image.src = `/sandbox/files/${encodeURIComponent(size.file_id)}`;
  image.alt = caption ? "Photo, described by the text below it" : "Photo";
  image.width = size.width;
  image.height = size.height;
  image.loading = "lazy";
  return image;
}

function file(described) {
  const anchor = document.createElement("a");
  anchor.className = "file";
  anchor.href = `/sandbox/files/${encodeURIComponent(described.file_id)}`;
  anchor.download = described.file_name ?? "file";
  anchor.append(part("span", "file-name", `📄 ${described.file_name ?? "file"}`), part("span", "file-size", bytes(described.file_size)));
  return anchor;
}

function bytes(count) {
  return count < 1024 ? `${count} B` : count < 1048576 ? `${(count / 1024).toFixed(1)} kB` : `${(count / 1048576).toFixed(1)} MB`;
}

function footer(message, silent, handlers) {
  const line = part("p", "meta");
  const reply = part("button", "reply", "↩");
  reply.type = "button";
  reply.setAttribute("aria-label", "Answer this message");
  reply.addEventListener("click", () => handlers.onReply(message));
  line.append(reply);
  if (silent) {
    const bell = part("span", "silent", "🔕");
    bell.title = "Sent without sound";
    bell.setAttribute("role", "img");
    bell.setAttribute("aria-label", "sent without sound");
    line.append(bell);
  }
  if (message.edit_date) {
    const edited = part("span", "edited", "edited");
    edited.title = new Date(message.edit_date * 1000).toLocaleString();
    line.append(edited);
  }
  const time = part("time", "", clock(message.date));
  time.dateTime = new Date(message.date * 1000).toISOString();
  time.title = new Date(message.date * 1000).toLocaleString();
  line.append(time);
  return line;
}

function keyboard(message, handlers) {
  const rows = part("div", "keyboard");
  rows.setAttribute("role", "group");
  rows.setAttribute("aria-label", "Buttons");
  for (const row of message.reply_markup.inline_keyboard) {
    const line = part("div", "keys");
    for (const button of row) line.append(key(message, button, handlers));
    rows.append(line);
  }
  return rows;
}

function key(message, button, handlers) {
  if (button.url) {
    const anchor = link(button.url, button.text, part("span", "away", "↗"));
    anchor.classList.add("key");
    return anchor;
  }
  const node = part("button", "key", button.text);
  node.type = "button";
  if (button.callback_data) node.addEventListener("click", () => handlers.onPress(message, button, node));
  else node.disabled = true;
  return node;
}

function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}
