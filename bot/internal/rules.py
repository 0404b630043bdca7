"""The rules for the page: listed, changed by one editor at a time, and tried on the day that was."""

from typing import Any

import structlog
from litestar import Request, get, post, put
from litestar.handlers import HTTPRouteHandler

from bot.incidents.machine import Incident
from bot.internal.gate import Refused, read_body
from bot.internal.who import permit
from bot.kafka import KafkaError
from bot.people.roster import People
from bot.rules.board import Board
from bot.rules.conditions import Unit
from bot.rules.policy import FAILED, EventRule
from bot.rules.preview import LONGEST_HOURS, Preview
from bot.rules.rulebook import ALL, NUMBERS, AnyRule, BadTuning, Tuning, about, changeable, check
from bot.rules.rulekeeping import RuleKeeping
from bot.store.rules import Changed
from tocsin.incidents import (
    ChangeRule,
    PreviewItem,
    PreviewPage,
    PreviewRules,
    RuleChange,
    RuleItem,
    RuleNumbers,
)
from tocsin.roles import Role
from tocsin.times import rfc3339

log = structlog.get_logger("rules")

BASE = "/internal/v1/rules"
MOST_BYTES = 64 * 1024
MOST_SHOWN = 500


def rule_routes(keeping: RuleKeeping, board: Board, preview: Preview, people: People) -> list[HTTPRouteHandler]:
    """The routes, bound to what they ask."""
    database, book = keeping.database, keeping.book

    @get(BASE)
    async def listed() -> dict[str, list[RuleItem]]:
        await keeping.refresh()
        return {"items": [rule_item(rule, board) for rule in ALL.values()]}

    @put(f"{BASE}/{{name:str}}", request_max_body_size=MOST_BYTES)
    async def change(request: Request[Any, Any, Any], name: str) -> RuleItem:
        asked = await read_body(request, ChangeRule)
        if name not in ALL:
            raise Refused(404, "unknown_rule", "there is no such rule")
        who = await permit(database, people, asked, "rule", name)
        if asked.change.is_on and name in book.base.off:
            raise Refused(
                409, "off_by_setting", "BOT_RULES_OFF keeps this rule off", mend="take it out of that setting"
            )
        try:
            await keeping.change(name, _tuning(asked.change), who, version=asked.version)
        except BadTuning as bad:
            raise Refused(400, "invalid", str(bad)) from None
        except Changed:
            mend = "look at it as it is now, and change that"
            raise Refused(409, "conflict", "somebody else has changed this rule", mend=mend) from None
        return rule_item(ALL[name], board)

    @post(f"{BASE}/preview", status_code=200, request_max_body_size=MOST_BYTES)
    async def try_out(request: Request[Any, Any, Any]) -> PreviewPage:
        asked = await read_body(request, PreviewRules)
        if not 0 < asked.hours <= LONGEST_HOURS:
            raise Refused(400, "invalid", f"hours: more than 0, at most {LONGEST_HOURS:g}")
        changes = {name: _tuning(one) for name, one in asked.rules.items()}
        for name, tuning in changes.items():
            if name not in ALL:
                raise Refused(400, "invalid", "rules: there is no rule of one of these names")
            try:
                check(ALL[name], tuning)
            except BadTuning as bad:
                raise Refused(400, "invalid", f"rules.{name}.{bad}") from None
        await permit(database, people, asked, "rule preview", "", Role.VIEWER)
        if preview.is_busy:
            raise Refused(503, "busy", "another preview is under way", retry_after=10)
        wanted = {"env": asked.env, "source": asked.source, "queue": asked.queue}
        only = {name: value for name, value in wanted.items() if value}
        try:
            found = await preview.run(changes, hours=asked.hours, only=only)
        except KafkaError as failure:
            log.warning("preview_failed", error=f"{type(failure).__name__}: {failure}"[:200])
            raise Refused(503, "kafka_unavailable", "Kafka does not answer now", retry_after=10) from None
        shown = found.rung[-MOST_SHOWN:][::-1]
        return PreviewPage(
            items=[_preview_item(at_ms, incident) for at_ms, incident in shown],
            count=len(found.rung),
            records=found.records,
            start=rfc3339(found.first_ms) if found.first_ms else None,
            end=rfc3339(found.last_ms) if found.last_ms else None,
            is_whole=found.is_whole,
        )

    return [listed, change, try_out]


def rule_item(rule: AnyRule, board: Board) -> RuleItem:
    """A rule as it is now."""
    book = board.book
    tuning = book.tuning(rule.name)
    now = {**_numbers(book.rule(rule.name)), **tuning.numbers}
    return RuleItem(
        name=rule.name,
        title=rule.title,
        about=about(rule, tuning),
        why=rule.why,
        unit=Unit.COUNT.value if isinstance(rule, EventRule) else rule.unit.value,
        is_on=book.is_on(rule.name),
        is_fixed=rule.name == FAILED.name or rule.name in book.base.off,
        changeable=changeable(rule),
        shipped=RuleNumbers(**_numbers(rule)),
        finds=sum(watch.is_firing for spot, watch in board.watches.items() if spot.rule == rule.name),
        version=tuning.version,
        changed_by=tuning.by or None,
        changed_at=rfc3339(tuning.at_ms) if tuning.at_ms else None,
        **now,
    )


def _numbers(rule: AnyRule) -> dict[str, float]:
    if isinstance(rule, EventRule):
        return {"fire": rule.fire, "resolve": 0, "fire_seconds": 0, "resolve_seconds": 0, "least": 0}
    return {name: getattr(rule, name) for name in NUMBERS}


def _tuning(change: RuleChange) -> Tuning:
    return Tuning(change.is_on, change.fire, change.resolve, change.fire_seconds, change.resolve_seconds, change.least)


def _preview_item(at_ms: int, one: Incident) -> PreviewItem:
    return PreviewItem(
        at=rfc3339(at_ms),
        **one.key._asdict(),
        rule=one.rule or FAILED.name,
        title=one.last.error_type or "Error",
        error=one.last.error,
        regressed=one.previous_ms is not None,
    )
