"""What channels beside Telegram are sent."""

import json
import re
from typing import Any

import httpx
import pytest

from bot.delivery.channels import Channel, Form, Kind, What, matching, parse_addresses, parse_keys, read_template, sign
from bot.delivery.dispatching import retry_after
from bot.settings import BotSettings
from tests.unit.bot.test_routes import BASE
from tocsin.settings import SettingsError, read, secrets_of

HOOK = "https://hooks.slack.example/services/T0/B0/secretpart"
KEY = "R0123456789abcdef0123456789abcde"
TOLD: dict[str, Any] = {
    **{"number": 7, "episode": 1, "env": "prod", "source": "main", "queue": "orders", "rule": "failed", "count": 3},
    **{"error_type": 'Card"Error', "error": "no <money> & more", "last_at": "2026-11-22T03:00:00.000Z"},
    **{"text": "🔴 prod · orders · CardError ×3\nno <money>", "link": "https://t.example/logs"},
}


def test_entries_choose_by_env_or_queue_and_one_address_hears_once() -> None:
    found = parse_addresses(Kind.SLACK, f"prod={HOOK}, main/ord*={HOOK},https://h.example/a?b=c,d")
    first, _, third = (one.name for one in found)
    assert [one.name for one in found] == [first, first, third], "one address, one name"
    assert [one.name for one in parse_addresses(Kind.SLACK, f"https://h.example/a?b=c,d,{HOOK}")] == [third, first]
    assert all(re.fullmatch("slack-[0-9a-f]{8}", name) for name in (first, third))
    assert found[2].secret == "https://h.example/a?b=c,d"
    assert [one.name for one in matching(found, "prod", "main", "orders")] == [first, third]
    assert [one.name for one in matching(found, "dev", "main", "orders")] == [first, third]
    assert parse_keys(f"*/mail-*={KEY}")[0] == Channel(Kind.PAGERDUTY, KEY, queue="mail-*")
    assert KEY not in repr(parse_keys(KEY))


def test_wrong_entries_are_named_without_their_secrets() -> None:
    wrong = {
        "BOT_SLACK": f"{HOOK},http://hooks.example/{KEY}",
        "BOT_PAGERDUTY": f"{KEY}, prod=short-{KEY}!",
        "BOT_WEBHOOK_SECRET": "short",
    }
    with pytest.raises(SettingsError) as caught:
        read(BotSettings, {**BASE, **wrong})
    told = str(caught.value)
    for part in ("BOT_SLACK: entry 2", "BOT_PAGERDUTY: entry 2 is not", "BOT_WEBHOOK_SECRET: "):
        assert part in told
    assert KEY not in told
    assert "secretpart" not in told
    settings = read(BotSettings, {**BASE, "BOT_SLACK": HOOK})
    assert HOOK in secrets_of(settings)
    assert len(settings.channels) == 1


def body(channel: Channel, what: What = What.RING, form: Form | None = None) -> dict[str, Any]:
    return json.loads((form or Form()).request(channel, 5, "incident:7:1", what, TOLD, 1_700_000_000).body)


def test_slack_gets_the_card_as_text_that_it_cannot_take_for_markup() -> None:
    sent = body(Channel(Kind.SLACK, HOOK))
    assert sent["text"].startswith("*🔴 prod · orders · CardError ×3*\nno &lt;money&gt;")
    assert sent["text"].endswith("<https://t.example/logs|Open page>")


def test_pagerduty_gets_one_key_for_the_whole_life_of_an_incident() -> None:
    events = [body(Channel(Kind.PAGERDUTY, KEY), what) for what in What]
    assert [one["event_action"] for one in events] == ["trigger", "acknowledge", "resolve"]
    assert {one["dedup_key"] for one in events} == {"tocsin:incident:7:1"}
    assert events[0]["payload"]["summary"] == "🔴 prod · orders · CardError ×3"
    assert (events[0]["payload"]["source"], events[0]["payload"]["severity"]) == ("main/orders", "error")


def test_a_webhook_is_signed_and_filled_without_breaking_its_json() -> None:
    template = read_template(
        '{"title": "$queue: $error_type", "times": "$count", "all": ["$error", 1], "no": "$other"}'
    )
    form = Form(webhook_secret="s" * 16, template=template)
    request = form.request(Channel(Kind.WEBHOOK, HOOK), 5, "incident:7:1", What.RING, TOLD, 1_700_000_000)
    filled = {"title": 'orders: Card"Error', "times": 3, "all": ["no <money> & more", 1], "no": "$other"}
    assert json.loads(request.body) == filled
    assert request.headers["tocsin-signature"] == f"v1={sign('s' * 16, 1_700_000_000, request.body)}"
    whole = body(Channel(Kind.WEBHOOK, HOOK))
    assert (whole["event"], whole["subject"], whole["delivery"], whole["queue"]) == (
        "ring",
        "incident:7:1",
        5,
        "orders",
    )
    for wrong in ("[]", "{", ""):
        with pytest.raises(ValueError, match="the template is not"):
            read_template(wrong)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("2", 2), ("0", 1), ("-5", 1), ("86400", 3600), ("nan", 60), ("inf", 60), ("Fri, 27 Nov 2026 03:00:00 GMT", 60)],
)
def test_a_channel_rests_for_as_long_as_it_says_within_reason(said: str, seconds: float) -> None:
    assert retry_after(httpx.Response(429, headers={"retry-after": said})) == seconds
    assert retry_after(httpx.Response(429)) == 60
