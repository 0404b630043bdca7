"""Nothing secret and nothing endless leaves the process: names and patterns hidden, sizes cut with a mark.

Applied to every text taken from a job before it becomes a record, dead letters included. Texts are hostile until shown
otherwise: every pattern is linear in the length of the text (atomic groups, one start a word).
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from bridge.jsontext import ESCAPED
from bridge.redaction import cards, values, walk
from bridge.redaction.names import FLAG, HIDDEN, NAMES, START, spell_out
from bridge.redaction.values import IS, SPACE
from bridge.redaction.words import any_of

_SLASH = r"(?:\\{0,8}+/)"
"""JSON may escape it too."""
_NEW_LINES = ((r"\r?\n", ""), (r"(?:\\{1,8}+r)?+\\{1,8}+n", r"|\\{0,8}+[\"'`]"))
"""As it is, and escaped by JSON: there a quote ends what stands before it."""
_TOKEN_START = rf"(?:{START}|(?<=%[0-9a-fA-F]{{2}})|(?<=\[[0-9]m)|(?<=[\[;][0-9]{{2}}m)|(?<=bot))"
"""A token also stands behind what a URL escapes (`?url=%2F`), a terminal's colour, and the `bot` of Telegram's URLs."""
_NO_VALUE = (
    r"(?:\[redacted\]|--\w|<[\w -]{1,32}>|(?:and|are|argument|cannot|flag|for|from|has|if|in|is|must|needs|not|on"
    r"|option|or|requires|should|to|was|when|with)(?![\w-]))"
)
"""What stands behind a flag in a sentence, a list of flags, or a help."""
_TOKENS = {
    "k_live_": r"[srp]k_live_\w{8,}+",
    "k_test_": r"[srp]k_test_\w{8,}+",
    "sk-": r"sk-[\w-]{20,}+",
    **{f"gh{kind}_": rf"gh{kind}_\w{{20,}}+" for kind in "pousr"},
    "github_pat_": r"github_pat_\w{16,}+",
    "xox": r"xox[a-z]-[\w-]{10,}+",
    "glpat-": r"glpat-[\w-]{16,}+",
    "npm_": r"npm_\w{30,}+",
    "whsec_": r"whsec_\w{8,}+",
    "aiza": r"AIza[\w-]{30,}+",
    "akia": r"AKIA[0-9A-Z]{16}(?!\w)",
    "sg.": r"SG\.[\w-]{16,}+\.[\w-]{32,}+",
    "ya29.": r"ya29\.(?=[\w.-]{20})[\w-]++(?:\.++[\w-]++)*+",
    "s%3a": r"s%3[aA][\w-]{16,64}+\.(?:[\w+/-]|%2[bBfF]){40,}+",
    ":aa": r"\d{8,10}:AA[\w-]{33}(?![\w-])",
    "%3aaa": r"\d{8,10}%3[aA]AA[\w-]{33}(?![\w-])",
}
"""What tokens of well-known services look like, by what they hold in small letters.

