"""HTML as Telegram reads it: a few tags and character references in, plain text and its entities out.

Stricter than a browser: an unknown tag or a missing end tag refuses the whole message, and the error names the byte
offset. Source: https://core.telegram.org/bots/api#html-style, texts from td `MessageEntity.cpp`.
"""

import re
from dataclasses import dataclass

from tocsin.sandbox.errors import ApiError, bad_request
from tocsin.sandbox.links import link_problem
from tocsin.sandbox.text import Entity, is_unicode, utf16_length

TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "a": "text_link",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
    "tg-emoji": "custom_emoji",
}
NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}

_MARK = re.compile("[&<]")
_REFERENCE = re.compile(r"&(?:#x(?P<hex>[0-9a-fA-F]+)|#(?P<dec>[0-9]+)|(?P<name>[a-zA-Z]+));?")
_SPACE = " \t\n\r\v\f"
_NAME = re.compile(r"[^ \t\n\r\v\f>]*")
_ATTRIBUTE = re.compile(r"[^ \t\n\r\v\f=>/\"']*")
_TOKEN = re.compile(r"[A-Za-z0-9.\-]*")
_USER_LINK = re.compile(r"tg:(?://)?user\?id=(\d+)\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Parsed:
    """Text without tags; entities by offset, the outer before the inner."""

    text: str
    entities: list[Entity]


@dataclass(frozen=True)
class _Open:
    tag: str
    attributes: dict[str, str]
    offset: int
    """UTF-16 units of text before the tag."""
    start: int
    """Pieces of text before the tag, to find what a link without href encloses."""


def parse_html(source: str) -> Parsed:
    """Read Telegram HTML; raise ApiError `Bad Request: can't parse entities: …` as Telegram would."""
    return _Reader(source).read()


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.pieces: list[str] = []
        self.offset = 0
        self.open: list[_Open] = []
        self.entities: list[Entity] = []

    def read(self) -> Parsed:
        while self.at < len(self.source):
            mark = _next_mark(self.source, self.at)
            self._add(self.source[self.at : mark])
            self.at = mark
            if self.source.startswith("&", mark):
                text, self.at = _reference(self.source, mark)
                self._add(text)
            elif self.source.startswith("</", mark):
                self._end_tag()
            elif self.source.startswith("<", mark):
                self._start_tag()
        if self.open:
            raise _refused(f'Can\'t find end tag corresponding to start tag "{self.open[-1].tag}"')
        text = "".join(self.pieces)
        if not is_unicode(text):
            raise _refused(
                "Text contains invalid Unicode characters after decoding HTML entities, check for unmatched "
                "surrogate code units"
            )
        for each in self.entities:
            if each["type"] == "code":
                each.pop("language", None)  # only a block keeps its language
        return Parsed(text, sorted(self.entities, key=lambda each: (each["offset"], -each["length"])))

    def _add(self, text: str) -> None:
        if text:
            self.pieces.append(text)
            self.offset += utf16_length(text)

    def _start_tag(self) -> None:
        begin = self.at
        tag = self._take(_NAME, begin + 1).lower()
        if self.at >= len(self.source):
            raise self._at_byte("Unclosed start tag", begin)
        if tag not in TAGS:
            raise self._at_byte(f'Unsupported start tag "{tag}"', begin)
        attributes: dict[str, str] = {}
        while True:
            self._skip_space()
            if self.source.startswith(">", self.at):
                break
            name, value = self._attribute(tag, begin)
            attributes[name] = value
        self.at += 1
        if tag == "span" and attributes.get("class") != "tg-spoiler":
            raise self._at_byte('Tag "span" must have class "tg-spoiler"', begin)
        self.open.append(_Open(tag, attributes, self.offset, len(self.pieces)))

    def _attribute(self, tag: str, begin: int) -> tuple[str, str]:
        name = self._take(_ATTRIBUTE, self.at)
        if not name:
            at_end = self.at >= len(self.source)
            what = f'Unclosed start tag "{tag}"' if at_end else f'Empty attribute name in the tag "{tag}"'
            raise self._at_byte(what, begin)
        self._skip_space()
        if not self.source.startswith("=", self.at):
            if self.at >= len(self.source):
                raise self._at_byte(f'Unclosed start tag "{tag}"', begin)
            return name, ""
        self.at += 1
        self._skip_space()
        if self.at >= len(self.source):
            raise self._at_byte(f'Unclosed start tag "{tag}"', begin)
        value = self._quoted() if self.source[self.at] in "\"'" else self._token()
        if self.at >= len(self.source):
            raise self._at_byte("Unclosed start tag", begin)
        return name, value

    def _quoted(self) -> str:
        quote = self.source[self.at]
        self.at += 1
        value: list[str] = []
        while self.at < len(self.source) and self.source[self.at] != quote:
            if self.source[self.at] == "&":
                text, self.at = _reference(self.source, self.at)
            else:
                text = self.source[self.at]
                self.at += 1
            value.append(text)
        self.at += 1
        return "".join(value)

    def _token(self) -> str:
        begin = self.at
        value = self._take(_TOKEN, begin).lower()
        if self.at < len(self.source) and self.source[self.at] not in _SPACE + ">":
            raise self._at_byte("Unexpected end of name token", begin)
        return value

    def _end_tag(self) -> None:
        begin = self.at
        if not self.open:
            raise self._at_byte("Unexpected end tag", begin)
        tag = self._take(_NAME, begin + 2).lower()
        self._skip_space()
        if not self.source.startswith(">", self.at):
            raise self._at_byte("Unclosed end tag", begin)
        self.at += 1
        opened = self.open.pop()
        if tag and tag != opened.tag:
            raise self._at_byte("Unmatched end tag", begin, f', expected "</{opened.tag}>", found "</{tag}>"')
        if self.offset > opened.offset:
            self._close(opened)

    def _close(self, opened: _Open) -> None:
        where: Entity = {"type": TAGS[opened.tag], "offset": opened.offset, "length": self.offset - opened.offset}
        entity: Entity | None = where
        if opened.tag == "a":
            entity = self._link(where, opened)
        elif opened.tag == "tg-emoji":
            entity = _custom_emoji(where, opened.attributes.get("emoji-id", ""))
        elif opened.tag == "blockquote" and "expandable" in opened.attributes:
            entity = {**where, "type": "expandable_blockquote"}
        elif opened.tag in ("code", "pre"):
            entity = self._block(where, opened)
        if entity is not None:
            self.entities.append(entity)

    def _block(self, where: Entity, opened: _Open) -> Entity:
        """`<pre><code class="language-x">` (or code around pre) over the same text is one entity with a language."""
        name = opened.attributes.get("class", "")
        language = name.removeprefix("language-") if opened.tag == "code" and name.startswith("language-") else ""
        block: Entity = {**where, "language": language} if language else where
        inside = self.entities[-1] if self.entities else {}
        is_pair = {inside.get("type"), where["type"]} == {"code", "pre"}
        if not is_pair or (inside["offset"], inside["length"]) != (where["offset"], where["length"]):
            return block
        language = language or inside.get("language", "")
        if not language:
            return block
        self.entities.pop()
        return {**where, "type": "pre", "language": language}

    def _link(self, where: Entity, opened: _Open) -> Entity | None:
        url = opened.attributes.get("href") or "".join(self.pieces[opened.start :])
        if person := _USER_LINK.match(url):
            return {**where, "type": "text_mention", "user": {"id": int(person.group(1))}}
        return {**where, "url": url} if link_problem(url) is None else None

    def _take(self, pattern: re.Pattern[str], begin: int) -> str:
        found = pattern.match(self.source, begin)
        self.at = found.end() if found else begin
        return found.group() if found else ""

    def _skip_space(self) -> None:
        while self.at < len(self.source) and self.source[self.at] in _SPACE:
            self.at += 1

    def _at_byte(self, what: str, index: int, more: str = "") -> ApiError:
        return _refused(f"{what} at byte offset {len(self.source[:index].encode())}{more}")


def _next_mark(source: str, at: int) -> int:
    found = _MARK.search(source, at)
    return found.start() if found else len(source)


def _reference(source: str, at: int) -> tuple[str, int]:
    """Decode the character reference at an ampersand: (text, where to go on). Anything else is a plain `&`."""
    match = _REFERENCE.match(source, at)
    if match is None:
        return "&", at + 1
    if match["name"]:
        plain = NAMED.get(match["name"])
        return (plain, match.end()) if plain else ("&", at + 1)
    code = int(match["hex"], 16) if match["hex"] else int(match["dec"])
    digits_end = match.end() - source[at : match.end()].endswith(";")
    if code == 0 or code >= 0x10FFFF or digits_end - at >= 10:
        return "&", at + 1
    return chr(code), match.end()


def _custom_emoji(where: Entity, emoji_id: str) -> Entity:
    if not emoji_id.isascii() or not emoji_id.isdigit() or int(emoji_id) == 0:
        raise _refused("Invalid custom emoji identifier specified")
    return {**where, "custom_emoji_id": emoji_id}


def _refused(what: str) -> ApiError:
    return bad_request(f"can't parse entities: {what}")
