"""What Telegram marks and trims by itself."""

import pytest

from tocsin.sandbox.links import link_problem
from tocsin.sandbox.text import find_entities, normalise, utf16_length


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/queues orders", [("bot_command", "/queues")]),
        ("/queues@tocsin_bot", [("bot_command", "/queues@tocsin_bot")]),
        ("see /job, and a/b or 1/2", [("bot_command", "/job")]),
        ("😀 https://a.example/x?y=1. End", [("url", "https://a.example/x?y=1")]),
        ("@ann_b #deploy mail@x.example", [("mention", "@ann_b"), ("hashtag", "#deploy")]),
        ("/usr/bin /", []),
    ],
)
def test_links_commands_and_names_are_found(text: str, found: list[tuple[str, str]]):
    wide = text.encode("utf-16-le")
    marks = [
        (each["type"], wide[2 * each["offset"] : 2 * (each["offset"] + each["length"])].decode("utf-16-le"))
        for each in find_entities(text)
    ]
    assert marks == found


def test_blanks_and_control_characters_go():
    bold = {"type": "bold", "offset": 4, "length": 3}
    assert normalise(" \n\r a\tb \n", [bold]) == ("a b", [{"type": "bold", "offset": 0, "length": 3}])
    assert normalise(" \n ", []) == ("", [])


def test_length_is_in_utf16_units():
    assert [utf16_length(text) for text in ("", "é", "😀", "e\u0301")] == [0, 1, 2, 2]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://tocsin.example.com/logs?x=1", None),
        ("tocsin.example.com", None),
        ("http://127.0.0.1:9001", None),
        ("http://[::1]:9001", None),
        ("tg://user?id=5", None),
        ("http://localhost:9001", "Wrong HTTP URL"),
        ("ftp://a.example", "Unsupported URL protocol"),
        ("javascript://a.example/%0aalert(1)", "Unsupported URL protocol"),
        ("http://", "URL host is empty"),
        ("http://a.example:99999", "Wrong port number specified in the URL"),
    ],
)
def test_links_are_checked(url: str, problem: str | None):
    assert link_problem(url) == problem
