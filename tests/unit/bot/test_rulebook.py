"""Rules as people change them: what may be, what it then says, and what it does."""

import math
import re

import pytest

from bot.commands.rules import read_tuning
from bot.render.rules import numbers_of, rule_text
from bot.rules.board import Board
from bot.rules.policy import Policy
from bot.rules.rulebook import ALL, AS_SHIPPED, BadTuning, RuleBook, Tuning, about, check
from tests.unit.bot.test_conditions import Day, queue


def test_a_changed_number_is_what_the_rule_goes_by_and_says() -> None:
    book = RuleBook()
    book.learn({"depth": Tuning(fire=50, fire_seconds=60), "renamed-long-ago": Tuning(fire=1)})
    assert about(ALL["depth"], book.tuning("depth")) == "50 jobs are ready, for 1 min"
    day = Day(Board(book))
    while not day.rings() and day.at < 600:
        day.show(queue(waiting=60, oldest_waiting_seconds=1.0))
    assert (day.rings(), day.at) == (["depth"], 90)
    book.learn({})
    assert about(ALL["depth"]) == "10,000 jobs are ready, for 15 min; over below 5,000"


def test_numbers_that_an_earlier_release_let_be_are_left_out_and_what_is_off_stays_off() -> None:
    book = RuleBook()
    book.learn({"no-workers": Tuning(is_on=False, fire=2, version=3), "depth": Tuning(fire=9, resolve=0)})
    assert book.tuning("no-workers") == Tuning(is_on=False, version=3)
    assert (book.rule("depth"), book.off) == (ALL["depth"], {"no-workers"})


def test_every_rule_says_in_words_when_it_rings() -> None:
    for rule in ALL.values():
        words = about(rule)
        assert words
        assert not set(words) & set("{}"), rule.name


def test_what_is_off_by_the_settings_stays_off() -> None:
    book = RuleBook(Policy(off=frozenset({"depth"})))
    book.learn({"depth": Tuning(is_on=True), "paused": Tuning(is_on=False), "stalled": Tuning(fire=9)})
    assert book.off == {"depth", "paused"}
    assert (book.policy.off, book.policy.least_stalled) == (book.off, 9)


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        ("failed", Tuning(is_on=False)),
        ("failed", Tuning(fire=2)),
        ("events-lost", Tuning(fire=2)),
        ("stalled", Tuning(fire=0)),
        ("stalled", Tuning(fire_seconds=5)),
        ("depth", Tuning(fire=-1)),
        ("depth", Tuning(fire=0)),
        ("depth", Tuning(fire=math.nan)),
        ("depth", Tuning(fire=math.inf)),
        ("depth", Tuning(resolve=20_000)),
        ("depth", Tuning(resolve=0)),
        ("no-workers", Tuning(fire=2)),
        ("no-workers", Tuning(resolve=0.5)),
        ("failure-rate", Tuning(fire=2)),
        ("depth", Tuning(least=5)),
        ("depth", Tuning(fire_seconds=1e9)),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(rule: str, wrong: Tuning) -> None:
    with pytest.raises(BadTuning, match=r"^\w+: "):
        check(ALL[rule], wrong)


def test_what_people_type_is_read() -> None:
    assert read_tuning(["fire=20", "for=10m", "off"], AS_SHIPPED) == Tuning(is_on=False, fire=20, fire_seconds=600)
    assert read_tuning(["fire=60%"], AS_SHIPPED) == Tuning(fire=0.6)
    assert read_tuning(["on", "quiet=1h"], Tuning(is_on=False, fire=3)) == Tuning(True, 3, resolve_seconds=3600)
    assert read_tuning(["reset"], Tuning(fire=3, version=7)) == AS_SHIPPED
    for wrong in ("fire", "fire=x", "fire=-1", "version=3", "is_on=1", "by=me", "fire=1e400", "=5"):
        with pytest.raises(BadTuning):
            read_tuning([wrong], AS_SHIPPED)


@pytest.mark.parametrize("name", ALL)
def test_the_numbers_shown_are_read_as_what_they_are(name: str) -> None:
    rule = ALL[name]
    typed = [f"{word}={value}" for word, value in numbers_of(rule, RuleBook()).items()]
    for field, number in read_tuning(typed, AS_SHIPPED).numbers.items():
        assert number == getattr(rule, field)


@pytest.mark.parametrize("name", ALL)
def test_the_example_of_a_rule_can_be_typed(name: str) -> None:
    example = re.search(r"/rules ([\w-]+) ([^<]+)</code>", rule_text(ALL[name], Board(RuleBook())))
    assert example is not None
    check(ALL[example[1]], read_tuning(example[2].split(), AS_SHIPPED))


def test_times_and_shares_are_shown_as_people_type_them() -> None:
    book = RuleBook()
    book.learn(
        {
            "failure-rate": Tuning(fire=0.07, fire_seconds=7200, resolve=0.05, resolve_seconds=90),
            "oldest-waiting": Tuning(fire=5400, resolve=45),
            "depth": Tuning(fire=1_234_567),
        }
    )
    shown = numbers_of(ALL["failure-rate"], book)
    assert shown == {"fire": "7%", "resolve": "5%", "for": "2h", "quiet": "90s", "least": "20"}
    waiting = numbers_of(ALL["oldest-waiting"], book)
    assert (waiting["fire"], waiting["resolve"]) == ("90m", "45s")
    assert numbers_of(ALL["depth"], book)["fire"] == "1234567"
