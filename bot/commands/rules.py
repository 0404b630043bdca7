"""/rules: what rings, and why; one rule with its numbers, how to change them, and what a change would have rung."""

import re
from dataclasses import dataclass, fields, replace

import structlog

from bot import texts
from bot.delivery.messages import Ask, Button, Reply
from bot.desk import Desk
from bot.kafka import KafkaError
from bot.render.markup import name as shown
from bot.render.preview import preview_text
from bot.render.rules import PER_PAGE, WORDS, rule_text, rules_pages, rules_text
from bot.rules.rulebook import ALL, AS_SHIPPED, BadTuning, Tuning, check
from bot.store.rules import Changed
from tocsin.breakers import Unavailable
from tocsin.roles import Role

log = structlog.get_logger("rules")

PREVIEW = "preview"
PREVIEW_HOURS = 24.0
PREVIEW_SECONDS = 8.0
"""Whoever pressed a button sees a spinner for so long."""
_VALUE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)(%|s|m|min|h|d)?")
_FACTORS = {"%": 0.01, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_FIELDS = {word: field for field, word in WORDS.items()} | {field.name: field.name for field in fields(Tuning)}


def read_tuning(words: list[str], now: Tuning) -> Tuning:
    """Apply `fire=20 for=10m off` to a tuning; `reset` begins from what ships. Raises BadTuning."""
    for word in words:
        key, equals, value = word.lower().partition("=")
        number = _VALUE.fullmatch(value)
        if not equals and key in ("on", "off"):
            now = replace(now, is_on=key == "on")
        elif not equals and key == "reset":
            now = AS_SHIPPED
        elif number is not None and key in WORDS.values():
            now = replace(now, **{_FIELDS[key]: float(number[1]) * _FACTORS.get(number[2] or "s", 1)})
        else:
            raise BadTuning(f"{word[:40]!r} is none of {', '.join(f'{one}=' for one in WORDS.values())} on off reset")
    return now


@dataclass
class Rules:
    """Pages; what a rule finds now stands at its line."""

    name: str = "rules"
    about: str = "what rings, and why: /rules [NAME]"
    needs: Role = Role.VIEWER

    async def answer(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        words = rest.split()
        if not words:
            return self._page(0, desk)
        if words[0] not in ALL:
            return Reply(texts.NO_SUCH_RULE.format(rule=shown(words[0])))
        if len(words) == 1:
            return _show(words[0], desk)
        if words[1].lower() == PREVIEW:
            return await _preview(words[0], words[2:], desk)
        if not ask.may_act:
            return Reply(texts.NOT_YOURS)
        return await self._change(words[0], words[1:], ask, desk)

    async def press(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        rule, _, what = rest.partition(":")
        if rule in ALL and what == PREVIEW:
            return replace(await _preview(rule, [], desk), is_new=True)
        if rest in ALL:
            return _show(rest, desk)
        return self._page(int(rest) if rest.isdecimal() and len(rest) < 4 else 0, desk)

    async def _change(self, rule: str, words: list[str], ask: Ask, desk: Desk) -> Reply:
        try:
            await desk.rules.refresh()
            now = desk.board.book.tuning(rule)
            wanted = read_tuning(words, now)
            if wanted.is_on and rule in desk.board.book.base.off:
                return Reply(texts.RULE_OFF_BY_SETTING)
            await desk.rules.change(rule, wanted, ask.who, version=now.version)
        except BadTuning as bad:
            return Reply(texts.RULE_BAD.format(reason=shown(str(bad), 300)))
        except Changed:
            return Reply(texts.RULE_RACE)
        except Unavailable:
            return Reply(texts.POSTGRES_AWAY)
        return replace(_show(rule, desk), text=f"{texts.RULE_IS}\n{_show(rule, desk).text}")

    def _page(self, page: int, desk: Desk) -> Reply:
        pages = rules_pages()
        page = min(page, pages - 1)
        back = Button(texts.BACK_PAGE, data=f"rules:{(page - 1) % pages}")
        on = Button(texts.NEXT_PAGE, data=f"rules:{(page + 1) % pages}")
        refresh = Button(texts.REFRESH, data=f"rules:{page}")
        each = [Button(one, data=f"rules:{one}") for one in list(ALL)[page * PER_PAGE : (page + 1) * PER_PAGE]]
        rows = (tuple(each[:3]), tuple(each[3:]))
        shown_rows = tuple(row for row in rows if row)
        return Reply(rules_text(desk.board, page), (*shown_rows, (back, refresh, on)), notice=texts.UPDATED)


def _show(rule: str, desk: Desk) -> Reply:
    page = list(ALL).index(rule) // PER_PAGE
    buttons = (
        (Button(texts.LAST_DAY, data=f"rules:{rule}:{PREVIEW}"),),
        (Button(texts.BACK_PAGE, data=f"rules:{page}"), Button(texts.REFRESH, data=f"rules:{rule}")),
    )
    return Reply(rule_text(desk.board.book.shipped(rule), desk.board), buttons, notice=texts.UPDATED)


async def _preview(rule: str, words: list[str], desk: Desk) -> Reply:
    """What the rule would have rung, changed by these words; nothing is changed."""
    if desk.preview.is_busy:
        return Reply(texts.PREVIEW_BUSY, notice=texts.PREVIEW_BUSY)
    try:
        wanted = read_tuning(words, desk.board.book.tuning(rule))
        check(desk.board.book.shipped(rule), wanted)
        before, after = await desk.preview.compare({rule: wanted}, hours=PREVIEW_HOURS, seconds=PREVIEW_SECONDS)
    except BadTuning as bad:
        return Reply(texts.RULE_BAD.format(reason=shown(str(bad), 300)))
    except KafkaError as failure:
        log.warning("preview_failed", error=f"{type(failure).__name__}: {failure}"[:200])
        return Reply(texts.PREVIEW_AWAY, notice=texts.PREVIEW_AWAY)
    text = preview_text(desk.board.book.rule(rule), " ".join(words), before, after, hours=PREVIEW_HOURS)
    return Reply(text, ((Button(texts.THE_RULE, data=f"rules:{rule}"),),))
