"""POST /internal/v1/actions: check the role, write the audit, let the bridge do it, write what came of it.

The incidents of a failure whose jobs were retried remember who did it, as they do of a retry in the chat.
"""

import hashlib
from typing import Annotated, Any

import msgspec
import structlog
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from bot.actions.bridge import Answer, Bridge, may_have_heard
from bot.incidents.handling import Handling
from bot.incidents.machine import Person
from bot.incidents.silences import Scope
from bot.internal.gate import RETRY_AFTER_SECONDS, Refused, read_body
from bot.internal.who import refusal_of, role_now
from bot.people.roster import People
from bot.store import audit
from bot.store.audit import Actor
from bot.texts import DONE_TO_JOBS
from tocsin.breakers import Unavailable
from tocsin.roles import Role

log = structlog.get_logger("actions")

MOST_BYTES = 4 * 1024 * 1024

Short = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


UNHEARD = "the bridge does not answer: it is not known whether this was done"
SAME_AGAIN = "look, or send the same request again: it does nothing twice"

OURS = frozenset({"name", "role", "address", "reason"})
"""Fields that the bridge does not get."""


class Asked(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The bridge's request, and in it who asks: name, address and their reason for the audit, role as logsvc knows it.

    What the bridge checks itself (the action, the ids, the filter) goes through as it came.
    """

    request_id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]
    user_id: Short | int
    action: Short
    source: Short
    queue: Short
    job_ids: Any = None
    filter: Any = None
    dry_run: bool = False
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""
    name: str = ""
    role: Role | None = None
    address: str = ""

    @property
    def for_bridge(self) -> dict[str, Any]:
        """The request without what is the bot's alone."""
        whole: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return {field: value for field, value in whole.items() if field not in OURS}

    @property
    def fingerprint(self) -> str:
        """The failure whose jobs are meant; empty = others, or chosen otherwise."""
        found: Any = self.filter.get("fingerprint") if isinstance(self.filter, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]  # as it came
        return found if isinstance(found, str) else ""

    @property
    def digest(self) -> str:
        """Equal for requests that ask for the same."""
        same = msgspec.json.encode({**self.for_bridge, "user_id": str(self.user_id)}, order="sorted")
        return hashlib.sha256(same).hexdigest()


def actions_route(handling: Handling, who: People, bridge: Bridge) -> HTTPRouteHandler:
    """The route, bound to what it needs."""
    database = handling.database

    @post("/internal/v1/actions", status_code=200, request_max_body_size=MOST_BYTES)
    async def actions(request: Request[Any, Any, Any]) -> Response[Any]:
        asked = await read_body(request, Asked)
        target = f"{asked.source}/{asked.queue}"
        async with database.transaction() as session:
            role = await role_now(session, who, str(asked.user_id), asked.role)
            actor = Actor(str(asked.user_id), asked.name, role or "", asked.address)
            refusal = refusal_of(role)
            if refusal is not None:
                await audit.note(session, actor, asked.action, target, f"refused: {refusal.body.message}")
            elif not asked.dry_run:
                digest = asked.digest
                begun = await audit.begin(
                    session,
                    actor,
                    asked.action,
                    target,
                    request_id=asked.request_id,
                    digest=digest,
                    reason=asked.reason.strip(),
                )
                if begun not in (None, digest):
                    refusal = Refused(409, "conflict", "this request_id asked for something else")
        if refusal is not None:
            raise refusal
        try:
            answer = await bridge.act(asked.for_bridge)
        except Unavailable as failure:
            is_known = asked.dry_run or not may_have_heard(failure)
            await _note(handling, asked, f"{'not done' if is_known else audit.NOT_KNOWN}: {failure}")
            if is_known:
                raise
            raise Refused(
                503, "bridge_unavailable", UNHEARD, mend=SAME_AGAIN, retry_after=RETRY_AFTER_SECONDS
            ) from failure
        await _note(handling, asked, _outcome(answer), _retried(asked, answer))
        headers = {"retry-after": answer.retry_after} if answer.retry_after else {}
        return Response(answer.body, status_code=answer.status, headers=headers)

    return actions


async def _note(handling: Handling, asked: Asked, outcome: str, retried: str = "") -> None:
    """Complete the audit, and let the incidents remember a retry. That it cannot be done changes nothing of it."""
    log.info("action", request_id=asked.request_id, user_id=asked.user_id, action=asked.action, outcome=outcome)
    if asked.dry_run:
        return
    try:
        async with handling.database.transaction() as session:
            is_news = await audit.end(session, asked.request_id, outcome)
        if retried and is_news:
            kind = Scope(source=asked.source, queue=asked.queue, fingerprint=asked.fingerprint)
            who = Person(0, asked.name or str(asked.user_id), account=str(asked.user_id))
            await handling.remember(kind, who, retried)
    except Unavailable as failure:
        log.error("audit_incomplete", request_id=asked.request_id, outcome=outcome, error=str(failure))


def _retried(asked: Asked, answer: Answer) -> str:
    """What the incidents of a failure are to remember; empty = nothing."""
    if answer.error or asked.action != "retry" or not asked.fingerprint:
        return ""
    outcomes: dict[str, int] = dict(answer.body.get("outcomes", {}))
    done = outcomes.pop("done", 0)
    others = [f"{count} {name.replace('_', ' ')}" for name, count in outcomes.items() if count]
    return ", ".join([DONE_TO_JOBS["retry"].format(count=done), *others]) if done else ""


def _outcome(answer: Answer) -> str:
    if answer.error:
        if answer.status == 503:
            return f"waits: {answer.error}"
        return f"{audit.NOT_KNOWN if answer.may_be_done else 'refused'}: {answer.error}"
    outcomes: dict[str, int] = answer.body.get("outcomes", {})
    return f"done: {', '.join(f'{count} {name}' for name, count in outcomes.items()) or '0'}"