`s%3A` begins a session's id that Express signed, the last two are a Telegram bot's.
"""
_LOOKS = (
    (
        ("-----begin",),
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        HIDDEN,
    ),
    (
        ("cookie", "authorization"),
        re.compile(rf"(?i){START}((?:set-)?cookie|authorization)(: *+)[^\r\n\"'\\]++"),
        rf"\1\2{HIDDEN}",
    ),
    (
        ("bearer", "basic"),
        re.compile(rf"(?i)(?:\b|{ESCAPED})(Bearer|Basic)(\s++)[A-Za-z0-9._~+/=-]{{8,}}+"),
        rf"\1\2{HIDDEN}",
    ),
    (
        ("://", "\\/"),
        re.compile(rf"(:{_SLASH}{_SLASH}[^\s:/@]*+):(?!\d{{1,5}}(?:[/?\s\\]|$))(?:[^\s\"'\\]|\\{{1,8}}+/){{1,256}}@"),
        rf"\1:{HIDDEN}@",
    ),
    (("://", "\\/"), re.compile(rf"(:{_SLASH}{_SLASH})\w{{16,64}}+@"), rf"\1{HIDDEN}@"),
    (
        ("hooks.slack", "hooks.zapier", "webhook.office"),
        re.compile(
            rf"(?i)((?:hooks\.slack(?:-gov)?|hooks\.zapier|webhook\.office)\.com{_SLASH})(?:[\w@-]++|{_SLASH})++"
        ),
        rf"\1{HIDDEN}",
    ),
    (
        ("hooks/", "hooks\\"),
        re.compile(
            rf"({_SLASH}(?:"
            rf"webhooks{_SLASH}[0-9]{{17,20}}{_SLASH}(?=[\w-]{{20}})"  # Discord
            rf"|hooks{_SLASH}(?:"
            rf"[a-zA-Z0-9]{{17,24}}{_SLASH}(?=[a-zA-Z0-9]{{32}})"  # Rocket.Chat
            r"|(?=[a-z]{0,25}[0-9])(?=[a-z0-9]{26}(?![\w-]|\.\w))"  # Mattermost
            r")))[\w-]++"
        ),
        rf"\1{HIDDEN}",
    ),
    (
        ("curl",),
        re.compile(
            rf"(?i)((?:\b|{ESCAPED})curl\b[^\r\n]{{0,1000}}?\s(?:-u|--user)[\s=]?[\"']?[^\s:\"']{{1,256}}+:)[^\s\"']++"
        ),
        rf"\1{HIDDEN}",
    ),
    (
        ("identified",),
        re.compile(
            rf"(?i)((?:\b|{ESCAPED})identified\s++(?:with\s++\S{{1,64}}+\s++)?by\s++(?:password\s++)?\\*[\"'])(?:(?!\\*[\"']).)++"
        ),
        rf"\1{HIDDEN}",
    ),
    (
        ("password",),
        re.compile(
            rf"((?:(?:\b|{ESCAPED})PASSWORD"
            rf"|(?i:(?:\b|{ESCAPED})(?:create|alter)\s++(?:role|user)\s[^;]{{0,256}}?[\s,(]password))"
            r"(?:\s|\\{1,8}+[nrt])++[eE]?')(?!\[redacted\]')(?:''|[^'])++"
        ),
        rf"\1{HIDDEN}",
    ),
    (("eyj",), re.compile(rf"{_TOKEN_START}eyJ[\w-]{{8,}}+\.[\w-]{{8,}}+\.[\w-]{{8,}}+"), HIDDEN),
    *(((word,), re.compile(rf"{_TOKEN_START}{look}"), HIDDEN) for word, look in _TOKENS.items()),
    (("--",), re.compile(rf"({FLAG}\s++)(?!{_NO_VALUE})[^\s\"'\\]++"), rf"\1{HIDDEN}"),
)
"""Words without one of which there is nothing to find, in small letters; what is looked for; what stands there then."""


def _beside_names(mark: str, look: str) -> Iterator[tuple[tuple[str, ...], str, re.Pattern[str], str]]:
    """What is looked for beside the names of secrets. look: with NAME for one. mark: without it there is none."""
    for words, name in NAMES:
        yield words, mark, re.compile(look.replace("NAME", name), re.DOTALL), rf"\1{HIDDEN}"


_PATTERNS = (
    *((words, "", pattern, replacement) for words, pattern, replacement in _LOOKS),
    *_beside_names(")=(", r"(NAME\)=\()[^)]++"),  # Postgres: Key (token)=(…) already exists
    *_beside_names(
        "<",
        r"(<([\w.:-]{0,64}?NAME)(?:\s[^<>]{0,256})?>)"
        rf"(?:{SPACE}<!\[CDATA\[(?:(?!\]\]>).)*+(?:\]\]>)?+"
        rf"|{SPACE}<(?=[A-Za-z])(?:(?!<{_SLASH}\2\s*+>).)++|(?!\[redacted\])[^<]++)",
    ),
    *_beside_names(
        "<",
        r"(<(?=[^<>]{0,1024}?(?:\s|\\[nrt])(?:name|id|key|type|property)=\\{0,8}+[\"']?[\w.:\[-]{0,64}?NAME)"
        r"[^<>]{0,1024}?(?:\s|\\[nrt])(?:value|content)=(\\{0,8}+[\"'])?+)(?!\[redacted\])(?(2)(?:(?!\2).)++|[^\s\"'<>\\]++)",
    ),
    *(
        found
        for line, end in _NEW_LINES
        for found in _beside_names(
            "name=",
            r"(\bname=\\{0,8}+[\"']?[\w.\[-]{0,64}?NAME[\w.\[\]-]{0,64}+\\{0,8}+[\"']?(?:;[^\r\n\\]{0,256}+)?"
            rf"(?:{line}[^\r\n\\]{{1,256}}+){{0,8}}+(?:{line}){{2}})(?!\[redacted\])(?:(?!{line}--{end}).)++",
        )
    ),
    *_beside_names(
        "", rf"(NAME{IS})(?!\[(?:redacted|\s*+)\]|\{{\s*+\}})(?:<Buffer [^>]*+>?+|[^\s\"'\\,;&}}][^\s\"'\\;&}}]{{2,}}+)"
    ),
)
"""The same, and what the text holds besides."""

_WORDS_AT_ALL = frozenset(word for words, *_ in _PATTERNS for word in words)
_WITHOUT_DIGITS = frozenset(re.sub("[0-9]", "", word) for word in _WORDS_AT_ALL)
_ANY_WORD = any_of(_WORDS_AT_ALL | _WITHOUT_DIGITS | {"\\u"})
"""Any of the words, also in a text whose digits are left out, or what could spell one."""
_SHORT = 500
"""Of a text so short it is quicker to ask first whether there is any of the words at all."""
_DIGITS = b"0123456789"

_also: tuple[re.Pattern[str], ...] = ()
"""The operator's own. Set once, before anything is read: what is hidden is not for who hands in a text to say."""

