"""Who may do what, in Telegram and on the server: roles, login links, API tokens, and the audit of it all."""

import asyncio
import re

import httpx
import pytest

from bot import texts
from bot.commands.grant import PER_PAGE
from tests.eventually import eventually
from tests.integration.bot.house import CHAT, House, failure, snapshot
from tests.integration.bot.service import SERVICE_TOKEN, Service, by_hand
from tests.integration.bot.test_handling import answered
from tests.integration.bot.test_postgres_refuses import Sql
from tests.ports import free_port

ANN, STRANGER = 4242, 3003
GROUP = -100777


@pytest.fixture
def guarded(house: House) -> House:
    """A house whose services know their token, and whose page has a public address."""
    house.environ |= {"TOCSIN_SERVICE_TOKEN": SERVICE_TOKEN, "PUBLIC_URL": "https://tocsin.example.com/sub/"}
    return house


def ticket_in(text: str) -> str:
    found = re.search(r"https://tocsin\.example\.com/sub/login\?ticket=([\w-]{43})", text)
    assert found, text
    return found[1]


async def test_a_link_of_the_chat_logs_in_once_with_the_role_of_now(guarded: House) -> None:
    house = guarded
    bot = Service(await house.start_bot())
    link, _ = await house.ask("/login", expect="login?ticket=")
    ticket = ticket_in(link)
    several = await asyncio.gather(*(bot.redeem(ticket) for _ in range(8)))
    assert sorted(answer.status_code for answer in several) == [200] + [410] * 7
    told = next(answer.json() for answer in several if answer.status_code == 200)
    assert (told["user_id"], told["role"]) == (str(CHAT), "admin")
    assert told["issued_at"] < told["expires_at"]
    assert (await bot.redeem(ticket)).json()["error"] == "used"
    for wrong in ("", "x" * 43, "x" * 5000, "'; DROP TABLE login_tickets; --", "\u0000", "ü"):
        assert (await bot.redeem(wrong)).status_code == 404
    rows = await bot.audit(action="login")
    assert [row["outcome"] for row in rows].count("done") == 1
    assert {(row["user_id"], row["address"]) for row in rows if row["outcome"] == "refused: used"} == {
        (str(CHAT), "203.0.113.7")
    }
    assert (await bot.audit(action="login%20link"))[0]["user_id"] == str(CHAT)
    output = house.bots[0].output()
    assert ticket not in output
    assert SERVICE_TOKEN not in output


async def test_roles_are_given_taken_and_asked_for(guarded: House) -> None:
    house = guarded
    house.environ["TELEGRAM_ALERT_CHATS"] = str(GROUP)
    bot = Service(await house.start_bot())
    await house.client.post("/sandbox/chats", json={"id": GROUP, "type": "supergroup", "title": "ops"})
    await house.say("/start", chat=ANN, user=ANN)
    await eventually(lambda: house.has_text(f"Your Telegram id is {ANN}", ANN), what="Ann told her id")
    await house.say("/login", chat=ANN, user=ANN)
    await house.ask("/grant", expect="TELEGRAM_ADMINS")
    for wrong in ("/grant 42", "/grant 42 root", "/grant ann viewer", "/grant 1 2 3", f"/grant {'9' * 40} viewer"):
        await house.ask(wrong, expect="Say whom and what")
    await house.ask("/revoke ann", expect="Say whom")
    await house.ask("/grant @nobody_here viewer", expect="has spoken to me")
    await house.ask(f"/grant {CHAT} viewer", expect="admin by TELEGRAM_ADMINS")
    await house.ask(f"/grant {ANN} admin", expect="is now admin")
    await house.say("/here env=prod", chat=ANN, user=ANN)
    await eventually(lambda: house.has_text("env=prod", ANN), what="Ann's private chat hears of prod")
    await house.ask(f"/oncall give {ANN}", expect="On call: ")
    await house.ask(f"/grant {ANN} operator", expect="is now operator")
    await house.say("/login", chat=ANN, user=ANN)
    await eventually(lambda: house.has_text("login?ticket=", ANN), what="a link for Ann")
    first = ticket_in((await house.texts(ANN))[-1])
    told = (await bot.redeem(first)).json()
    assert (told["user_id"], told["role"]) == (str(ANN), "operator")
    await house.say(f"/grant {ANN} admin", chat=ANN, user=ANN)
    await eventually(lambda: house.has_text("needs the role admin; yours is operator", ANN), what="Ann refused")

    await house.say("/login", chat=ANN, user=ANN)
    await eventually(lambda: _two_links(house), what="another link for Ann")
    second = ticket_in((await house.texts(ANN))[-1])
    revoked, _ = await house.ask(f"/revoke {ANN}", expect="logged out everywhere")
    assert "private chat hears no alerts" in revoked
    assert "not on call any more" in revoked
    await house.ask("/oncall", expect="Nobody is on call")
    assert (await bot.redeem(second)).json()["error"] == "revoked"
    over = (await bot("GET", "access")).json()["ended"]
    assert [one["subject"] for one in over] == [f"user:{ANN}"]
    assert over[0]["at"] > told["issued_at"]
    before = len(await house.texts(ANN))
    await house.say("/queues", chat=ANN, user=ANN)

    async def is_a_stranger() -> bool:
        new = (await house.texts(ANN))[before:]
        return bool(new) and f"Your Telegram id is {ANN}" in new[-1]

    await eventually(is_a_stranger, what="Ann a stranger again")
    assert [(row["action"], row["target"]) for row in await bot.audit(user_id=CHAT)][:2] == [
        ("revoke", str(ANN)),
        ("grant operator", str(ANN)),
    ]
    assert {row["target"] for row in await bot.audit(target=ANN)} == {str(ANN)}
    for number in range(PER_PAGE):
        await house.ask(f"/grant {70_000 + number} viewer", expect=f"{70_000 + number} is now viewer")
    await house.ask("/grant", expect="TELEGRAM_ADMINS")
    listed = await house.message("TELEGRAM_ADMINS")
    assert f"{70_000 + PER_PAGE - 1}" not in listed["text"]
    await house.press(listed, texts.NEXT_PAGE)
    await house.message(f"viewer: (id {70_000 + PER_PAGE - 1})")


