"""A secret is hidden in whatever an app made of an object: JSON in a text or cut short, Node's prints, a form, XML."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.redaction import embedded, redact
from bridge.sources.bullmq.attempts import Failure
from bridge.sources.bullmq.translate import Place, add_failure

CANARY = "canary-7f3a9c"
HIDDEN = redact.HIDDEN

SHAPES = {
    "object in a text": (
        f'400 from API: {{"credentials":{{"id":"a","value":"{CANARY}"}}}} at 7',
        f'400 from API: {{"credentials":"{HIDDEN}"}} at 7',
    ),
    "list in a text": (f'oops {{"tokens":["{CANARY}","b"]}}!', f'oops {{"tokens":"{HIDDEN}"}}!'),
    "behind a lone quote": (f'it\'s 5" {{"tokens":["{CANARY}"]}}', f'it\'s 5" {{"tokens":"{HIDDEN}"}}'),
    "lines of JSON": (
        f'{{"a": 1}}\n{{"tokens":["{CANARY}"]}}\n{{"b": 2}}',
        f'{{"a": 1}}\n{{"tokens":"{HIDDEN}"}}\n{{"b": 2}}',
    ),
    "raw line end in JSON": (f'{{"a":"x\ny","tokens":["{CANARY}"]}}', f'{{"a":"x\\ny","tokens":"{HIDDEN}"}}'),
    "cut short": (f'{{"a":[{{"b":1}}],"credentials":{{"c":"{CANARY}', f'{{"a":[{{"b":1}}],"credentials":"{HIDDEN}"'),
    "pair in a text": (
        f'sent [{{"name":"x-api-key","value":"{CANARY}"}}, 1]',
        f'sent [{{"name":"x-api-key","value":"{HIDDEN}"}},1]',
    ),
    "pair cut short": (
        f'sent [{{"name": "x-api-key", "value": "{CANARY}',
        f'sent [{{"name": "x-api-key", "value": "{HIDDEN}',
    ),
    "headers in a text": (f'got ["Host","x","Cookie","{CANARY}"]', f'got ["Host","x","Cookie","{HIDDEN}"]'),
    "escaped name": (f'got {{"p\\u0061ssword":"{CANARY}"}}', f'got {{"password":"{HIDDEN}"}}'),
    "escaped name, cut short": (f'{{"a":1,"p\\u0061ssword":"{CANARY}', f'{{"a":1,"password":"{HIDDEN}'),
    "JSON in quotes": (
        f'body: "{{"name":"x-api-key","value":"{CANARY}"}}" end',
        f'body: "{{"name":"x-api-key","value":"{HIDDEN}"}}" end',
    ),
    "quotes escaped twice": (
        f'x {{\\"password\\":\\"a\\\\\\"{CANARY}\\",\\"b\\":1}}',
        f'x {{\\"password\\":\\"{HIDDEN}\\",\\"b\\":1}}',
    ),
    "Node's list": (f"{{ user: 'ann', tokens: [ '{CANARY}' ] }}", f"{{ user: 'ann', tokens: {HIDDEN} }}"),
    "Node's list over lines": (
        f"{{\n  user: 'ann',\n  tokens: [\n    'a]',\n    '{CANARY}'\n  ],\n  n: 5\n}}",
        f"{{\n  user: 'ann',\n  tokens: {HIDDEN},\n  n: 5\n}}",
    ),
    "Node's older list": (f"{{ tokens:\n   [ '{CANARY}' ] }}", f"{{ tokens:\n   {HIDDEN} }}"),
    "Node's object": (
        f"{{ cookies: [Object: null prototype] {{ sid: '{CANARY}' }}, n: 5 }}",
        f"{{ cookies: {HIDDEN}, n: 5 }}",
    ),
    "Node's own class": (
        f"{{ credentials: <ref *1> Login {{ deep: {{ a: '{CANARY}' }} }}, n: 5 }}",
        f"{{ credentials: {HIDDEN}, n: 5 }}",
    ),
    "Node's Map": (f"Map(1) {{ 'password' => '{CANARY}' }} ok", f"Map(1) {{ 'password' => '{HIDDEN}' }} ok"),
    "Node's Map under a name": (f"{{ tokens: Map(1) {{ 'a' => '{CANARY}' }} }}", f"{{ tokens: {HIDDEN} }}"),
    "Node's text over lines": (
        f"{{ privateKey: 'first\\n' +\n    'it\\'s {CANARY}\\n' +\n    '{CANARY}', n: 5 }}",
        f"{{ privateKey: '{HIDDEN}', n: 5 }}",
    ),
    "Node's Buffer": (f"{{ password: <Buffer 63 {CANARY}>, n: 5 }}", f"{{ password: {HIDDEN}, n: 5 }}"),
    "Node's apostrophe": (f"{{ tokens: [ Error: can't, '{CANARY}' ], n: 5 }}", f"{{ tokens: {HIDDEN}, n: 5 }}"),
    "Node's arguments": (
        f"spawnargs: [ '--password', 'it\\'s {CANARY}', '--user', 'x' ]",
        f"spawnargs: [ '--password', '{HIDDEN}', '--user', 'x' ]",
    ),
    "command": (f"x --password 'a \"b\" {CANARY}' --n 1", f"x --password '{HIDDEN}' --n 1"),
    "command in JSON": (
        f'{{"cmd":"x --token \\"{CANARY} y\\" --n 1", "n": 2',
        f'{{"cmd":"x --token \\"{HIDDEN}\\" --n 1", "n": 2',
    ),
    "Node's headers": (
        f"{{ rawHeaders: [ 'Set-Cookie',\n 'sid={CANARY}', 'Host', 'x' ] }}",
        f"{{ rawHeaders: [ 'Set-Cookie',\n '{HIDDEN}', 'Host', 'x' ] }}",
    ),
    "Node's pair": (f"{{ name: 'x-api-key', value: '{CANARY}' }}", f"{{ name: 'x-api-key', value: '{HIDDEN}' }}"),
    "Python's bytes": (f"{{'password': b'{CANARY}', 'n': 5}}", f"{{'password': b'{HIDDEN}', 'n': 5}}"),
    "form of lists": (
        f"user[password]={CANARY}&tokens%5B%5D={CANARY}&n=5",
        f"user[password]={HIDDEN}&tokens%5B%5D={HIDDEN}&n=5",
    ),
    "form of parts": (
        f'--b\r\nContent-Disposition: form-data; name="password"\r\nContent-Type: text/plain\r\n\r\n{CANARY}\r\n--b--',
        f'--b\r\nContent-Disposition: form-data; name="password"\r\nContent-Type: text/plain\r\n\r\n{HIDDEN}\r\n--b--',
    ),
    "HTML's form": (
        f'<input type="hidden" name="user[token]"\nvalue="a {CANARY}"><input name="n" value="5">',
        f'<input type="hidden" name="user[token]"\nvalue="{HIDDEN}"><input name="n" value="5">',
    ),
    "HTML's form, value first": (
        f"<input value='a {CANARY}' type=password><input value='5'>",
        f"<input value='{HIDDEN}' type=password><input value='5'>",
    ),
    "HTML without quotes": (f"<input name=otp value={CANARY}> ok", f"<input name=otp value={HIDDEN}> ok"),
    "HTML's meta": (
        f'<meta name="csrf-token" content="{CANARY}" /> <p>ok</p>',
        f'<meta name="csrf-token" content="{HIDDEN}" /> <p>ok</p>',
    ),
    "setting": (f'<add key="DbPassword" value="{CANARY}" /> ok', f'<add key="DbPassword" value="{HIDDEN}" /> ok'),
    "Python's tuple": (f"{{'a': ('token', 'x {CANARY}')}}", f"{{'a': ('token', '{HIDDEN}')}}"),
    "Python's tuple of bytes": (
        f"[(b'x-api-key', b'{CANARY}'), (b'accept', b'x')]",
        f"[(b'x-api-key', b'{HIDDEN}'), (b'accept', b'x')]",
    ),
    "CDATA": (f"<dbPassword><![CDATA[<{CANARY}>]]></dbPassword> ok", f"<dbPassword>{HIDDEN}</dbPassword> ok"),
    "elements": (
        f"<credentials>\n <user>a</user><value>{CANARY}</value>\n</credentials> ok",
        f"<credentials>{HIDDEN}</credentials> ok",
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_only_the_secret_is_hidden_in_a_text(shape: str) -> None:
    told, shown = SHAPES[shape]

    assert redact.text(told) == shown
    assert redact.json_text(told) == shown
    assert redact.text(shown) == shown


@pytest.mark.parametrize("shape", SHAPES)
def test_a_secret_is_hidden_in_a_text_of_json_at_any_depth(shape: str) -> None:
    once = json.dumps({"m": f"said: {SHAPES[shape][0]}"})
    twice = json.dumps({"n": [once]})
    for text in (
        once,
        twice,
        f"it said {once} and",
        f"it said {twice}",
        json.dumps(twice) + " and",
        once[:-2],
        twice[:-6],
    ):
        assert CANARY not in redact.text(text)
        assert CANARY not in redact.json_text(text)


@pytest.mark.parametrize(
    "text",
    [
        'Unexpected token "]" in {"a": [1,  2.0]} of [x] {y}',
        "Unexpected token } in JSON at position 7: { }",
        '{"tokens": [], "password": "", "secret": {}}\n{"tokens" :[ ] }',
        "{ tokens: [], credentials: {}, password: '' }",
        "expected 'token', got 'id' { a: 1 }",
        'the {"nöte" : "the token is [not] it\'s \\u00e9"} "{" here',
        "<author>ann</author> <token></token> <compass><north/></compass>",
        "name=ann\r\n\r\nthe token is gone",
        "class Token { a: 1 }",
        'unique on ["token","user"], ["apiKey","user_id"], ["--password","--host"] of 7',
        "expect('token', 'x') of ('token', 'userId') or ('user', 'token', 'x'), (the 'token', 'x')",
        '<input name="author" value="x"><input name="token"><input value="x" class="a">',
        '<option value="1">token</option>',
        '<input name="token" value=""> <p name="token">value="x"</p>',
    ],
)
def test_a_text_with_brackets_and_no_secret_stays_to_the_letter(text: str) -> None:
    for told in (text, json.dumps({"m": text}), json.dumps(json.dumps([text, 1], ensure_ascii=False))):
        assert redact.text(told) == told
        assert redact.json_text(told) == told


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet="{}[]()\"'`\\:,=<>/!+ \né€01nu"))
def test_any_text_that_names_no_secret_stays_to_the_letter(text: str) -> None:
    for told in (f"{text} token.", f"token. {text}", text, f"é{text}"):
        assert redact.text(told) == told


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="{}[]\"'\\:, \nab01"), st.text(alphabet="{}[]\"'\\:, \nab01"))
def test_json_in_any_text_is_read(before: str, after: str) -> None:
    """Odd quotes and brackets before it mislead nobody."""
    told = f'{before}\n{{"headers":["dbPassword","{CANARY}"]}}{after}'

    assert CANARY not in redact.text(told)


BEGINNINGS = [
    "{", '{"', '["', '["a",', '{"a":', '[{"a":', '{"a":"', '"{', '"{\\"', '"\\"', '[""]', "[1,", '{"a":[1],"',
    '{"token":"x"}', 'x ["token","x"] ', '"\\u0061', "token:[", 'token:{"', "token: [ '", "token:'a' + ", "token b'",
    'token","v":', "token[a]", "token: Map(1) ", "token: [Object] ", "token:\\n", 'token: \\\\\\"', "<token>",
    "<token><a>", "<a.b:token ", 'name="token"\n', 'name=\\"token\\"\\n\\n', '\n"Cookie",', "otp:[", "pin:{",
    "--token '", "'--token', '", "--token \\", "--a-a-token-", "--token '} ,",
    "create role ", "create user\npassword ", "PASSWORD ", "PASSWORD '", "PASSWORD\\n",
    "('token', '", "('", "('token',", "<a name=token ", "<input value='", "<a name='token' value='", "<a value=a",
    "/hooks/", "webhooks/12345678901234567/", "/hooks/aaaaaaaaaaaaaaaaa/", "SG.a", "ya29.a.", "s%3Aaaaaaaaaaaaaaaaaa.",
    "\n", ",\n", "[\n", "\\n", "cookie\n", '["Cookie",\n',
]  # fmt: skip


@pytest.mark.parametrize("unit", BEGINNINGS)
def test_many_beginnings_of_a_shape_take_no_time(unit: str) -> None:
    text = unit * (5_000_000 // len(unit))
    begun = time.process_time()
    shown = redact.json_text(f"token cookie {text}")
    letter = redact.text(text, redact.DEAD_LETTER_BYTES)

    assert time.process_time() - begun < 3
    assert len(shown.encode()) < redact.DATA_BYTES + 100
    assert len(letter.encode()) < redact.DEAD_LETTER_BYTES + 100


@pytest.mark.parametrize("unit", BEGINNINGS)
def test_what_is_read_in_vain_is_bounded(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    budget = embedded.Budget.of(text)
    before = budget.characters, budget.tries

    assert embedded.replace(text, lambda value: value, budget) == text
    assert before[0] - budget.characters <= 17 * len(text)
    assert before[1] - budget.tries <= 1000


@pytest.mark.parametrize("before", ["Batch token failed: ", "Stapel für heute: "])
def test_text_with_many_texts_of_json_inside_and_no_secret_stays_to_the_letter(before: str) -> None:
    inside = json.dumps(json.dumps([json.dumps({"id": number, "n": "x"}) for number in range(60)]))
    text = f"{before}{inside} caused by ECONNREFUSED"

    assert redact.text(text) == text


def test_what_is_read_in_vain_is_bounded_for_all_texts_inside_a_text() -> None:
    """Each of so many texts alone would use up as much as the whole may."""
    text = json.dumps(['x {"' * 500] * 50)
    budget = embedded.Budget.of(text)
    spent: list[Any] = []

    def hide(value: Any) -> Any:
        spent.append([embedded.replace(item, lambda inner: inner, budget) for item in value])
        return value

    embedded.replace(text, hide, budget)
    assert len(spent) == 1
    assert budget.tries == 0


PEM = f"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\n{CANARY}\n-----END PRIVATE KEY-----"
CALLS = ("at sign (/app/node_modules/jsonwebtoken/sign.js:1:2)", "at async /app/auth/pin.js:3:4")


@pytest.mark.parametrize(
    ("cause", "shown"),
    [
        (f"Caused by: Error: bad key {PEM}", f"Caused by: Error: bad key {HIDDEN}"),
        (f"[cause]: {{ tokens: [\n'{CANARY}'\n] }}", f"[cause]: {{ tokens: {HIDDEN} }}"),
        (f'{{\n"headers": [\n"Cookie",\n"{CANARY}"\n]\n}}', f'{{\n"headers": [\n"Cookie",\n"{HIDDEN}"\n]\n}}'),
        (f"password:\n{CANARY}", f"password:\n{HIDDEN}"),
        ("Caused by: Error: the token is [gone]", "Caused by: Error: the token is [gone]"),
    ],
)
def test_a_secret_over_several_lines_of_a_stack_is_hidden(cause: str, shown: str) -> None:
    record = Place("prod", "main", "mail").record("failed", epoch=1, tail="1", ts=1)
    add_failure(record, Failure("m", "Error", (CALLS[0], *cause.split("\n"), CALLS[1])))

    assert record.stack == [CALLS[0], *shown.split("\n"), CALLS[1]]


def test_a_stack_of_known_frames_is_not_looked_at_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    assert redact.lines(CALLS) == list(CALLS)
    monkeypatch.setattr(redact, "text", None)

    assert redact.lines(CALLS * 9) == list(CALLS * 9)


def test_a_stack_of_long_lines_is_cut_line_by_line() -> None:
    long = "x" * 3000
    assert redact.lines([long, *CALLS]) == [long[:1024] + redact.cut_mark(3000), *CALLS]