DATA_BYTES = 16 * 1024
ERROR_BYTES = 8 * 1024
NAME_BYTES = 1024
DEAD_LETTER_BYTES = 64 * 1024
LINES_BYTES = 64 * 1024

_CALL = re.compile(r"at .*[\w)>]|File \".*")
"""A stack's frame, behind which nothing goes on."""


def hide_also(patterns: Iterable[re.Pattern[str]]) -> None:
    """Hide from now on what these find, too. They were tried before: patterns.py."""
    global _also
    _also = tuple(patterns)
    for known in (_known_name, _known_line, _known_lines):
        known.cache_clear()


def text(value: str, limit: int = ERROR_BYTES) -> str:
    """Free text: secrets that can be recognised are hidden, then it is cut to about `limit` bytes of UTF-8.

    JSON in it is read as JSON: an error's message often ends with the answer of some API.
    """
    return value if _holds_nothing(value, limit) else _hide(value, limit)


def name(value: str) -> str:
    """A name of which there are few, to be seen again and again: a job's, an error's, a worker's, a stack's frame."""
    return _known_name(value) if len(value) <= _SHORT else text(value, NAME_BYTES)


@lru_cache(maxsize=4096)
def _known_name(value: str) -> str:
    return text(value, NAME_BYTES)


def lines(told: Sequence[str]) -> list[str]:
    """Lines of one text, each as `name`; from the first that may hold what goes on in the next, all as one text."""
    shown: list[str] = []
    for at, line in enumerate(told):
        hidden, goes_on = _known_line(line) if len(line) <= _SHORT else _hide_line(line)
        if goes_on:
            return shown + _hide_lines(told[at:])
        shown.append(hidden)
    return shown


def _hide_line(line: str) -> tuple[str, bool]:
    """A line, and whether what it holds may go on in the next."""
    hidden = text(line, NAME_BYTES)
    return hidden, hidden != line or not (_CALL.fullmatch(line) or _holds_nothing(line, NAME_BYTES))


_known_line = lru_cache(maxsize=4096)(_hide_line)


def _hide_lines(told: Sequence[str]) -> list[str]:
    whole = "\n".join(told)
    shown = _known_lines(whole) if len(whole) <= ERROR_BYTES else text(whole, LINES_BYTES)
    return [cut(line, NAME_BYTES) for line in shown.split("\n")]


