"""Names, errors, buttons and people that mean harm: nothing breaks, nothing is done, and nothing is shown as markup."""

from typing import Any

from tests.eventually import eventually
from tests.integration.bot.house import CHAT, House, failure, snapshot
from tests.integration.bot.service import SERVICE_TOKEN, Service
from tests.integration.bot.test_answers import make_chat

GROUP, STRANGER = -1_000_000_007_777, 666
NAMES = (
    "<b>bold</b><script>alert(1)</script>",
    "\u05d4\u05d6\u05de\u05e0\u05d4 \u202e evil",
    "🔥" * 30 + "👩\u200d👩\u200d👧",
    "q" * 900,
    "a/b & c%20d",
    "\"'`</code></pre>",
)
ERROR = "</pre><a href='tg://user?id=1'>x</a>\n" + "<i>&" * 3000 + "\u0000\u202e"
FINGERPRINT = "0123456789abcdef"
FORGED = (
    *("ack:1:1", "retry:1:1", "retry:again:1", "go:1", "go:no:1", "silence:1:1:4", "silence:end:1", "storm:1"),
    *(
        "incidents:show:999999999999999999",
        "rules:\u0000",
        "audit:x",
        "queues:-1",
        "\u202e" * 20,
        "x" * 64,
        ":::",
        "🔥",
    ),
    *("do:r:0123456789abcdef:1", "do:x:", "do", "job:0123456789abcdef:1", "chart:0123456789abcdef:9", "chart::"),
)


async def test_hostile_names_errors_buttons_and_people_change_nothing(house: House) -> None:
    people = [{"user_id": CHAT, "status": "administrator"}, {"user_id": STRANGER, "first_name": "<b>Eve</b>"}]
    await make_chat(house, id=GROUP, title="<ops>", bot_status="member", members=people)
    for name in NAMES:
        await house.put(snapshot(name, sources_queues=len(NAMES), failed=1))
    log = await house.start_bot(
        TELEGRAM_ALERT_CHATS=f"{GROUP},{CHAT}", TOCSIN_SERVICE_TOKEN=SERVICE_TOKEN, BOT_STORM_INCIDENTS="100"
    )
    bot = Service(log)
    await house.put(*(_hostile(name) for name in NAMES))

    async def all_rung() -> bool:
        return len([text for text in await house.texts(GROUP) if text.startswith("🔴 ")]) == len(NAMES)

    await eventually(all_rung, what="an alert of every name")
    cards = [one for one in await house.messages(GROUP) if one["text"].startswith("🔴 ")]
    for card in cards:
        assert len(card["text"]) <= 4096
        assert {entity["type"] for entity in card["entities"]} <= {"bold", "code", "pre"}
        assert "\u202e" not in card["text"]
    assert any("<script>alert(1)</script>" in card["text"] for card in cards), "shown, not obeyed"

    # Buttons that we did not make do nothing, whoever presses them.
    for data in FORGED:
        for user in (CHAT, STRANGER):
            await house.press_data(cards[0], data, user)
    # Nobody in particular may do anything, nor may who holds no role.
    for text in (
        "/ack 1",
        "/silence source=main 1h",
        "/retry 1",
        "/pause a/b & c%20d",
        "/rules depth off",
        "/grant 666 admin",
    ):
        await house.say(text, chat=GROUP, user=STRANGER)
        await house.say(text, chat=GROUP, user=CHAT, is_anonymous=True)
        await house.say(text, chat=STRANGER, user=STRANGER)
    await house.say("/grant 666 admin", chat=GROUP, user=CHAT, forwarded_from=STRANGER)
    await house.ask("/maintenance prod 4h", expect="I do only what you say yourself", forwarded_from=STRANGER)
    for name in NAMES:
        for command in ("queue", "chart", "job", "failed", "errors", "route", "logs", "pause", "retry", "promote"):
            await house.say(f"/{command} {name}"[:4096])
    await house.say("/retry " + "x " * 2000)
    await house.say("/rules depth fire=" + "9" * 4000)
    text, _ = await house.ask("/incidents", expect=f"{len(NAMES)} open, {len(NAMES)} nobody has acked")
    assert len(text) <= 4096
    items = (await bot("GET", "incidents")).json()["items"]
    assert {one["queue"] for one in items} == {name[:600] for name in NAMES}
    assert {one["state"] for one in items} == {"new"}
    assert (await bot("GET", "silences")).json()["items"] == []
    assert [one["version"] for one in (await bot("GET", "rules")).json()["items"] if one["version"]] == []
    assert {row["outcome"].partition(":")[0] for row in await bot.audit()} <= {"refused"}
    everything = [*await house.texts(GROUP), *await house.texts(CHAT)]
    assert not [one for one in everything if "That went wrong" in one]
    assert "ask_failed" not in log.output()
    told = await house.texts(STRANGER)
    assert told
    assert [one for one in told if "needs the role" not in one] == [], "a member of the group may look, and no more"


def _hostile(name: str) -> Any:
    return failure(
        name, fingerprint=FINGERPRINT, error=ERROR, error_type="<u>Err</u>" * 50, job_name=name, job_id=name,
        worker="<w>" * 99, stack=["at <b>" + "x" * 5000], attempt=3, max_attempts=3,
    )  # fmt: skip
