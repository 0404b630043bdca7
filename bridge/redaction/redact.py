"""Nothing secret and nothing endless leaves the process: names and patterns hidden, sizes cut with a mark.

Applied to every text taken from a job before it becomes a record, dead letters included. Texts are hostile until shown
otherwise: every pattern is linear in the length of the text (atomic groups, one start a word).
"""

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, cast

from bridge.jsontext import ESCAPED, NotJson, parse, write
from bridge.redaction import cards

HIDDEN = "[redacted]"
_PARTS = (
    *(
        "password",
        "passwd",
        "passcode",
        "pwd",
        "secret",
        "token",
        "authorization",
        "cookie",
        "credential",
        "signature",
    ),
    *("api key", "access key", "encryption key", "private key", "signing key", "session id", "card number"),
    *("pass phrase", "pass key", "one time code", "security code", "pin code", "account key", "bearer", "creds"),
)
"""A name that holds one of these anywhere is a secret's. A space stands for " ", "-", "_" or nothing."""
_ENDS = ("pass", "auth", "pin", "sig", "pw")
"""A name that is one of these, or ends with it as a word of its own (DB_PASS, userPin), is a secret's."""
_CODES = ("jwt", "cvv", "cvc", "otp", "ssn", "iban")
"""A name that has one of these as a word of its own is a secret's: otp_code, cardCVV, ssnLast4."""


def _camel(words: Iterable[str]) -> str:
    """A pattern of words in a camel's humps."""
    return "|".join(hump for word in words for hump in (word.capitalize(), word.upper()))


