"""Scripted faults and flood limits reach python-telegram-bot as the right exceptions."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from telegram.error import BadRequest, ChatMigrated, Forbidden, NetworkError, RetryAfter, TelegramError, TimedOut

from tests.servers.sandbox import CHAT, Running, refused, running_sandbox
from tocsin.sandbox.flood import FloodLimits, Window


@pytest.fixture(autouse=True)
def seconds_as_timedelta(monkeypatch: pytest.MonkeyPatch):
    """python-telegram-bot warns of `retry_after` as a number; this is its switch to the coming type."""
    monkeypatch.setenv("PTB_TIMEDELTA", "1")


@pytest.mark.parametrize(
    ("kind", "more", "error", "text"),
    [
        ("retry_after", {"retry_after": 7}, RetryAfter, "Flood control exceeded. Retry in 0:00:07"),
        ("blocked", {}, Forbidden, "Forbidden: bot was blocked by the user"),
        ("kicked", {}, Forbidden, "Forbidden: bot was kicked from the supergroup chat"),
        ("bad_request", {"description": "Bad Request: odd"}, BadRequest, "Odd"),
        ("thread_closed", {}, BadRequest, "Topic_closed"),
        ("thread_deleted", {}, BadRequest, "Message thread not found"),
        ("migrate", {"migrate_to_chat_id": -1001}, ChatMigrated, "Group migrated to supergroup. New chat id: -1001"),
        ("server_error", {}, NetworkError, "Internal Server Error"),
        ("server_error", {"code": 502, "description": "Bad Gateway"}, NetworkError, "Bad Gateway"),
    ],
)
async def test_a_scripted_refusal_hits_once(
    running: Running, kind: str, more: dict[str, Any], error: type[TelegramError], text: str
):
    await running.fault(kind, method="sendMessage", chat_id=CHAT, **more)
    async with running.bot() as bot:
        with refused(error, text):
            await bot.send_message(CHAT, "x")
        assert await running.messages() == []
        await bot.send_message(CHAT, "x")
    outcomes = [call.outcome for call in running.calls("sendMessage")]
    assert outcomes == ["refused", "ok"]


async def test_a_dropped_answer_loses_no_message(running: Running):
    await running.fault("drop", method="sendMessage")
    async with running.bot() as bot:
        with pytest.raises(NetworkError):
            await bot.send_message(CHAT, "accepted")
        await bot.send_message(CHAT, "next")
    assert [message["text"] for message in await running.messages()] == ["accepted", "next"]
    assert [call.outcome for call in running.calls("sendMessage")] == ["lost", "ok"]


async def test_a_call_cut_off_before_acceptance_does_nothing(running: Running):
    await running.fault("drop", method="sendMessage", accepted=False)
    async with running.bot() as bot:
        with pytest.raises(NetworkError):
            await bot.send_message(CHAT, "cut")
    assert await running.messages() == []


@pytest.mark.parametrize(("accepted", "kept"), [(True, ["slow"]), (False, [])])
async def test_a_hanging_call_times_out(running: Running, accepted: bool, kept: list[str]):
    await running.fault("hang", method="sendMessage", seconds=30, accepted=accepted)
    async with running.bot() as bot:
        with pytest.raises(TimedOut):
            await bot.send_message(CHAT, "slow", read_timeout=0.3)
    assert [message["text"] for message in await running.messages()] == kept


async def test_a_short_hang_only_delays(running: Running):
    await running.fault("hang", method="sendMessage", seconds=0.05, accepted=False)
    async with running.bot() as bot:
        assert (await bot.send_message(CHAT, "late")).text == "late"


async def test_faults_choose_their_calls(running: Running):
    await running.fault("blocked", contains="alarm", skip=1, times=2)
    async with running.bot() as bot:
        await bot.send_message(CHAT, "alarm 0")
        await bot.send_message(CHAT, "other")
        for number in (1, 2):
            with pytest.raises(Forbidden):
                await bot.send_message(CHAT, f"alarm {number}")
        await bot.send_message(CHAT, "alarm 3")
        lasting = await running.fault("blocked", chat_id=CHAT, times=None)
        with pytest.raises(Forbidden):
            await bot.send_message(CHAT, "x")
        listed = (await running.people.get("/sandbox/faults")).json()["items"]
        assert [each["id"] for each in listed] == [lasting]
        await running.people.delete(f"/sandbox/faults/{lasting}")
        await bot.send_message(CHAT, "x")
    unknown = await running.people.post("/sandbox/faults", json={"kind": "earthquake"})
    assert unknown.status_code == 400


async def test_flood_limits_name_the_seconds_to_wait():
    limits = FloodLimits(private=Window(3, 60), group=Window(2, 60), overall=Window(0, 1))
    async with running_sandbox(limits=limits) as running, running.bot() as bot:
        await running.post("chats", id=-5, title="Ops")
        sent = [await bot.send_message(CHAT, str(number)) for number in range(2)]
        await bot.edit_message_text("edits count too", CHAT, sent[0].message_id)
        with pytest.raises(RetryAfter) as private:
            await bot.send_message(CHAT, "x")
        assert 55 <= _seconds(private.value) <= 60
        await bot.delete_message(CHAT, sent[0].message_id)
        for number in range(2):
            await bot.send_message(-5, str(number))
        with pytest.raises(RetryAfter):
            await bot.send_message(-5, "x")


async def test_a_wait_as_told_is_enough():
    limits = FloodLimits(private=Window(2, 5), group=Window(0, 1), overall=Window(0, 1))
    async with running_sandbox(limits=limits) as running, running.bot() as bot:
        for number in range(2):
            await bot.send_message(CHAT, str(number))
        with pytest.raises(RetryAfter) as wait:
            await bot.send_message(CHAT, "x")
        await asyncio.sleep(_seconds(wait.value))  # the thing under test is this very wait
        await bot.send_message(CHAT, "x")


def _seconds(error: RetryAfter) -> float:
    assert isinstance(error.retry_after, timedelta)
    return error.retry_after.total_seconds()
