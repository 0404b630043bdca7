// A message's text and its entities as DOM nodes. Only text nodes and elements of our own choosing: what a message
// holds can never become markup. Offsets are UTF-16 units, which is what JavaScript strings count in.

const BLOCKS = ["pre", "blockquote", "expandable_blockquote"];
const TAGS = {
  bold: "strong",
  italic: "em",
  underline: "u",
  strikethrough: "s",
  code: "code",
  pre: "pre",
  blockquote: "blockquote",
  expandable_blockquote: "blockquote",
};

/** Only links that lead to a page; never `javascript:` and its like. */
export function safeUrl(url) {
  const complete = /^[a-z][a-z0-9+.-]*:/i.test(url) ? url : `http://${url}`;
  try {
    return ["http:", "https:", "mailto:", "tg:"].includes(new URL(complete).protocol) ? complete : null;
  } catch {
    return null;
  }
}

export function link(url, ...children) {
  const safe = safeUrl(url);
  if (safe === null) {
    const plain = document.createElement("span");
    plain.append(...children);
    return plain;
  }
  const anchor = document.createElement("a");
  anchor.href = safe;
  anchor.target = "_blank";
  anchor.rel = "noopener noreferrer";
  anchor.append(...children);
  return anchor;
}

/** Render text[begin, end) with the entities inside it; `onCommand(text)` is called when a bot command is pressed. */
export function render(text, entities, onCommand, begin = 0, end = text.length) {
  const nodes = [];
  let at = begin;
  for (let index = 0; index < entities.length; index += 1) {
    const entity = entities[index];
    const stop = entity.offset + entity.length;
    if (entity.offset < at || entity.offset >= end) continue;
    if (entity.offset > at) nodes.push(document.createTextNode(text.slice(at, entity.offset)));
    const last = Math.min(stop, end);
    const inner = entities.slice(index + 1).filter((other) => other.offset >= entity.offset && other.offset < last);
    const children = render(text, inner, onCommand, entity.offset, last);
    nodes.push(element(entity, text.slice(entity.offset, last), children, onCommand));
    // A block ends its line by itself: the line break after it would show as an empty line.
    at = BLOCKS.includes(entity.type) && text[last] === "\n" && last < end ? last + 1 : last;
  }
  if (at < end) nodes.push(document.createTextNode(text.slice(at, end)));
  return nodes;
}

function element(entity, text, children, onCommand) {
  switch (entity.type) {
    case "text_link":
      return link(entity.url, ...children);
    case "url":
      return link(text, ...children);
    case "bot_command":
      return pressable("command", children, () => onCommand(text));
    case "spoiler": {
      const spoiler = pressable("spoiler", children, () => spoiler.classList.add("shown"));
      spoiler.title = "Show";
      return spoiler;
    }
    case "expandable_blockquote": {
      const quote = document.createElement("blockquote");
      const body = document.createElement("div");
      body.className = "folded";
      body.append(...children);
      const more = document.createElement("button");
      more.type = "button";
      more.className = "more";
      more.textContent = "Show all";
      more.addEventListener("click", () => {
        const folded = body.classList.toggle("folded");
        more.textContent = folded ? "Show all" : "Show less";
      });
      quote.append(body, more);
      return quote;
    }
    default: {
      const node = document.createElement(TAGS[entity.type] ?? "span");
      if (!TAGS[entity.type]) node.className = "mark";
      if (entity.language) node.dataset.language = entity.language;
      node.append(...children);
      return node;
    }
  }
}

function pressable(className, children, onPress) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = className;
  button.append(...children);
  button.addEventListener("click", onPress);
  return button;
}