@lru_cache(maxsize=256)
def _known_lines(whole: str) -> str:
    return text(whole, LINES_BYTES)


def json_text(value: str, limit: int = DATA_BYTES) -> str:
    """JSON text: values under secret names hidden at any depth, also in JSON inside strings; else as `text`.

    JSON that holds nothing of the kind stays as it was written, to the letter. Of JSON too long to be kept only the
    beginning is looked through.
    """
    return text(value, limit)


def identifier(value: str) -> str:
    """A name that others compare: as it is, or when endless cut with its digest, so that no two become one."""
    if len(value) <= NAME_BYTES and value.isascii():
        return value
    raw = value.encode(errors="replace")
    if len(raw) <= NAME_BYTES:
        return raw.decode()
    digest = hashlib.blake2b(raw, digest_size=8).hexdigest()
    return f"{raw[: NAME_BYTES - 64].decode(errors='ignore')}…[cut, {len(raw)} in all, {digest}]"


def cut(value: str, limit: int) -> str:
    """At most about `limit` bytes of UTF-8, with a mark that says how long it was."""
    if value.isascii() and len(value) <= limit:
        return value
    raw = value.encode(errors="replace")
    return raw.decode() if len(raw) <= limit else f"{raw[:limit].decode(errors='ignore')}{cut_mark(len(raw))}"


def cut_mark(length: int) -> str:
    """What stands where a text was cut. length: bytes of the whole."""
    return f"…[cut, {length} in all]"


def _holds_nothing(value: str, limit: int) -> bool:
    """Whether a text is short and has none of the words without which there is nothing to hide, nor could spell one.

    Many texts differ from others by their numbers alone: what is left without digits is known then.
    """
    if len(value) > limit or not value.isascii() or (_also and _holds_also(value)):
        return False
    if len(value) <= _SHORT:
        raw = value.encode()
        left = raw.translate(None, _DIGITS)
        if len(raw) - len(left) >= cards.LEAST_DIGITS and cards.may_hold(raw):
            return False
        return _is_known_clean(left)
    return _ANY_WORD.search(value.lower()) is None and not cards.may_hold(value.encode())


def _holds_also(value: str) -> bool:
    return any(pattern.search(value) for pattern in _also)


@lru_cache(maxsize=4096)
def _is_known_clean(value: bytes) -> bool:
    return _ANY_WORD.search(value.decode().lower()) is None


def _hide(value: str, limit: int) -> str:
    """JSON by its structure, and the rest by patterns, in the part that may be kept; then cut."""
    shown, is_cut = walk.hide(value, 2 * limit)
    looked_at = shown[: 2 * limit]
    is_cut |= len(looked_at) < len(shown)
    spelled = spell_out(looked_at)
    hidden = _hide_found(spelled)
    looked_at = cards.hide(looked_at if hidden == spelled else hidden, _hidden)
    for pattern in _also:
        looked_at = pattern.sub(_hidden, looked_at)
    raw = looked_at.encode(errors="replace")
    if len(raw) <= limit and not is_cut:
        return raw.decode()
    return f"{raw[:limit].decode(errors='ignore')}{cut_mark(len(value.encode(errors='replace')))}"


def _hide_found(text: str) -> str:
    small = text.lower()
    if len(small) <= _SHORT and _ANY_WORD.search(small) is None:
        return text
    text = values.hide(text)
    for words, mark, pattern, replacement in _PATTERNS:
        if mark in small and any(word in small for word in words):
            text = pattern.sub(replacement, text)
    return text


def _hidden(found: re.Match[str]) -> str:
    """What stands there then: where a number of JSON stood, a text of JSON."""
    before = found.string[max(0, found.start() - 8) : found.start()].rstrip()
    after = found.string[found.end() : found.end() + 8].lstrip()
    is_value = before.endswith(('":', "[", ",")) and not before.endswith('\\":') and after.startswith((",", "]", "}"))
    return f'"{HIDDEN}"' if found[0].isdecimal() and is_value else HIDDEN
