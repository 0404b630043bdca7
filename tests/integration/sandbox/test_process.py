"""The sandbox as a process: it remembers across a kill, keeps to loopback, and answers to nobody else."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.eventually import READY_SECONDS, eventually
from tests.ports import free_port
from tests.servers.sandbox import CHAT, TOKEN, Running
from tocsin.sandbox.__main__ import main


@asynccontextmanager
async def process(*arguments: str) -> AsyncGenerator[tuple[Process, httpx.AsyncClient]]:
    port = free_port()
    command = [sys.executable, "-m", "tocsin.sandbox", "--port", str(port), *arguments]
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=READY_SECONDS) as client:

        async def answers() -> bool:
            try:
                return (await client.get("/health/ready")).is_success
            except httpx.TransportError:
                return False

        try:
            await eventually(answers, what="the sandbox process")
            yield child, client
        finally:
            if child.returncode is None:
                child.kill()
            await child.wait()


async def call(client: httpx.AsyncClient, method: str, **parameters: Any) -> Any:
    answer = await client.post(f"/bot{TOKEN}/{method}", json=parameters)
    assert answer.is_success, answer.text
    return answer.json()["result"]


async def test_a_killed_sandbox_forgets_nothing(tmp_path: Path):
    token_file = tmp_path / "token"
    token_file.write_text(f"{TOKEN}\n")
    arguments = ("--data", str(tmp_path / "data"), "--token-file", str(token_file))
    async with process(*arguments) as (child, client):
        sent = await call(client, "sendMessage", chat_id=CHAT, text="one")
        await call(client, "editMessageText", chat_id=CHAT, message_id=sent["message_id"], text="two")
        gone = await call(client, "sendMessage", chat_id=CHAT, text="deleted")
        await call(client, "deleteMessage", chat_id=CHAT, message_id=gone["message_id"])
        for text in ("seen", "unseen"):
            await client.post("/sandbox/messages", json={"chat_id": CHAT, "user_id": CHAT, "text": text})
        seen, unseen = await call(client, "getUpdates")
        await call(client, "getUpdates", offset=unseen["update_id"])
        await call(client, "setMyCommands", commands=[{"command": "queues", "description": "What waits"}])
        before = (await client.get(f"/sandbox/chats/{CHAT}/messages")).json()
        child.kill()
        await child.wait()
    with (tmp_path / "data" / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"kind":"message","mess')  # as a kill in the middle of a write leaves it
    for _ in range(2):  # the second start reads what the first one rewrote
        async with process(*arguments) as (_, client):
            assert (await client.get(f"/sandbox/chats/{CHAT}/messages")).json() == before
            assert await call(client, "getUpdates") == [unseen]
            assert len(await call(client, "getMyCommands")) == 1
            newer = await call(client, "sendMessage", chat_id=CHAT, text="new")
            assert newer["message_id"] > unseen["message"]["message_id"] > gone["message_id"]
            await call(client, "deleteMessage", chat_id=CHAT, message_id=newer["message_id"])
            assert (await client.get(f"/bot{TOKEN}x/getMe")).status_code == 401
    assert seen["update_id"] < unseen["update_id"]


async def test_a_stop_ends_open_polls_and_streams_at_once():
    async with process() as (child, client):
        polling = asyncio.create_task(client.get(f"/bot{TOKEN}/getUpdates", params={"timeout": 50}, timeout=60))
        async with client.stream("GET", "/sandbox/events", timeout=60) as stream:
            lines = stream.aiter_lines()
            assert await anext(lines) == ": listening"

            async def is_polling() -> bool:
                chats = await client.post("/sandbox/messages", json={"chat_id": CHAT, "user_id": CHAT, "text": "x"})
                return chats.is_success and polling.done()

            await eventually(is_polling)
            asked = asyncio.Event()

            async def trace(event: str, _: Any) -> None:
                if event == "http11.send_request_body.complete":
                    asked.set()

            poll = {"timeout": 50, "offset": 2**31 - 1}
            again = asyncio.create_task(
                client.get(f"/bot{TOKEN}/getUpdates", params=poll, timeout=60, extensions={"trace": trace})
            )
            await asked.wait()
            await call(client, "getMe")  # which is answered after the poll was heard
            child.send_signal(signal.SIGTERM)
            async with asyncio.timeout(30):  # sooner than the poll ends by itself
                assert await child.wait() == 0
            assert (await again).json() == {"ok": True, "result": []}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_only_loopback_is_listened_on(host: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["--host", host, "--port", "0"])
    assert ended.value.code == 2
    assert "loopback" in capsys.readouterr().err


def test_a_port_that_is_no_number_is_refused_clearly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("SANDBOX_PORT", "abc")
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "invalid int value: 'abc'" in capsys.readouterr().err


def test_a_token_file_that_is_not_there_is_refused_clearly(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["--token-file", str(tmp_path / "none")])
    assert ended.value.code == 2
    assert "No such file" in capsys.readouterr().err


async def test_readiness_is_not_claimed_for_a_port_that_is_taken():
    async with process() as (_, client):
        command = [sys.executable, "-m", "tocsin.sandbox", "--port", str(client.base_url.port)]
        second = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        output, _ = await asyncio.wait_for(second.communicate(), READY_SECONDS)
        assert second.returncode == 1
        assert b"cannot listen on" in output
        assert b"sandbox_ready" not in output


async def test_other_sites_and_names_are_refused(running: Running):
    rebound = await running.people.get("/sandbox/chats", headers={"host": "evil.example"})
    foreign = await running.people.post(
        "/sandbox/messages",
        json={"chat_id": CHAT, "user_id": CHAT, "text": "x"},
        headers={"origin": "https://evil.example"},
    )
    assert (rebound.status_code, foreign.status_code) == (403, 403)
    assert await running.messages() == []
    own = await running.people.get("/sandbox/chats", headers={"origin": running.url})
    assert own.status_code == 200


async def test_a_chats_events_tell_of_messages_edits_and_deletions(running: Running):
    await running.post("chats", id=-5, title="Elsewhere")
    async with running.people.stream("GET", f"/sandbox/chats/{CHAT}/events", timeout=READY_SECONDS) as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == ": listening"
        async with running.bot() as bot:
            await bot.send_message(-5, "not of this chat")
            sent = await bot.send_message(CHAT, "one", disable_notification=True)
            await bot.send_chat_action(CHAT, "typing")
            await bot.edit_message_text("two", CHAT, sent.message_id)
            await bot.delete_message(CHAT, sent.message_id)
        events: list[dict[str, Any]] = []
        async for line in lines:
            if line.startswith("data: "):
                events.append(json.loads(line.removeprefix("data: ")))
            if events and events[-1]["type"] == "deleted":
                break
    assert [event["type"] for event in events] == ["message", "typing", "message", "deleted"]
    assert [event["message"]["text"] for event in events if event["type"] == "message"] == ["one", "two"]
    assert [event["silent"] for event in events if event["type"] == "message"] == [True, True]
