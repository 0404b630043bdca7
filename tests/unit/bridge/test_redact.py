"""Nothing secret and nothing endless leaves: canaries everywhere, hostile texts, and time."""

import json
import time
from collections.abc import Generator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.redaction import redact
from bridge.redaction.patterns import read_patterns

CANARY = "canary-7f3a9c"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
KEY = f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----"

SECRET_NAMES = [
    "password", "dbPassword", "pass", "passwd", "passphrase", "clientSecret", "access_token", "apiKey", "api-key",
    "API_KEY", "Authorization", "cookie", "Set-Cookie", "credentials", "privateKey", "session_id", "auth", "cvv", "pin",
    "cardNumber", "ssn", "iban", "passwords", "DB_PASS", "user_pass", "dbPass", "pwd", "accessKey", "encryption_key",
    "jwt", "cvc", "passcode", "x-auth", "signingKey", "cardCVV", "userSSN", "smsOTP", "authJWT", "customerIBAN",
    "dbPASS", "otpCode", "otp_code", "OTP_CODE", "OTPCode", "cvvCode", "card-cvv-2", "ssnLast4", "userPIN", "pinCode",
    "passKey", "Bearer", "creds", "userCreds", "pw", "securityCode", "AccountKey", "totp", "totpCode", "userTOTP",
    "mfaCode", "mfa_code", "2faCode", "twoFactorCode", "verification_code", "sshKey", "ssh_key", "licenseKey",
    "LICENCE_KEY", "connect.sid", "PHPSESSID",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize(
    "value",
    [CANARY, f"two words {CANARY}", f'a "quoted" {CANARY}', {"inner": [CANARY]}, [CANARY], {"deep": {"er": CANARY}}],
    ids=["word", "words", "quotes", "object", "list", "deep"],
)
def test_value_under_a_secret_name_is_hidden_at_any_depth(name: str, value: object) -> None:
    for wrapped in ({name: value}, [{"a": [{name: value}]}], {"body": json.dumps({name: value})}):
        for text in (
            json.dumps(wrapped),
            json.dumps(json.dumps(wrapped)),
            json.dumps([json.dumps(json.dumps(wrapped))]),
        ):
            shown = redact.json_text(text)
            assert CANARY not in shown
            assert "redacted" in shown


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_value_under_a_secret_name_is_hidden_in_large_json(name: str) -> None:
    """5 MB: only the beginning is kept, and of that nothing secret."""
    text = json.dumps({"first": {name: {"inner": CANARY}}, "rest": ["x" * 100] * 50_000, name: CANARY})
    shown = redact.json_text(text)

    assert CANARY not in shown
    assert shown.endswith(redact.cut_mark(len(text)))
    assert len(shown.encode()) < redact.DATA_BYTES + 100


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize("spoil", ['{{"x":"\\ud800",{}}}', '{{"big":1e400,{}}}', '{{"n":1{:_>0}', '{{"nan":NaN,{}}}'])
def test_value_is_hidden_in_json_that_is_odd_or_broken(name: str, spoil: str) -> None:
    shown = redact.json_text(spoil.format(f'"{name}":"{CANARY} and more"'))

    assert CANARY not in shown


def test_value_is_hidden_in_json_nested_too_deeply_to_be_read() -> None:
    depth = 1500
    text = '{"a":' * depth + f'{{"cookie":"{CANARY}"}}' + "}" * depth

    assert CANARY not in redact.json_text(text)


IN_WORDS = [
    f"Authorization: Bearer {CANARY}",
    f"authorization: Token {CANARY}",
    f"curl -H 'Authorization: Basic {CANARY}'",
    f"Cookie: a=1; sid={CANARY}; b=2",
    f"got {{'password': '{CANARY}'}}",
    f'Request failed: {{"user":"x","password":"{CANARY}"}}',
    f"password={CANARY}&x=1",
    f"https://user:{CANARY}@host/path",
    f"redis://:{CANARY}@host:6379/0",
    f"postgres://u:{CANARY}@h/db",
    f"api_key: {CANARY}",
    f"X-Api-Key: {CANARY}",
    f"the token={CANARY}, sorry",
    f'escaped {{\\"clientSecret\\":\\"{CANARY} x\\"}}',
    f"https://user:p@{CANARY}@host/path",
    f"redis://:a/{CANARY}@host:6379/0",
    f"DB_PASS={CANARY}",
    f"user_pass: {CANARY}",
    f"mysqldump --password {CANARY} db",
    f"login --db-pass {CANARY}",
    f"mysqldump --password '{CANARY} x' db",
    f'login --api-token  "{CANARY} x" now',
    f"login --accessToken {CANARY} --dbPass 'x {CANARY}'",
    f"spawnargs: [ '--password', 'x {CANARY}', '--user', 'x' ]",
    f"https://x.example/blob?sv=1&sig={CANARY}",
    f"https://s3.example/x?X-Amz-Credential=AK&X-Amz-Signature={CANARY}",
    f"POST https://hooks.slack.com/services/T000/B000/{CANARY} failed",
    f"<soap:password type='x'>{CANARY}</soap:password>",
    f"curl -s -u bob:{CANARY} https://x.example",
    f"CREATE USER bob IDENTIFIED BY '{CANARY}'",
    f"CREATE ROLE bob WITH LOGIN PASSWORD '{CANARY}'",
    f"alter user \"bob\" with encrypted password 'it''s {CANARY}' valid until 'x'",
    f"create user mapping for bob server s options (user 'x', password '{CANARY}')",
    f'syntax error at or near "PASSWORD E\'{CANARY}"',
    f"Key (reset_token)=({CANARY}) already exists.",
    f"password=ab,{CANARY}",
    f"password=',1{CANARY}' and password: ',t{CANARY}', --password ',[{CANARY}'",
    f"pass phrase: {CANARY}",
    f"before\n{KEY}\nafter",
    f"-----BEGIN PRIVATE KEY-----\n{CANARY}\nno end",
]
IN_JSON = [
    f'{{"error":{{"secrets":["{CANARY}"]}}}}',
    f'["--password", "{CANARY}"]',
    f'[{{"k":"password","v":"{CANARY}"}}]',
]


@pytest.mark.parametrize("text", IN_WORDS + IN_JSON)
def test_secret_in_free_text_is_hidden(text: str) -> None:
    assert CANARY not in redact.text(text)
    assert CANARY not in redact.json_text(text)
    assert CANARY not in redact.json_text(json.dumps({"message": text}))


@pytest.mark.parametrize("text", IN_WORDS)
@pytest.mark.parametrize("before", ["", "\n", "Host: x\r\n", "x\t", "\x1b"])
def test_secret_is_hidden_behind_escaped_characters_of_json(text: str, before: str) -> None:
    """The `n` of `\\n` is no letter of the word behind it."""
    once = json.dumps({"message": before + text})
    twice = json.dumps({"body": "answer: " + once})
    for told in (once, twice, once.replace("/", "\\/"), twice.replace("/", "\\\\\\/")):
        assert CANARY not in redact.json_text(told)
        assert CANARY not in redact.text(f"it said {told}")


@pytest.mark.parametrize(
    "value",
    [
        {"rawHeaders": ["Host", "x", "Cookie", f"sid={CANARY}"]},
        {"headers": [["x-api-key", CANARY], ["accept", "*/*"]]},
        ["token", f"user {CANARY}"],
        {"form": [{"name": "password", "value": CANARY}]},
        [{"Key": "Authorization", "Value": [CANARY]}],
    ],
)
def test_value_beside_the_name_of_a_secret_is_hidden(value: object) -> None:
    assert CANARY not in redact.json_text(json.dumps(value))
    assert CANARY not in redact.json_text(json.dumps({"body": json.dumps(value)}))


@pytest.mark.parametrize(
    "token",
    [
        "sk_live_51H8abcdefgh",
        "sk-proj-abcdefghijklmnopqrst",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "github_pat_11ABCDEFG0123456789_abc",
        "xoxb-123456789012-abcdef",
        "glpat-abcdefghijklmnopqrst",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        "npm_abcdefghijklmnopqrstuvwxyz0123456789",
        "whsec_abcdefghijklmnopqrst",
        "123456789:AAabcdefghijklmnopqrstuvwxyz0123456",
        "123456789%3AAAabcdefghijklmnopqrstuvwxyz0123456",
        "SG.abcdefghijklmnopqrstuv.ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopq",
        "ya29.a0AfH6SMBxyzabcdefghijkl_-0123",
        "ya29.c.b0Aaekm1Kabcdefghijkl_-0123.xyz",
        "s%3Aabcdefghijklmnopqrstuvwxyz-_0123.abcdefghijklmnopqrstuvwxyzABCDEFGHIJK%2B0123",
    ],
)
def test_a_token_of_a_known_service_is_hidden_wherever_it_stands(token: str) -> None:
    assert redact.text(f"calling with {token} failed") == "calling with [redacted] failed"
    assert token not in redact.json_text(json.dumps({"note": [token]}))
    assert token not in redact.json_text(json.dumps({"note": f"first\n{token}\nlast"}))
    assert redact.text(f"?next=%2F{token}%26") == f"?next=%2F{redact.HIDDEN}%26"
    assert redact.text(f"\x1b[1;31m{token}\x1b[0m") == f"\x1b[1;31m{redact.HIDDEN}\x1b[0m"


@pytest.mark.parametrize(
    ("before", "secret", "after"),
    [
        ("https://api.telegram.org/bot", "123456789:AAabcdefghijklmnopqrstuvwxyz0123456", "/sendMessage"),
        ("https://api.telegram.org/file/bot", "123456789:AAabcdefghijklmnopqrstuvwxyz0123456", "/photos/1.jpg"),
        ("https://discord.com/api/webhooks/123456789012345678/", f"{CANARY}-{CANARY}", "?wait=true"),
        ("PATCH /api/v10/webhooks/1234567890123456789/", f"{CANARY}-{CANARY}", "/messages/@original"),
        ("https://hooks.slack-gov.com/", f"workflows/T000/{CANARY}", " failed"),
        ("https://hooks.zapier.com/", f"hooks/catch/1/{CANARY}/", " failed"),
        ("https://x.webhook.office.com/", f"webhookb2/{CANARY}@a-b/IncomingWebhook/c/d", " failed"),
        ("https://chat.example/hooks/", "abcdefghijklmnopqrstuvwxy7", "."),
        ("https://chat.example/hooks/abcdefghijklmnopq/", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789", " said"),
    ],
)
def test_a_token_in_the_path_of_a_url_is_hidden(before: str, secret: str, after: str) -> None:
    assert redact.text(f"{before}{secret}{after}") == f"{before}{redact.HIDDEN}{after}"
    once = json.dumps({"m": f"{before}{secret}{after}"})
    twice = json.dumps({"body": once})
    part = max(secret.split("/"), key=len)
    for told in (once, once.replace("/", "\\/"), twice, twice.replace("/", "\\\\\\/")):
        assert part not in redact.json_text(told)
        assert part not in redact.text(f"it said {told}")


@pytest.mark.parametrize(
    "text",
    [
        "bypass: enabled, compass: north, spin: fast",
        "git clone ssh://git@github.example/x.git",
        "connect ECONNREFUSED https://api.example.com:8443/path?mail=a@b.example",
        r'{"url":"https:\/\/api.example.com:8443\/path?mail=a@b.example"}',
        "at Object.<anonymous> (/app/node_modules/@scope/pkg/index.js:10:15)",
        "took 2026-11-25T03:00:00.000Z to 2026-11-25T03:00:01.000Z",
        "--password is required, or --token. See --token <api token>, --password --host x and --no-password db",
        "it's '--password' or \"--token\"; '--password', '--token' '--pin'; --password '' and --password-file 'x'",
        '{"help":"give --password ","n":[1,"--token "],"all":["--pin",1],"o":{"of":"--pin "}}',
        "{ help: 'give --password ', n: [ '--token ' ] }",
        "ALTER ROLE bob WITH PASSWORD NULL; -- no password 'yet', create user, then a password; PASSWORD ''",
        "sid=7 SID: S-1-5-21-7 (SID=ORCL) MessageSid: SM0123 kafka.sid=7 sid:2010935, inside: x, totpless: 7, sshKeys",
        "the password 'must be long', said the password policy: \"password\" too short",
        "paid in SG. Then msg.send failed in SG.",
        "task_live_updates_enabled of robots3A, bot12345:AA, ya29., libya.x",
        "at useSearch (/app/src/hooks/useDebouncedSearchParams.js:1:2)",
        "at send (/app/src/hooks/abcdefghijklmnopqrstuvwxy7.js:1:2)",
        "POST /api/webhooks/stripe, /webhooks/123456789012345678/orders, /hooks/catch",
    ],
)
def test_what_only_looks_like_a_secret_stays(text: str) -> None:
    assert redact.text(text) == text


def test_tokens_are_known_by_their_look() -> None:
    shown = redact.text(f"jwt {JWT} aws AKIAIOSFODNN7EXAMPLE end")

    assert shown == "jwt [redacted] aws [redacted] end"


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1.0, "b":[1e5, 100000000000000000000],  "c":"é\\u00e9"}',
        "42",
        '"text"',
        "null",
        '{"html":"<script>alert(1)</script>"}',
        '{"url":"https://example.com/a:b@c","mail":"a@b.example"}',
        '{"label":"Password:","next":["Token: ",1],"o":{"of":"PIN:"}}',
        '{"all":["secret:"],"a":[["pin:",[1]],["pin:",true]]}',
        '{"note":"pass the salt; author: me; pinned: 3"}',
        '{"OPTIONS":1,"spin":"fast","PINNED":"yes","compass":"north","ibanez":"red","wpwall":2,"design":"a","pin2":0}',
        '{"sid":"S-1-5-21-7","accountSid":"AC0123","kafka.sid":7,"assess_id":7,"licensed":true,"mfa":"on","totped":"x"}',
    ],
)
def test_json_without_secrets_stays_to_the_letter(text: str) -> None:
    assert redact.json_text(text) == text


