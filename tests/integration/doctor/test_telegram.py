"""The doctor on Telegram's stand-in: the token, and chats the bot cannot reach or write to."""

from pathlib import Path
from typing import Any

import pytest
from litestar import get
from litestar.params import FromPath

from tests.integration.doctor.findings import TOKEN, answering, only
from tocsin.doctor import Verdict
from tocsin.doctor.telegram import check_telegram


async def test_a_wrong_bot_token_is_named(sandbox: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN[:-1] + "2\n")
    finding = only(
        await check_telegram({"TELEGRAM_BOT_TOKEN_FILE": str(file), "TELEGRAM_API_URL": sandbox}), Verdict.BAD
    )
    assert "401" in finding.found
    assert "@BotFather" in finding.mend
    assert TOKEN[:-1] not in str(finding)


async def test_chats_that_the_bot_cannot_reach_are_named(sandbox: str) -> None:
    environ = {
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_API_URL": sandbox,
        "TELEGRAM_ALERT_CHATS": "prod=1001, main/mail*=-100777/5:silent",
    }
    finding = only(await check_telegram(environ), Verdict.BAD)
    assert finding.check == "Telegram chat -100777"
    assert "chat not found" in finding.found
    nobody = await check_telegram({**environ, "TELEGRAM_ALERT_CHATS": ""})
    assert "TELEGRAM_ADMINS" in only(nobody, Verdict.WARN).mend
    assert "entry 1" in only(await check_telegram({**environ, "TELEGRAM_ALERT_CHATS": "everyone"}), Verdict.BAD).found
    people = {"TELEGRAM_ALERT_CHATS": "1001", "TELEGRAM_ADMINS": "1001, 424242", "BOT_ESCALATE_TO": "-100555/7"}
    told = await check_telegram({**environ, **people})
    assert "424242" in only(told, Verdict.WARN).check, "an admin who never pressed Start hears of nothing"
    assert "BOT_ESCALATE_TO" in only(told, Verdict.BAD).found


@pytest.mark.parametrize(
    ("chat", "member", "verdict"),
    [
        ({"type": "channel"}, {"status": "member"}, Verdict.BAD),
        ({"type": "channel"}, {"status": "administrator", "can_post_messages": False}, Verdict.BAD),
        ({"type": "channel"}, {"status": "administrator", "can_post_messages": True}, Verdict.OK),
        ({"type": "supergroup", "permissions": {"can_send_messages": False}}, {"status": "member"}, Verdict.BAD),
        ({"type": "supergroup", "permissions": {"can_send_messages": False}}, {"status": "administrator"}, Verdict.OK),
        ({"type": "supergroup"}, {"status": "restricted", "can_send_messages": False}, Verdict.BAD),
        ({"type": "group"}, {"status": "kicked"}, Verdict.BAD),
    ],
)
async def test_a_chat_in_which_the_bot_may_not_write_is_named(
    chat: dict[str, Any], member: dict[str, Any], verdict: Verdict
) -> None:
    """A stand-in for what the sandbox has not: channels, and groups where only some may write."""
    answers: dict[str, Any] = {
        "getMe": {"id": 1, "username": "tocsin_bot"},
        "getWebhookInfo": {"url": ""},
        "getChat": {"title": "Alerts", **chat},
        "getChatMember": member,
    }

    @get(f"/bot{TOKEN}/{{method:str}}", sync_to_thread=False)
    def answer(method: FromPath[str]) -> dict[str, Any]:
        return {"ok": True, "result": answers[method]}

    async with answering(answer) as url:
        environ = {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_API_URL": url, "TELEGRAM_ALERT_CHATS": "-100777"}
        [found] = [one for one in await check_telegram(environ) if one.check == "Telegram chat -100777"]
    assert found.verdict is verdict, found
