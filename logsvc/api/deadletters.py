"""`/api/v1/dead-letters`: what could not be decoded or stored, whole, and tried again.

A replay stands in the bot's audit before it is done, and what came of it afterwards: without a bot there is none.
"""

import asyncio
import hashlib
from collections import Counter
from typing import Annotated, Any
from urllib.parse import unquote

import msgspec
import structlog
from litestar import Request, get, post
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, Parameter

from logsvc.api.answers import MEMORY, OF_BOT, Segment, refusals, refuse_unknown
from logsvc.api.wishes import Outcomes, RequestId
from logsvc.auth.who import Who, need
from logsvc.bot import Bot, BotRefused
from logsvc.deadletters.newest import BuriedLetter, BuriedLetters, buried
from logsvc.deadletters.replay import Outcome, Replayer, Verdict
from logsvc.errors import LogsvcError, TooMany
from tocsin.access import Deed, DeedOutcome
from tocsin.breakers import Unavailable
from tocsin.roles import Role
from tocsin.times import rfc3339_or_none

log = structlog.get_logger("logsvc.deadletters")

MOST_LETTERS = 100
MOST_LISTED = 500
MOST_BYTES = 256 * 1024
REPLAY_SECONDS = 40.0
REPLAY = "replay"

Asked = Request[Any, Any, Any]
LetterId = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]


class LettersPage(msgspec.Struct):
    """The newest first. count: what Kafka keeps, about; it has those that are not listed. as_of: null = not read."""

    items: list[BuriedLetter]
    count: int
    as_of: str | None


class ReplayWish(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """request_id: yours; the same again stores nothing twice. dry_run: say what would be stored, and store nothing."""

    request_id: RequestId
    ids: Annotated[list[LetterId], msgspec.Meta(min_length=1, max_length=MOST_LETTERS)]
    dry_run: bool = False


class Replayed(msgspec.Struct):
    """What became of one letter. outcome: stored, storable (a dry run), already_stored, refused, gone (from Kafka),
    expired (older than history), busy (try again), not_ours (bridge's: there is no record), unknown (of this id)."""

    id: str
    outcome: str
    reason: str = ""


def dead_letter_routes(letters: BuriedLetters, replayer: Replayer, bot: Bot) -> list[HTTPRouteHandler]:
    """The routes, bound to what they tell of. One replay at a time."""
    turn = asyncio.Lock()

    @get("/api/v1/dead-letters", summary="What could not be decoded or stored", responses=refusals(*MEMORY))
    async def dead_letters(request: Asked, limit: Annotated[int, Parameter(ge=1, le=MOST_LISTED)] = 100) -> LettersPage:
        refuse_unknown(request, ("limit",))
        return LettersPage(list(letters.newest[:limit]), letters.count, rfc3339_or_none(letters.as_of_ms))

    @get("/api/v1/dead-letters/{letter_id:str}", summary="One of them, whole", responses=refusals(*MEMORY, 404))
    async def dead_letter(request: Asked, letter_id: Segment) -> BuriedLetter:
        refuse_unknown(request, ())
        letter = letters.find(unquote(letter_id))
        if letter is None:
            raise NotFoundException("no such dead letter among the newest; the topic may hold it")
        return buried(letter)

    @post(
        "/api/v1/dead-letters/replay",
        status_code=200,
        summary="Try to store some of them again (operator)",
        responses=OF_BOT,
        request_max_body_size=MOST_BYTES,
    )
    async def replay(request: Asked, data: JSONBody[ReplayWish]) -> Outcomes[Replayed]:
        who = need(request.scope, Role.OPERATOR)
        refuse_unknown(request, ())
        if turn.locked():
            raise TooMany("somebody replays dead letters just now; wait for them to end")
        async with turn:
            if data.dry_run:
                return await _replay(letters, replayer, data)
            await bot.ask("POST", "audit", msgspec.json.encode(_deed(who, data)))
            try:
                result = await _replay(letters, replayer, data)
            except LogsvcError as error:
                await _note(bot, data.request_id, f"waits: {error}")
                raise
            await _note(bot, data.request_id, f"done: {_counted(result.outcomes)}")
            return result

    return [dead_letters, dead_letter, replay]


async def _replay(letters: BuriedLetters, replayer: Replayer, wish: ReplayWish) -> Outcomes[Replayed]:
    results: list[Replayed] = []
    try:
        async with asyncio.timeout(REPLAY_SECONDS), replayer.kafkas() as kafka:
            for letter_id in dict.fromkeys(wish.ids):
                letter = letters.find(letter_id)
                if letter is None:
                    verdict = Verdict(Outcome.UNKNOWN, "no such dead letter among the newest")
                else:
                    verdict = await replayer.replay(letter, kafka, dry_run=wish.dry_run)
                results.append(Replayed(letter_id, verdict.outcome.value, verdict.reason))
    except TimeoutError:
        raise TooMany(
            f"{len(results)} are done, the others took too long: send it again, nothing is done twice"
        ) from None
    outcomes = Counter(one.outcome for one in results)
    return Outcomes(
        request_id=wish.request_id,
        dry_run=wish.dry_run,
        count=outcomes[Outcome.STORABLE if wish.dry_run else Outcome.STORED],
        outcomes=dict(outcomes),
        results=results,
    )


def _deed(who: Who, wish: ReplayWish) -> Deed:
    """What the audit is told: so that one request_id is about the same letters, whoever sends it."""
    ids = "\n".join(wish.ids)
    rest = f" and {len(wish.ids) - 1} more" if len(wish.ids) > 1 else ""
    return Deed(
        request_id=wish.request_id,
        user_id=who.user_id,
        name=who.name,
        role=who.role,
        address=who.address,
        action=REPLAY,
        target=f"dead letter {wish.ids[0]}{rest}",
        digest=hashlib.sha256(f"{who.user_id}\n{ids}".encode(errors="replace")).hexdigest(),
    )


async def _note(bot: Bot, request_id: str, outcome: str) -> None:
    """Complete the audit. That it cannot be done changes nothing of what was done."""
    log.info("replayed", request_id=request_id, outcome=outcome)
    try:
        await bot.ask("PUT", f"audit/{request_id}", msgspec.json.encode(DeedOutcome(outcome=outcome)))
    except (BotRefused, Unavailable) as error:
        log.error("audit_incomplete", request_id=request_id, outcome=outcome, error=str(error))


def _counted(outcomes: dict[str, int]) -> str:
    return ", ".join(f"{number} {word.replace('_', ' ')}" for word, number in outcomes.items())