async def _two_links(house: House) -> bool:
    return sum("login?ticket=" in text for text in await house.texts(ANN)) == 2


async def test_on_the_server_links_and_tokens_are_made_while_telegram_is_down(guarded: House) -> None:
    house = guarded
    house.environ["TELEGRAM_API_URL"] = f"http://127.0.0.1:{free_port()}"
    status, link, said = await by_hand(house, "link", "login-link", "Ann of ops", "--role", "operator")
    assert status == 0, said
    status, secret, said = await by_hand(house, "create", "token", "create", "ci", "--role", "operator", "--days", "2")
    assert status == 0, said
    assert secret.startswith("tocsin_")
    bot = Service(await house.start_bot(wait=False))

    async def answers() -> bool:
        try:
            return (await bot("GET", "access")).status_code == 200
        except httpx.TransportError:
            return False

    await eventually(answers, what="the bot's internal API without Telegram")
    told = (await bot.redeem(ticket_in(link))).json()
    assert (told["user_id"], told["name"], told["role"]) == ("link:Ann of ops", "Ann of ops", "operator")
    known = (await bot("GET", "access")).json()["tokens"]
    assert [(one["name"], one["role"]) for one in known] == [("ci", "operator")]
    assert secret.strip() not in str(known)
    maker = {"user_role": "admin", "address": "192.0.2.7"}
    made = await bot("POST", "tokens", body={"name": "grafana", "role": "viewer", "user_id": "1001", **maker})
    assert made.status_code == 201
    assert made.json()["token"].startswith("tocsin_")
    one = f"tokens/{made.json()['id']}"
    for other in ({"user_id": str(ANN)}, {"user_id": "proxy:ann", "user_role": "operator"}):
        body = {"name": "mine", "role": "admin", **maker, **other}
        assert (await bot("POST", "tokens", body=body)).status_code == 403, "no admin now, whatever they were"
    assert (await bot("DELETE", f"{one}?user_id={ANN}&role=admin")).status_code == 403
    refusals = [(row["action"], row["outcome"]) for row in await bot.audit(user_id=ANN)]
    refused = "refused: that needs the role admin; yours is viewer"
    assert refusals == [("token revoke", refused), ("token create", refused)]
    for wrong in ({"name": ""}, {"name": "x" * 101}, {"role": "root"}, {"days": 0}, {"days": 10**9}):
        body = {"name": "n", "role": "viewer", "user_id": "1", **wrong}
        assert (await bot("POST", "tokens", body=body)).status_code == 400, wrong
    assert (await by_hand(house, "revoke", "token", "revoke", known[0]["id"]))[0] == 0
    assert (await by_hand(house, "again", "token", "revoke", known[0]["id"]))[0] == 1
    _, listed, _ = await by_hand(house, "list", "token", "list")
    assert re.search(r"revoked +operator .* ci\n", listed)
    assert re.search(r"good +viewer .*never ends +grafana\n", listed)
    assert (await bot("DELETE", f"{one}?user_id=1001&role=admin&address=192.0.2.7")).status_code == 204
    assert (await bot("GET", "access")).json()["tokens"] == []
    rows = [row for row in await bot.audit() if row["action"].startswith("token ") and row["outcome"][:4] == "done"]
    assert [row["action"] for row in rows].count("token create") == len(rows) - 2 == 2
    by_page = [(row["role"], row["address"]) for row in rows if "grafana" in row["target"]]
    assert by_page == [("admin", "192.0.2.7")] * 2
    assert (await by_hand(house, "bad", "login-link", "x;y"))[0] == 2
    assert (await by_hand(house, "bad2", "token", "destroy"))[0] == 2


