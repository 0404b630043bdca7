// Commands offered while one is typed, as Telegram's apps offer what setMyCommands listed.

/** Wire a textarea to a listbox. commands() -> [{command, description}]; onPick(text) sends. */
export function suggest(input, list, commands, onPick) {
  let active = -1;

  const options = () => [...list.children];

  const close = () => {
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };

  const mark = (index) => {
    active = index;
    options().forEach((option, place) => option.setAttribute("aria-selected", String(place === index)));
    const chosen = options()[index];
    if (chosen) {
      input.setAttribute("aria-activedescendant", chosen.id);
      chosen.scrollIntoView({ block: "nearest" });
    }
  };

  const refresh = () => {
    const typed = /^\/(\w*)$/.exec(input.value);
    const found = typed ? commands().filter(({ command }) => command.startsWith(typed[1].toLowerCase())) : [];
    list.replaceChildren(...found.map(option));
    if (found.length === 0) return close();
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    mark(-1);
  };

  const option = ({ command, description }, index) => {
    const node = document.createElement("div");
    node.id = `suggestion-${index}`;
    node.setAttribute("role", "option");
    node.setAttribute("aria-selected", "false");
    const name = document.createElement("b");
    name.textContent = `/${command}`;
    const what = document.createElement("span");
    what.textContent = description;
    node.append(name, what);
    node.addEventListener("pointerdown", (event) => event.preventDefault());
    node.addEventListener("click", () => pick(node));
    return node;
  };

  const pick = (node) => {
    const text = node.querySelector("b").textContent;
    close();
    onPick(text);
  };

  input.addEventListener("input", refresh);
  input.addEventListener("blur", close);
  return {
    /** Handle a key while the list is open; true if it was used. */
    key(event) {
      if (list.hidden) return false;
      const count = options().length;
      if (event.key === "ArrowDown") mark((active + 1) % count);
      else if (event.key === "ArrowUp") mark((active - 1 + count) % count);
      else if (event.key === "Escape") close();
      else if (event.key === "Tab" || (event.key === "Enter" && active >= 0)) pick(options()[Math.max(active, 0)]);
      else return false;
      event.preventDefault();
      return true;
    },
    close,
  };
}
