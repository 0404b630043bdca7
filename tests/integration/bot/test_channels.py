"""Slack, PagerDuty and a webhook, against HTTP servers of their own: each hears of it once, at its own pace."""

import json
import re
from typing import Any

from litestar import Response

from tests.eventually import eventually
from tests.integration.bot.house import House, failure, snapshot
from tests.integration.bot.test_handling import resolve, tap
from tests.servers.hooks import Asked, hooks

KEY, SECRET = "R0123456789abcdef0123456789abcde", "signing-secret-of-the-test"


def events(asked: list[Asked]) -> list[dict[str, Any]]:
    return [json.loads(one.body) for one in asked]


async def test_each_channel_hears_once_and_one_that_is_ill_holds_up_no_other(house: House) -> None:
    await house.put(snapshot())
    async with hooks() as slack, hooks() as pager, hooks() as web:
        slack.answers = [Response("", status_code=429, headers={"retry-after": "2"}), Response("", status_code=404)]
        web.always = Response("", status_code=500)
        pager.answers = [Response("", status_code=202), Response({"status": "invalid"}, status_code=400)]
        bot = await house.start_bot(
            BOT_SLACK=slack.url("services/T0/secretpart"),
            BOT_PAGERDUTY=f"prod={KEY}",
            BOT_PAGERDUTY_URL=pager.url("v2/enqueue"),
            BOT_WEBHOOK=web.url("hook"),
            BOT_WEBHOOK_SECRET=SECRET,
            BOT_RESOLVE_SECONDS="4",
            BREAKER_RESET_SECONDS="2",
            BREAKER_SUCCESS_THRESHOLD="1",
        )
        await house.put(failure(), failure())
        card = await house.message("CardError ×")
        await eventually(lambda: len(pager.asked) == 1, what="PagerDuty's event")
        await eventually(lambda: len(slack.asked) == 3, what="Slack's message, after its 429 and a wrong address")
        assert "CardError ×" in events(slack.asked)[2]["text"]
        await house.put(failure(fingerprint="p", error_type="Poison"))
        await eventually(lambda: len(pager.asked) == 2, what="the event that PagerDuty refuses")
        await tap(house, card, "🙋 Ack")
        await eventually(lambda: len(pager.asked) == 3, what="the ack, after what was refused")

        async def told() -> bool:
            text, _ = await house.ask("/status", expect="outbox")
            refused = re.search(r"pagerduty-\w+: 0 waiting, 1 of the last day refused", text)
            return refused is not None and re.search(r"webhook-\w+: ", text) is not None

        await eventually(told, what="both troubles in /status")
        await resolve(house, "CardError")
        web.always = None
        numbers = [one["delivery"] for one in events(web.asked)]
        assert len(set(numbers)) < len(numbers), "every try of one delivery carries the same number"

        def all_heard() -> bool:
            heard = [(one["subject"], one["event"]) for one in events(web.asked)]
            return {("incident:1:1", "ring"), ("incident:1:1", "ack"), ("incident:1:1", "resolve")} <= set(heard)

        await eventually(all_heard, what="the whole story, once the webhook is well")
        first = [one for one in events(pager.asked) if one["dedup_key"] == "tocsin:incident:1:1"]
        assert [one["event_action"] for one in first] == ["trigger", "acknowledge", "resolve"]
        assert all("tocsin-signature" in one.headers for one in web.asked)
        for secret in ("secretpart", KEY, SECRET):
            assert secret not in bot.output()