def test_cut_text_tells_how_long_it_was() -> None:
    shown = redact.text("é" * 10_000, 100)

    assert shown == "é" * 50 + "…[cut, 20000 in all]"
    assert redact.cut("é" * 50, 100) == "é" * 50
    assert redact.cut("a" * 101, 100) == "a" * 100 + "…[cut, 101 in all]"


def test_endless_names_stay_different_and_short() -> None:
    first, second = redact.identifier("x" * 3000 + "1"), redact.identifier("x" * 3000 + "2")

    assert first != second
    assert len(first.encode()) <= redact.NAME_BYTES
    assert redact.identifier("order/7 é") == "order/7 é"


HOSTILE = {
    "words and dashes": "a-" * 2_500_000,
    "one word": "a" * 5_000_000,
    "tokens": "token-" * 800_000,
    "almost jwt": "eyJ-" * 1_250_000,
    "keys begun": "-----BEGIN PRIVATE KEY-----" * 180_000,
    "schemes": "a://b:" * 800_000,
    "bearers": "Bearer " * 700_000,
    "quotes": "password:'" * 500_000,
    "backslashes": 'password:"' + "\\" * 4_000_000,
    "colons": "password" + ":" * 4_000_000,
    "spaces": "cookie" + " " * 4_000_000,
    "brackets": "[" * 5_000_000,
    "strings in strings": '["' + '\\"[' * 1_000_000 + '"]',
    "half characters": '"' + "\\ud800" * 800_000 + '"',
    "nul": "\0" * 5_000_000,
    "json": json.dumps([{"k": "v" * 20, "n": 1}] * 120_000),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_text_of_5_mb_takes_no_time_and_leaves_short(kind: str) -> None:
    begun = time.process_time()
    shown = redact.json_text(HOSTILE[kind])
    letter = redact.text(HOSTILE[kind], redact.DEAD_LETTER_BYTES)

    assert time.process_time() - begun < 3
    assert len(shown.encode()) < redact.DATA_BYTES + 100
    assert len(letter.encode()) < redact.DEAD_LETTER_BYTES + 100
    msgspec.json.encode([shown, letter])


json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(json_values)
def test_any_json_can_be_encoded_afterwards(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False), json.dumps(json.dumps(value))):
        msgspec.json.encode(redact.json_text(text))


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters()), st.integers(10, 60))
def test_any_text_can_be_encoded_and_fits(text: str, limit: int) -> None:
    for shown in (redact.text(text, limit), redact.json_text(text, limit), redact.cut(text, limit)):
        msgspec.json.encode(shown)
        assert len(shown.encode()) <= limit + 40


