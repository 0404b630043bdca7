"""Telegram: the API answers, the token is right, the bot may write to the chats that alerts go to."""

import asyncio
import re
from typing import Any

import httpx

from tocsin.doctor.environment import Unreadable, place, value
from tocsin.doctor.finding import Environ, Finding, bad, note, ok, warn

SECONDS = 4.0
MAX_CHATS = 50
_DEFAULT_API = "https://api.telegram.org"
_TARGET = re.compile(r"(-?\d{1,18})(?:/\d{1,10})?(?::silent)?$")


async def check_telegram(environ: Environ) -> list[Finding]:
    try:
        token = value(environ, "TELEGRAM_BOT_TOKEN")
    except Unreadable as error:
        return [bad("Telegram", f"{error.name} {error}", f"check the file that {error.name} names")]
    if not token:
        return [
            bad(
                "Telegram",
                "no bot token is set",
                "ask @BotFather for one (/newbot), then: export TELEGRAM_BOT_TOKEN=…   (or look around: make demo)",
            )
        ]
    api = (environ.get("TELEGRAM_API_URL") or _DEFAULT_API).rstrip("/")
    try:
        async with httpx.AsyncClient(base_url=f"{api}/bot{token}/", timeout=SECONDS) as client:
            me = await _call(client, "getMe")
            if not me.get("ok"):
                return [_refused(api, me)]
            bot = me["result"]
            findings = [ok("Telegram", f"the token is @{bot['username']}'s"), *await _rivals(client, environ)]
            return [*findings, *await _chats(client, environ, bot)]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:  # texts may hold the token
        return [
            bad(
                "Telegram",
                f"nothing that speaks Telegram's Bot API answers at {place(api)} ({type(error).__name__})",
                f"can this machine reach it? curl -sS {_shown(api)}   (address: TELEGRAM_API_URL; proxy: HTTPS_PROXY)",
            )
        ]


async def _rivals(client: httpx.AsyncClient, environ: Environ) -> list[Finding]:
    """Who else takes this token's updates. Asking for updates ourselves would take them from the bot."""
    hook = await _call(client, "getWebhookInfo")
    if hook.get("ok") and hook["result"].get("url"):
        found = "a webhook is set for this token, so nobody can poll it: commands are not heard"
        return [bad("Telegram", found, "call deleteWebhook for this token, or give Tocsin a bot of its own (/newbot)")]
    base = (environ.get("BOT_URL") or f"http://127.0.0.1:{environ.get('BOT_PORT') or 9102}").rstrip("/")
    try:
        async with httpx.AsyncClient(timeout=1) as bot:
            told = (await bot.get(f"{base}/health/ready")).json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return []  # no bot runs here: nothing to ask
    if any("another process polls" in str(one) for one in told.get("degraded", [])):
        found = "the running bot says that another process polls with its token (409): commands get lost"
        return [bad("Telegram", found, "stop the other one, or give each stack a bot of its own (@BotFather, /newbot)")]
    return []


async def _chats(client: httpx.AsyncClient, environ: Environ, bot: dict[str, Any]) -> list[Finding]:
    entries = [part for part in environ.get("TELEGRAM_ALERT_CHATS", "").split(",") if part.strip()]
    found = [_TARGET.search(entry.strip()) for entry in entries]
    addressed = _addressed(environ)
    findings: list[Finding] = []
    if wrong := [number for number, match in enumerate(found, 1) if match is None]:
        findings.append(
            bad(
                "Telegram chats",
                f"TELEGRAM_ALERT_CHATS: entry {', '.join(map(str, wrong))} names no chat",
                "export TELEGRAM_ALERT_CHATS='[env or source/queue glob=]chat_id[/topic_id][:silent],…'",
            )
        )
    if not {"TELEGRAM_ALERT_CHATS", "TELEGRAM_ADMINS"} & set(addressed.values()):
        findings.append(
            warn(
                "Telegram chats",
                "nobody is rung: TELEGRAM_ALERT_CHATS and TELEGRAM_ADMINS are both unset",
                f"send /whoami to @{bot['username']}, then: export TELEGRAM_ADMINS=your id",
            )
        )
    asked = list(addressed.items())[:MAX_CHATS]
    return [*findings, *await asyncio.gather(*(_chat(client, chat, setting, bot) for chat, setting in asked))]


def _addressed(environ: Environ) -> dict[str, str]:
    """Every chat that settings send something to, with the first of them that names it."""
    found: dict[str, str] = {}
    for setting in ("TELEGRAM_ALERT_CHATS", "BOT_ESCALATE_TO", "TELEGRAM_ADMINS"):
        for entry in environ.get(setting, "").split(","):
            if match := _TARGET.search(entry.strip()):
                found.setdefault(match[1], setting)
    return found


async def _chat(client: httpx.AsyncClient, chat: str, setting: str, bot: dict[str, Any]) -> Finding:
    check = f"Telegram chat {chat}"
    answer = await _call(client, "getChat", chat_id=chat)
    invite = f"add @{bot['username']} to the group, or in private press Start"
    if not answer.get("ok"):
        # An admin hears only of what no chat was named for, or asked for with /here: no reason not to start.
        tell = warn if setting == "TELEGRAM_ADMINS" else bad
        return tell(
            check,
            f"Telegram says: {answer.get('description', 'no')} ({setting})",
            f"{invite}; /whoami in the chat tells its id",
        )
    found = answer["result"]
    name = found.get("title") or found.get("first_name") or "private"
    if found.get("type") == "private":
        return ok(check, f"{name}, in private")
    member = await _call(client, "getChatMember", chat_id=chat, user_id=bot["id"])
    status = str(member["result"]["status"]) if member.get("ok") else "unknown"
    if status in ("left", "kicked"):
        return bad(check, f"the bot is not in {name} ({status})", invite)
    if not _may_write(found, status, member.get("result", {})):
        return bad(check, f"the bot may not write in {name}", "let it send messages, or make it an administrator")
    if status == "unknown":
        return note(check, f"{name}; whether the bot may write there could not be asked")
    return ok(check, f"{name}, as {status}")


def _may_write(chat: dict[str, Any], status: str, member: dict[str, Any]) -> bool:
    """By what Telegram tells of the chat and of the bot in it; what it does not tell counts as allowed."""
    if chat.get("type") == "channel":
        return status == "unknown" or (status == "administrator" and bool(member.get("can_post_messages", True)))
    if status == "restricted":
        return bool(member.get("can_send_messages", True))
    return status != "member" or bool(chat.get("permissions", {}).get("can_send_messages", True))


async def _call(client: httpx.AsyncClient, method: str, **params: Any) -> dict[str, Any]:
    return (await client.get(method, params=params)).json()


def _shown(api: str) -> str:
    """The address for a command line, without what stands before its host."""
    return f"{api.partition('://')[0]}://{place(api)}"


def _refused(api: str, answer: dict[str, Any]) -> Finding:
    code = answer.get("error_code")
    if code in (401, 404):
        return bad(
            "Telegram",
            f"the token is refused ({code} {answer.get('description', '')})",
            "look it up with @BotFather (/mybots, API Token), then: export TELEGRAM_BOT_TOKEN=…",
        )
    return bad("Telegram", f"{place(api)} answers {code} {answer.get('description', '')}", "try again later")
