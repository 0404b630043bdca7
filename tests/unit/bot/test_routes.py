"""TELEGRAM_ALERT_CHATS."""

from dataclasses import replace

import pytest

from bot.commands.here import read_subscription
from bot.incidents.failures import rule_of
from bot.routing.chats import Chats
from bot.routing.routes import Destination, Subscription, destinations, parse_routes, parse_runbooks, runbook_of
from bot.settings import BotSettings
from tocsin.settings import SettingsError, read

BASE = {
    "KAFKA_BOOTSTRAP_SERVERS": "localhost:1",
    "DATABASE_URL": "postgresql://u:p@h/d",
    "TELEGRAM_BOT_TOKEN": "1:a",
}


def to(text: str, env: str = "prod", source: str = "main", queue: str = "orders") -> list[Destination]:
    return destinations(parse_routes(text), env, source, queue)


def test_a_bare_chat_hears_everything() -> None:
    assert to("1001") == [Destination(1001)]


def test_topic_and_silence_are_read() -> None:
    assert to("-1001234567890/45:silent") == [Destination(-1001234567890, 45, True)]


def test_env_and_queue_globs_choose() -> None:
    text = "prod=1, stag*=2, main/ord*=3, */mail=4, 5"
    assert [one.chat_id for one in to(text)] == [1, 3, 5]
    assert [one.chat_id for one in to(text, env="staging", queue="mail")] == [2, 4, 5]


def test_a_queue_name_may_hold_a_slash_and_an_equals_sign() -> None:
    assert to("main/a/b=1", queue="a/b") == [Destination(1)]
    assert to("main/a=b=1", queue="a=b") == [Destination(1)]


def test_a_chat_named_twice_is_rung_once_as_its_first_entry_says() -> None:
    assert to("prod=1:silent,1,1/2") == [Destination(1, None, True), Destination(1, 2)]


@pytest.mark.parametrize("text", ["x", "1/x", "=1", "1:loud", "prod=", "1001/45/6", "9" * 30])
def test_a_bad_entry_is_named_by_number_not_by_text(text: str) -> None:
    with pytest.raises(ValueError, match="entry 2 is not") as caught:
        parse_routes(f"1,{text}")
    assert "loud" not in str(caught.value)


def test_what_no_entry_matches_goes_to_the_admins() -> None:
    chats = Chats(read(BotSettings, {**BASE, "TELEGRAM_ALERT_CHATS": "staging=1", "TELEGRAM_ADMINS": "7, 8"}))
    assert chats.destinations("prod", "main", "orders") == [Destination(7), Destination(8)]
    assert chats.destinations("staging", "main", "orders") == [Destination(1)]
    assert chats.all_destinations("prod") == [Destination(7), Destination(8)]
    assert chats.all_destinations("staging") == chats.all_destinations() == [Destination(1)]


def test_what_a_topic_asked_for_is_added_to_the_settings_and_shows_data_only_if_told_so() -> None:
    chats = Chats(read(BotSettings, {**BASE, "TELEGRAM_ALERT_CHATS": "prod=1:silent", "TELEGRAM_ADMINS": "7"}))
    mail = Subscription(Destination(-5, 45), queue="mail-*", id=3, shows_data=True, by="Ann")
    chats.subscribed([Subscription(Destination(1), env="prod"), mail])
    assert chats.destinations("prod", "main", "orders") == [Destination(1, None, True)]
    assert chats.destinations("prod", "main", "mail-out") == [Destination(1, None, True), Destination(-5, 45)]
    assert chats.why("x", "main", "mail-out") == [(Destination(-5, 45), "/here queue=mail-*, asked for by Ann")]
    assert chats.shows_data(-5, 45, "x", "main", "mail-out")
    for place in ((-5, 45, "x", "main", "orders"), (-5, None, "x", "main", "mail-out"), (1, None, "prod", "m", "q")):
        assert not chats.shows_data(*place)
    chats.learn({-5: -1005})
    assert chats.of(-1005, 45) == [replace(mail, to=Destination(-1005, 45))]
    assert chats.ids() == {1, -5, -1005}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("env=prod", ("prod", "*", "*", False)),
        ("source=main queue=mail-* silent", ("*", "main", "mail-*", True)),
        ("orders", ("*", "*", "orders", False)),
        ("everything", ("*", "*", "*", False)),
        ("", None),
        ("silent", None),
        ("fp=1a2b", None),
    ],
)
def test_what_is_typed_after_here(text: str, expected: tuple[str, str, str, bool] | None) -> None:
    route = read_subscription(text, -5, 45)
    assert (route and (route.env, route.source, route.queue, route.to.is_silent)) == expected


def test_every_problem_is_told_at_once_without_values() -> None:
    with pytest.raises(SettingsError) as caught:
        read(
            BotSettings,
            {
                "DATABASE_URL": "mysql://root:hunter2@h/d",
                "TELEGRAM_ALERT_CHATS": "1,@name",
                "TELEGRAM_ADMINS": "@ann",
                "TELEGRAM_ALERT_CHAT": "1",
                "HEARTBEAT_URL": "http://x",
            },
        )
    told = str(caught.value)
    for name in (
        "DATABASE_URL: expected postgresql://",
        "TELEGRAM_ALERT_CHATS: entry 2",
        "TELEGRAM_ADMINS: expected Telegram user ids",
        "TELEGRAM_ALERT_CHAT: unknown setting",
        "HEARTBEAT_URL: expected https://",
        "TELEGRAM_BOT_TOKEN: required",
        "KAFKA_BOOTSTRAP_SERVERS: required",
    ):
        assert name in told
    assert "hunter2" not in told
    assert "@ann" not in told


def test_runbooks_are_read_and_the_first_that_matches_counts() -> None:
    read_ = parse_runbooks("emails-*=https://w.example.org/a?x=1,2,main/orders = https://w.example.org/b,*=http://h/c")
    assert runbook_of(read_, "failed", "main", "emails-eu") == "https://w.example.org/a?x=1,2"
    assert runbook_of(read_, "failed", "main", "orders") == "https://w.example.org/b"
    assert runbook_of(read_, "depth", "eu", "orders") == "http://h/c"
    assert runbook_of((), "failed", "eu", "orders") == ""
    of_a_rule = (*parse_runbooks("rule:depth=https://w.example.org/depth"), *read_)
    assert runbook_of(of_a_rule, "depth", "eu", "orders") == "https://w.example.org/depth"
    assert runbook_of(of_a_rule, "failed", "eu", "orders") == "http://h/c"
    assert [rule_of(one) for one in ("rule:depth", "rule:memory:part", "3f9c")] == ["depth", "memory", "failed"]


@pytest.mark.parametrize("text", ["emails", "=https://w.example.org", "a=ftp://x", "a=https://x y", "a=https://"])
def test_a_runbook_that_is_none_is_refused_by_its_number(text: str) -> None:
    with pytest.raises(ValueError, match="entry 1 is not"):
        parse_runbooks(text)


def test_an_entry_is_named_as_in_the_settings() -> None:
    assert [one.pattern for one in parse_routes("prod=1,main/ord*=2,3")] == [
        "prod",
        "main/ord*",
        "which matches everything",
    ]