def test_a_key_that_stands_for_the_user_of_an_address_is_hidden() -> None:
    assert redact.text("https://0123456789abcdef@sentry.example/1") == "https://[redacted]@sentry.example/1"


@pytest.mark.parametrize("number", [7, 8])
def test_texts_alike_but_for_numbers_are_told_apart_by_their_secrets(number: int) -> None:
    assert redact.json_text(f'{{"id":{number}}}') == f'{{"id":{number}}}'
    assert CANARY not in redact.json_text(f'{{"pin{number}":{number},"pin":"{CANARY}"}}')
    assert str(number) not in redact.json_text(f'{{"\\u0070in":{number}}}')


CARDS = [
    "4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "5555555555554444", "2223003122003222",
    "378282246310005", "3782 822463 10005", "30569309025904", "3530111333300000", "6011111111111117",
    "6205500000000000004",
]  # fmt: skip


@pytest.mark.parametrize("card", CARDS)
def test_the_number_of_a_card_is_hidden_wherever_it_stands(card: str) -> None:
    for text in (
        card,
        f"charge of {card} was refused.",
        f'card "{card}"',
        f"card={card}, 12/29",
        f"{card}\n" + "x" * 900,
    ):
        assert card not in redact.text(text), text
    for value in (
        {"body": {"number": card, "n": [card]}},
        [f"pays with\n{card}\n"],
        {"b": json.dumps({"number": card})},
    ):
        shown = redact.json_text(json.dumps(value))
        assert card not in shown
        json.loads(shown)