async def test_the_internal_api_is_for_services_only(guarded: House) -> None:
    house = guarded
    bot = Service(await house.start_bot())
    for method, path in (
        ("POST", "login/redeem"),
        ("POST", "login/end"),
        ("POST", "login/arrived"),
        ("POST", "actions"),
        ("POST", "tokens"),
        ("GET", "tokens"),
        ("GET", "audit"),
        ("GET", "access"),
        ("DELETE", "tokens/1"),
        ("GET", "incidents"),
        ("POST", "incidents/1/ack"),
        ("POST", "silences"),
        ("POST", "views"),
    ):
        assert (await bot(method, path, token=None)).status_code == 401, path
        assert (await bot(method, path, token="wrong")).status_code == 403, path
    arrival = {"request_id": "login:1", "user_id": "proxy:ann", "name": "ann", "role": "operator"}
    arrival |= {"address": "203.0.113.7", "at": "2026-11-22T06:15:12+00:00"}
    for told in (arrival, arrival, {**arrival, "request_id": "login:2", "role": None}):
        assert (await bot("POST", "login/arrived", body=told)).status_code == 204
    rows = await bot.audit(user_id="proxy:ann")
    assert [(row["action"], row["role"], row["outcome"].partition(",")[0]) for row in rows] == [
        ("login", "", "refused: LOGSVC_PROXY_ROLES"),
        ("login", "operator", "done: by the proxy"),
    ]
    assert (await bot("POST", "login/redeem", body={"ticket": "x" * 100_000})).status_code == 413
    assert (await bot("POST", "login/redeem", body=[1])).json()["error"] == "invalid"
    assert (await bot("GET", "audit?limit=0")).status_code == 400
    assert (await bot("GET", "audit?limit=many")).status_code == 400
    house.environ.pop("TOCSIN_SERVICE_TOKEN")
    nobody = Service(await house.start_bot())
    assert (await nobody("GET", "access")).json()["error"] == "not_configured"


async def test_open_page_sends_who_presses_it_a_link_of_their_own_that_leads_to_the_incident(guarded: House) -> None:
    house = guarded
    house.environ["TELEGRAM_ALERT_CHATS"] = str(GROUP)
    made = await house.client.post("/sandbox/chats", json={"id": GROUP, "title": "ops"})
    made.raise_for_status()
    bot = Service(await house.start_bot())
    await house.put(snapshot(), failure())
    card = await house.message("CardError", GROUP)
    number = (await bot("GET", "incidents")).json()["items"][0]["id"]

    told = answered(await house.press(card, "Open page"))
    assert (told["text"], told["url"]) == ("I have sent you a link of your own, in private.", "")
    mine = await house.message(f"opens #{number} there")
    assert "logs you into the page as admin" in mine["text"]
    link = mine["reply_markup"]["inline_keyboard"][0][0]["url"]
    assert f"/sub/login?next=incidents%2F{number}&ticket=" in link
    # Ann has never said a word to the bot, so it may not begin; she is a viewer, because she is in the group.
    told = answered(await house.press(card, "Open page", ANN))
    assert told["url"] == f"https://t.me/tocsin_sandbox_bot?start=open-{number}"
    await house.say(f"/start open-{number}", chat=ANN, user=ANN)
    hers = await house.message("logs you into the page as viewer", ANN)
    her_link = hers["reply_markup"]["inline_keyboard"][0][0]["url"]
    for secret in (link.rpartition("=")[2], her_link.rpartition("=")[2]):
        assert secret not in str(await house.messages(GROUP))

    tries = [await bot.redeem(link.rpartition("=")[2]) for _ in range(2)]
    assert [(one.status_code, one.json().get("role")) for one in tries] == [(200, "admin"), (410, None)]
    await Sql(house.postgres).run("UPDATE login_tickets SET expires_at = now() - interval '1 s' WHERE used_at IS NULL")
    assert (await bot.redeem(her_link.rpartition("=")[2])).json()["error"] == "expired"
    again = answered(await house.press(card, "Open page", ANN))
    assert (again["text"], again["url"]) == ("I have sent you a link of your own, in private.", "")

    forged = answered(await house.press_data(card, "login:999999"))
    assert (forged["text"], forged["show_alert"]) == ("There is no incident #999999.", True)
    await house.say(f"/start open-{number}", chat=STRANGER, user=STRANGER)
    await eventually(
        lambda: house.has_text(f"Your Telegram id is {STRANGER}", STRANGER), what="a stranger told their id"
    )
    assert not await house.has_text("login?", STRANGER)
    links = [row for row in await bot.audit(action="login%20link") if row["target"] == f"#{number}"]
    assert {row["user_id"] for row in links} == {str(CHAT), str(ANN)}