_ANY_PART = "|".join(part.replace(" ", "[-_ ]?") for part in _PARTS)
_ANY_END, _ANY_CODE = "|".join(_ENDS), "|".join(_CODES)
_CODE = rf"(?:(?:{'|'.join(code.capitalize() for code in _CODES)})(?![a-z])|(?:{_ANY_CODE.upper()})(?![A-Z](?![a-z])))"
"""One in a hump, to the end of its word."""
SECRET_NAMES = re.compile(
    rf"(?i:{_ANY_PART})|(?:^|[-_])(?i:{_ANY_END}|{_ANY_CODE})$|[a-z0-9](?:{_camel(_ENDS)})$"
    rf"|(?<![^\W_])(?:{_ANY_CODE})(?![a-z])|(?<![A-Z]){_CODE}"
)
_NAMING, _NAMED = frozenset({"name", "key", "header", "field", "k"}), frozenset({"value", "values", "val", "v"})
"""Members of an object that is itself a name and its value."""
_WORDS = tuple(word for part in _PARTS for word in {part.replace(" ", between) for between in ("", "-", "_", " ")})
_SLASH = r"(?:\\{0,8}+/)"
"""JSON may escape it too."""
_START = rf"(?:(?<![\w-])|{ESCAPED})"
_PART_NAME = rf"(?i:{_ANY_PART})[\w-]{{0,64}}+"
_END_NAME = rf"(?:(?:(?<![^\W_-])|{ESCAPED})(?i:{_ANY_END})|(?<=[a-z0-9])(?:{_camel(_ENDS)}))(?![\w-])"
_CODE_NAME = (
    rf"(?:(?:(?<![^\W_])|{ESCAPED})(?:(?i:{_ANY_CODE})(?![\w-])|(?:{_ANY_CODE})(?![a-z])[\w-]{{0,64}}+)"
    rf"|(?<![A-Z]){_CODE}[\w-]{{0,64}}+)"
)
_NAMES = ((_WORDS, _PART_NAME), (_ENDS, _END_NAME), (_CODES, _CODE_NAME))
"""Names in a text, each with the words without one of which there is none."""
_IS = r"\\*[\"']?\s*+[=:]\s*+"
_FLAG = rf"{_START}--(?:[\w-]{{0,32}}[-_])?(?:{_ANY_PART}|{_ANY_END}|{_ANY_CODE})\s++"
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
    ":aa": r"\d{8,10}:AA[\w-]{33}(?![\w-])",
}
"""What tokens of well-known services look like, by what they hold in small letters; the last is a Telegram bot's."""
_PATTERNS = (
    (
        ("-----begin",),
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        HIDDEN,
    ),
    (
        ("cookie", "authorization"),
        re.compile(rf"(?i){_START}((?:set-)?cookie|authorization)(: *+)[^\r\n\"'\\]++"),
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
        ("hooks.slack",),
        re.compile(rf"(?i)(hooks\.slack(?:-gov)?\.com{_SLASH})(?:[\w-]++|{_SLASH})++"),
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
    (("eyj",), re.compile(rf"{_START}eyJ[\w-]{{8,}}+\.[\w-]{{8,}}+\.[\w-]{{8,}}+"), HIDDEN),
    *(((word,), re.compile(rf"{_START}{look}"), HIDDEN) for word, look in _TOKENS.items()),
    (("--",), re.compile(rf"(?i)({_FLAG})(?!\[redacted\])[^\s\"'\\]++"), rf"\1{HIDDEN}"),
    *(
        (words, re.compile(rf"({name}\)=\()[^)]++"), rf"\1{HIDDEN}")  # Postgres: Key (token)=(…) already exists
        for words, name in _NAMES
    ),
    *(
        (words, re.compile(rf"(<(?:\w{{1,32}}:)?{name}(?:\s[^<>]{{0,256}})?>)(?!\[redacted\])[^<]++"), rf"\1{HIDDEN}")
        for words, name in _NAMES
    ),
    *(
        (words, re.compile(rf"(?s)({name}{_IS}){value}"), replacement)
        for words, name in _NAMES
        for value, replacement in (
            (r"(\\*[\"'])(?!\[redacted\])(?:(?!\2)(?:\\.|[^\\]))++", rf"\1\2{HIDDEN}"),
            (r"(?!\[redacted\])[^\s\"'\\,;&}][^\s\"'\\;&}]{2,}+", rf"\1{HIDDEN}"),
        )
    ),
)
"""Words without one of which there is nothing to find, in small letters; what is looked for; what stands there then."""

_RAREST_FIRST = "\\qjxzkvw/_ybpgufmclhd:-rnsiaote. "


def _any_of(words: Iterable[str]) -> str:
    """A pattern of some words, each tried at its rarest letter: a search then stops at few letters of a text.

    Words with the same one are tried together, so that at most letters one look says that there is none.
    """
    by_letter: dict[str, list[str]] = {}
    for word in words:
        at = min(range(len(word)), key=lambda at: _RAREST_FIRST.index(word[at]))
        before = f"(?<={re.escape(word[: at + 1])})" if at else ""
        by_letter.setdefault(word[at], []).append(before + re.escape(word[at + 1 :]))
    return "|".join(f"{re.escape(letter)}(?:{'|'.join(rests)})" for letter, rests in sorted(by_letter.items()))


def _shortest(words: frozenset[str]) -> list[str]:
    """Those that hold no other."""
    return sorted(word for word in words if not any(other in word for other in words - {word}))


_WORDS_AT_ALL = frozenset(word for words, _, _ in _PATTERNS for word in words)
_ANY_WORD = re.compile(_any_of(_shortest(_WORDS_AT_ALL | {"\\u"})))
"""Any of the words, or what could spell one. Three to seven times as fast as if tried at their beginnings."""
_SHORT = 500
"""Of a text so short it is quicker to ask first whether there is any of the words at all."""
_DIGITS = b"0123456789"

_also: tuple[re.Pattern[str], ...] = ()
"""The operator's own. Set once, before anything is read: what is hidden is not for who hands in a text to say."""

DATA_BYTES = 16 * 1024
ERROR_BYTES = 8 * 1024
NAME_BYTES = 1024
DEAD_LETTER_BYTES = 64 * 1024


def hide_also(patterns: Iterable[re.Pattern[str]]) -> None:
    """Hide from now on what these find, too. They were tried before: patterns.py."""
    global _also
    _also = tuple(patterns)
    _known_name.cache_clear()


def text(value: str, limit: int = ERROR_BYTES) -> str:
    """Free text: secrets that can be recognised are hidden, then it is cut to about `limit` bytes of UTF-8.

    Text that is JSON is read as JSON: an error's message often is the answer of some API.
    """
    if _holds_nothing(value, limit):
        return value
    return _hide_in_json(value, limit) if value.lstrip()[:1] in ("{", "[") else _finish(value, limit, value)


def name(value: str) -> str:
    """A name of which there are few, to be seen again and again: a job's, an error's, a worker's, a stack's frame."""
    return _known_name(value) if len(value) <= _SHORT else text(value, NAME_BYTES)


@lru_cache(maxsize=4096)
def _known_name(value: str) -> str:
    return text(value, NAME_BYTES)


def json_text(value: str, limit: int = DATA_BYTES) -> str:
    """JSON text: values under secret names hidden at any depth, also in JSON inside strings; then as `text`.

    JSON that holds nothing of the kind stays as it was written, to the letter. Of JSON too long to be kept only the
    beginning is looked through.
    """
    return value if not value or _holds_nothing(value, limit) else _hide_in_json(value, limit)


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

    Many texts differ from others by their numbers alone, and no word holds a digit: what is left is known then.
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


def _hide_in_json(value: str, limit: int) -> str:
    """JSON by its structure, and what only looks like JSON by patterns."""
    walk = _Walk(2 * limit)
    try:
        parsed = parse(value)
        hidden = walk.hide(parsed)
    except (NotJson, RecursionError):
        return _finish(value, limit, value)
    return _finish(value if hidden is parsed else write(hidden), limit, value, is_cut=walk.is_cut)


def _finish(shown: str, limit: int, whole: str, *, is_cut: bool = False) -> str:
    """Hide what patterns find in the part that may be kept, and cut. whole: the text as it came, for its length."""
    looked_at = shown[: 2 * limit]
    is_cut |= len(looked_at) < len(shown)
    small = looked_at.lower()
    may_be = len(small) > _SHORT or _ANY_WORD.search(small) is not None
    for words, pattern, replacement in _PATTERNS if may_be else ():
        if any(word in small for word in words):
            looked_at = pattern.sub(replacement, looked_at)
    looked_at = cards.hide(looked_at, _hidden)
    for pattern in _also:
        looked_at = pattern.sub(_hidden, looked_at)
    raw = looked_at.encode(errors="replace")
    if len(raw) <= limit and not is_cut:
        return raw.decode()
    return f"{raw[:limit].decode(errors='ignore')}{cut_mark(len(whole.encode(errors='replace')))}"


def _hidden(found: re.Match[str]) -> str:
    """What stands there then: where a number of JSON stood, a text of JSON."""
    before = found.string[max(0, found.start() - 8) : found.start()].rstrip()
    after = found.string[found.end() : found.end() + 8].lstrip()
    is_value = before.endswith(('":', "[", ",")) and not before.endswith('\\":') and after.startswith((",", "]", "}"))
    return f'"{HIDDEN}"' if found[0].isdecimal() and is_value else HIDDEN


class _Walk:
    """Goes through parsed JSON as far as it will be kept. left: characters still wanted; at 0 the rest is dropped."""

    def __init__(self, characters: int) -> None:
        self.left = characters
        self.is_cut = False

    def hide(self, value: Any) -> Any:
        """The value without what stands under secret names: itself if there was nothing to hide."""
        if isinstance(value, dict):
            return self._hide_members(cast(dict[str, Any], value))
        if isinstance(value, list):
            return self._hide_items(cast(list[Any], value))
        if isinstance(value, str):
            self.left -= len(value)
            return self._hide_inside(value) if value.lstrip()[:1] in ("{", "[", '"') else value
        self.left -= 4
        return value

    def _hide_members(self, members: dict[str, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        is_pair = any(_names_secret(members[name]) for name in members if name.lower() in _NAMING)
        for name, inner in members.items():
            if self._is_done():
                break
            self.left -= len(name)
            is_secret = SECRET_NAMES.search(name) or (is_pair and name.lower() in _NAMED)
            kept[name] = HIDDEN if inner and is_secret else self.hide(inner)
        same = len(kept) == len(members) and all(kept[name] is inner for name, inner in members.items())
        return members if same else kept

    def _hide_items(self, items: list[Any]) -> list[Any]:
        kept: list[Any] = []
        before: Any = None
        for inner in items:
            if self._is_done():
                break
            is_secret = inner and isinstance(inner, str) and _names_secret(before)  # ["Cookie", "sid=…"]
            kept.append(HIDDEN if is_secret else self.hide(inner))
            before = inner
        same = len(kept) == len(items) and all(mine is its for mine, its in zip(kept, items, strict=True))
        return items if same else kept

    def _hide_inside(self, value: str) -> str:
        """JSON inside a string. Its characters are counted already."""
        walk = _Walk(self.left + len(value))
        try:
            parsed = parse(value)
            hidden = walk.hide(parsed)
        except (NotJson, RecursionError):
            return value
        self.is_cut |= walk.is_cut
        return value if hidden is parsed else write(hidden)

    def _is_done(self) -> bool:
        self.is_cut |= self.left <= 0
        return self.is_cut


def _names_secret(value: Any) -> bool:
    """Whether a value is itself the name of a secret: a header's, a form field's."""
    return isinstance(value, str) and len(value) <= 64 and " " not in value and bool(SECRET_NAMES.search(value))