def test_a_card_that_is_a_number_of_json_leaves_json() -> None:
    shown = redact.json_text('{"number": 4111111111111111, "all":[5555555555554444,1], "n":4111111111111111}')
    hidden = redact.HIDDEN
    assert json.loads(shown) == {"number": hidden, "all": [hidden, 1], "n": hidden}


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",  # its check digit is wrong
        "1764135845123",  # a time in ms
        "20261126054739",
        "4006381333931",  # a barcode
        "175928847299117063",  # ids
        "411111111111111111",
        "0.4111111111111111",
        "/orders/4111111111111111",
        "order-4111111111111111",
        "x4111111111111111",
        "41111111111111110000000",
        "6b1f4c1e-4111-4111-8111-111111111111",
        '{"at":1764135845123,"until":1764135845999}',
    ],
)
def test_other_numbers_stay(text: str) -> None:
    assert redact.text(text) == text
    assert redact.json_text(json.dumps({"n": text})) == json.dumps({"n": text})


@pytest.fixture
def house_rules() -> Generator[None]:
    """Patterns of an operator's own."""
    redact.hide_also(read_patterns(r"\bEMP-[0-9]{6}\b (?i:iban\s[a-z]{2}[0-9]{2}) \b7{9}\b"))
    yield
    redact.hide_also(())


