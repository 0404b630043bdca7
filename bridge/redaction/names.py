"""Which names are secrets', and how one is written in a text. Pure."""

import re
from collections.abc import Iterable

from bridge.jsontext import ESCAPED
from bridge.redaction.words import any_of

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
    *("ssh key", "license key", "licence key", "mfa code", "2fa code", "two factor code", "verification code"),
    *("connect.sid", "phpsessid"),
)
"""A name that holds one of these anywhere is a secret's. A space stands for " ", "-", "_" or nothing.

`sid` alone is none: it is as often an id of Twilio, Windows, Oracle, Snort or a shop.
"""
_ENDS = ("pass", "auth", "pin", "sig", "pw")
"""A name that is one of these, or ends with it as a word of its own (DB_PASS, userPin), is a secret's."""
_CODES = ("jwt", "cvv", "cvc", "otp", "totp", "ssn", "iban")
"""A name that has one of these as a word of its own is a secret's: otp_code, cardCVV, ssnLast4."""


def _camel(words: Iterable[str]) -> str:
    """A pattern of words in a camel's humps."""
    return "|".join(hump for word in words for hump in (word.capitalize(), word.upper()))


def _at_first_letters(patterns: Iterable[str]) -> str:
    """A pattern of some, one branch a letter: in `(?i)` each branch costs a try wherever a text is looked at."""
    by_letter: dict[str, list[str]] = {}
    for pattern in patterns:
        by_letter.setdefault(pattern[0], []).append(pattern[1:])
    return "|".join(f"{letter}(?:{'|'.join(rests)})" for letter, rests in sorted(by_letter.items()))


ANY_PART = _at_first_letters(re.escape(part).replace(r"\ ", "[-_ ]?") for part in _PARTS)
ANY_END, ANY_CODE = "|".join(_ENDS), "|".join(_CODES)
_CODE = rf"(?:(?:{'|'.join(code.capitalize() for code in _CODES)})(?![a-z])|(?:{ANY_CODE.upper()})(?![A-Z](?![a-z])))"
"""One in a hump, to the end of its word."""
SECRET_NAMES = re.compile(
    rf"(?i:{ANY_PART})|(?:^|[-_])(?i:{ANY_END}|{ANY_CODE})$|[a-z0-9](?:{_camel(_ENDS)})$"
    rf"|(?<![^\W_])(?:{ANY_CODE})(?![a-z])|(?<![A-Z]){_CODE}"
)
_WORDS = tuple(word for part in _PARTS for word in {part.replace(" ", between) for between in ("", "-", "_", " ")})
_PART_NAME = rf"(?i:{ANY_PART})[\w-]{{0,64}}+"
_END_NAME = rf"(?:(?:(?<![^\W_-])|{ESCAPED})(?i:{ANY_END})|(?<=[a-z0-9])(?:{_camel(_ENDS)}))(?![\w-])"
_CODE_NAME = (
    rf"(?:(?:(?<![^\W_])|{ESCAPED})(?:(?i:{ANY_CODE})(?![\w-])|(?:{ANY_CODE})(?![a-z])[\w-]{{0,64}}+)"
    rf"|(?<![A-Z]){_CODE}[\w-]{{0,64}}+)"
)
NAMES = ((_WORDS, _PART_NAME), (_ENDS, _END_NAME), (_CODES, _CODE_NAME))
"""Names in a text, each with the words without one of which there is none."""
ANY_NAME = any_of(word for words, _ in NAMES for word in words)
START = rf"(?:(?<![\w-])|{ESCAPED})"
FLAG = (
    rf"{START}--(?!no-)(?:(?i:(?:[\w-]{{0,32}}[-_])?(?:{ANY_END}|{ANY_CODE})|[\w-]{{0,32}}?(?:{ANY_PART}))"
    rf"|[\w-]{{0,32}}?[a-z0-9](?:{_camel(_ENDS)}))(?![\w-])"
)
"""A flag of a command line whose value is a secret: `--password`, `--db-pass`, `--accessToken`."""
OTHER = (
    r"(?i:(?:user|client|tenant)?[-_]?id|(?:user[-_]?)?name|user|e-?mail|type|status|(?:created|updated|expires)[-_]?at"
    r"|--[a-z][\w-]{0,64})"
)
"""What stands beside a secret's name in a list of names or flags, not as its value: `["token", "user_id"]`."""
_OTHER = re.compile(OTHER)
_ESCAPE = re.compile(r"\\{1,8}+u([0-9a-fA-F]{4})")
_ESCAPED_NAME = re.compile(rf"(?<=[\"'`])(?:[\w-]{{0,64}}+{_ESCAPE.pattern}){{1,64}}[\w-]{{0,64}}+(?=\\*+[\"'`]\s*+:)")


def names_secret(value: object) -> bool:
    """Whether a value is itself the name of a secret: a header's, a form field's."""
    return isinstance(value, str) and len(value) <= 64 and " " not in value and bool(SECRET_NAMES.search(value))


def names_other(value: str) -> bool:
    """Whether what stands behind the name of a secret is but another name, or another flag."""
    return _OTHER.fullmatch(value) is not None


def spell_out(text: str) -> str:
    """A text with the names of secrets written without JSON's escapes of letters: `p\\u0061ssword`."""
    return _ESCAPED_NAME.sub(_spelled, text) if "\\u" in text else text


def _spelled(found: re.Match[str]) -> str:
    name = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), found[0])
    return name if name.isascii() and SECRET_NAMES.search(name) else found[0]
