"""What people type into a search, and what it finds."""

import pytest

from logsvc.errors import BadRequest
from logsvc.search import Term, matches, parse

FOUND = [
    ("timeout", "TimeoutError: after 30 s", True),
    ("timeout card", "Timeout of the card service", True),
    ("timeout card", "Timeout of the mail service", False),
    ("timeout AND card", "Timeout of the card service", True),
    ("timeout -card", "Timeout of the card service", False),
    ("timeout NOT card", "Timeout of the mail service", True),
    ('"connection refused"', "Connection refused by peer", True),
    ('"connection refused"', "refused: connection", False),
    ('-"connection refused"', "Connection refused by peer", False),
    ('timeout "card ser', "Timeout of the card service", True),
    ("42", "job 42 failed", True),
    ("42", "job 1423 failed", False),
    ("42", "order-42", True),
    ('"42"', "job 1423 failed", True),
    ("ord-8f3a", "for ord-8f3a.", True),
    ("ord-8f3a", "for ord-8f3ab", False),
    ("10.0.3.1", "10.0.3.17", False),
    ("№5", "билет №5", True),
    ("שלום", "אמר שלום לכולם", True),
    ("-", "a - b", True),
    ('"OR"', "to be or not", True),
    ('""', "anything", True),
    ("100%", "at 100% now", True),
    ("100%", "at 1000 now", False),
]


@pytest.mark.parametrize(("q", "text", "is_found"), FOUND)
def test_a_search_finds_what_it_says(q: str, text: str, is_found: bool) -> None:
    assert matches(parse(q), text.lower()) is is_found


def test_a_phrase_knows_which_of_its_words_are_whole() -> None:
    assert Term("d connection refused b").words == ["connection", "refused"]
    assert Term("connection refused").parts == ["connection", "refused"]
    assert Term("ord-8f3a", is_whole=True).words == ["ord", "8f3a"]


@pytest.mark.parametrize("q", ["x" * 1001, "a OR b", " ".join(["x"] * 21)])
def test_what_cannot_be_asked_is_refused_in_words(q: str) -> None:
    with pytest.raises(BadRequest, match="q: "):
        parse(q)