@pytest.mark.usefixtures("house_rules")
def test_what_the_operator_wants_hidden_is_hidden_too() -> None:
    assert redact.text("EMP-123456 is on leave") == f"{redact.HIDDEN} is on leave"
    assert redact.name("of EMP-123456") == f"of {redact.HIDDEN}"
    assert redact.text("é" + "x" * 900 + " Iban de12") == "é" + "x" * 900 + f" {redact.HIDDEN}"
    shown = redact.json_text('{"who":"EMP-123456","n":777777777,"b":"{\\"who\\":\\"EMP-654321\\"}"}')
    assert json.loads(shown) == {
        "who": redact.HIDDEN,
        "n": redact.HIDDEN,
        "b": json.dumps({"who": redact.HIDDEN}, separators=(",", ":")),
    }
    assert redact.text("EMP-1234567, emp-123456") == "EMP-1234567, emp-123456"


@pytest.mark.parametrize(
    ("patterns", "says"),
    [
        ("ok-[0-9]+ (x", "pattern 2 is no regular expression"),
        ("a*", "pattern 1 is found in an empty text"),
        ("(a+)+$ b", "pattern 1 takes too long"),
        (r"fine [\w.]+@example\.com", "pattern 2 takes too long"),
        ("x" * 501, "pattern 1 has 501 characters"),
        ("x " * 21, "21 patterns, 20 at most"),
    ],
)
def test_a_pattern_that_would_not_do_is_refused(patterns: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_patterns(patterns)


def test_the_patterns_of_the_documentation_are_fast() -> None:
    assert len(read_patterns(r"\bEMP-[0-9]{6}\b (?<![a-z.])[a-z.]{1,64}@example\.com")) == 2
