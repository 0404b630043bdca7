r"""What stands after a secret's name in a text, in quotes or brackets, to where these close. Pure.

So JSON is written that cannot be read (cut short, escaped once more), and what is not JSON: objects as Node.js and
Python print them, `{ tokens: [ 'a' ], cookies: Map(1) { 'sid' => 'b' } }`. What never closes is hidden to the end.
Linear in the length of the text: what was gone through once is not looked at again.
"""

import re

from bridge.redaction.names import ANY_NAME, FLAG, HIDDEN, NAMES, OTHER

SPACE = r"(?:\s|\\{1,8}+[nrt])*+"
_INDEX = r"(?:(?:\[|%5[bB])?+\w{0,64}+(?:\]|%5[dD])){1,4}+"
IS = (
    r"(?:(?:(?P<quote>\\*+[\"'`])|\\++)?+\s*+"
    rf"(?:(?:=>|[=:]){SPACE}|(?(quote),{SPACE}\\*+[\"'`]?(?i:values?|val|v)\\*+[\"'`]?\s*+:{SPACE}|(?!)))"
    rf"|{_INDEX}=)"
)
"""Between a name and its value: `name: v`, `'name' => v`, `"name","value":v`, and a form's `user[name][0]=v`."""
_KIND = r"(?:(?:<ref \*\d{1,6}>|\[[\w$: ]{1,64}\]|[A-Z][\w$]{0,63}+(?:\(\d{1,9}\))?) ){0,3}"
"""What Node.js prints before a bracket: `Map(1) {`, `[Object: null prototype] {`."""
_OPEN = r"(?P<open>\\*+[\"'`]|[\[{])"
_HEADER = rf"(?:^|[\[,]|(?<!\s)\n){SPACE}\\*+[\"'`](?i:(?:set-)?cookie|(?:proxy-)?authorization|x-api-key|x-auth-token)"
"""Of a list of names and values by turns."""
_QUOTE = r"\\*+[\"'`]"
_GOES_ON_BEHIND = (
    rf",{SPACE}(?:{_QUOTE}|[a-zA-Z_$][\w$]{{0,64}}+:\s|[\[{{]{SPACE}(?:{_QUOTE}|[\[\]{{}}\d])"
    rf"|(?:true|false|null|-?\d[\d.eE+-]{{0,30}}){SPACE}[,\]}}])"
    rf"|[\]}}]{SPACE}(?:{_QUOTE}|[,\]}}]|$)"
)
_IS_CLOSED = rf"(?:\s|$|{_GOES_ON_BEHIND})"
"""What stands behind a quote that closes a text in JSON or in what Node.js prints: it opens none."""
_NO_LABEL = rf"(?(quote)|(?!(?<=[\"'`])(?:{_GOES_ON_BEHIND})))"
"""But for `"label":"Password:","n":1`, where the quote closes what the name stands in."""
_OPENED = (
    *((words, re.compile(rf"{name}{IS}(?P<what>{_KIND}[bruBRU]{{0,2}}+{_OPEN}){_NO_LABEL}")) for words, name in NAMES),
    (
        ("cookie", "authorization", "x-"),
        re.compile(rf"{_HEADER}(?P<quote>\\*+[\"'`])\s*+,{SPACE}(?=[\\\"'`])(?P<what>{_OPEN})"),
    ),
    *(
        (
            words,
            re.compile(
                rf"\((?:(?<![\w)\]]\()|(?<=\\[nrt]\()){SPACE}[bruBRU]?(?P<quote>{_QUOTE})[\w.-]{{0,64}}?{name}(?P=quote)\s*+,"
                rf"{SPACE}(?P<what>[bruBRU]{{0,2}}+(?P<open>{_QUOTE}))(?!{OTHER}(?P=open))"
            ),
        )
        for words, name in NAMES
    ),
    (
        ("--",),
        re.compile(
            rf"{FLAG}(?:(?P<quote>{_QUOTE})(?:\s++|\s*+,{SPACE})|\s++)(?P<what>(?P<open>{_QUOTE}))(?!--\w|{_IS_CLOSED})"
        ),
    ),
)
_MARK = re.compile(r"(?<!\\)\\*+[\"'`]|[\[\]{}]")
_CLOSES = {"[": "]", "{": "}"}
_GOES_ON = re.compile(rf"(\\*+[\"'`]){SPACE}\+{SPACE}(?=\\*+[\"'`])")
"""Node.js prints a text of many lines as `'a\\n' +` and the next."""


def hide(text: str) -> str:
    """The text with `[redacted]` where such a value stands. What is empty, or hidden already, stays."""
    small = text.lower()
    if ANY_NAME.search(small) is None:
        return text
    for words, opened in _OPENED:
        if any(word in small for word in words):
            text = _hide(text, opened)
    return text


def _hide(text: str, opened: re.Pattern[str]) -> str:
    kept: list[str] = []
    told = at = 0
    while found := opened.search(text, at):
        at = found.end()
        is_bracket = found["open"] in _CLOSES
        if text.startswith(HIDDEN, at - is_bracket):
            continue
        end = _end_of(text, found.start("open"))
        if not (text[at:end].strip() if is_bracket else at < end):
            continue
        quote = found["quote"] or ""
        kept += (text[told : found.start("what")], quote, HIDDEN, quote) if is_bracket else (text[told:at], HIDDEN)
        told = at = end + is_bracket if is_bracket else _end_of_all(text, end)
    return "".join([*kept, text[told:]]) if kept else text


def _end_of(text: str, at: int) -> int:
    """Where the bracket or quote that opens here closes, or the end of the text. Brackets in quotes are none."""
    waits: list[str] = []
    quote = ""
    for found in _MARK.finditer(text, at):
        mark = found[0]
        if quote:
            quote = "" if _closes(mark, quote) else quote
        elif mark in _CLOSES:
            waits.append(_CLOSES[mark])
        elif waits and mark == waits[-1]:
            waits.pop()
        elif mark[-1] in "\"'`" and not _is_apostrophe(text, found.start(), at):
            quote = mark
        if not quote and not waits:
            return found.start()
    return len(text)


def _closes(mark: str, quote: str) -> bool:
    """Whether this quote closes that one: at each depth of JSON in JSON a quote has its own number of backslashes.

    JSON escapes no other quotes, but the backslash that the text itself wrote before one.
    """
    if quote in ("'", "`"):
        return mark == quote
    return mark[-1] == quote[-1] and (len(mark) - 1) % (2 * len(quote)) == len(quote) - 1


def _is_apostrophe(text: str, at: int, opened: int) -> bool:
    """Whether it stands in a word, so that it quotes nothing. opened: where the value begins."""
    return at > opened and text[at] == "'" and text[at - 1].isalnum() and text[at - 2] != "\\"


def _end_of_all(text: str, end: int) -> int:
    """Where the last of the quoted texts ends that are joined with the one that ends here."""
    while more := _GOES_ON.match(text, end):
        end = _end_of(text, more.end())
    return end
