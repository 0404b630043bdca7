"""/rules: every rule, what it looks at, why it is on, and what it finds now (pure)."""

from bot import texts
from bot.incidents.failures import Key
from bot.render.markup import bold, code, fit, name
from bot.rules.board import Board
from bot.rules.conditions import Unit
from bot.rules.policy import EventRule
from bot.rules.rulebook import ALL, NUMBERS, AnyRule, RuleBook, about

PER_PAGE = 5
_ALL = tuple(ALL.values())


def rules_pages() -> int:
    """Pages of the list."""
    return -(-len(_ALL) // PER_PAGE)


def rules_text(board: Board, page: int) -> str:
    """One page of the list."""
    lines = [bold(texts.RULES_HEADLINE.format(count=len(_ALL), off=len(board.book.off)))]
    lines.append(texts.PAGE.format(page=page + 1, pages=rules_pages()))
    for rule in _ALL[page * PER_PAGE : (page + 1) * PER_PAGE]:
        lines += _lines(rule, board)
    return fit([*lines, texts.RULES_END])


def rule_text(rule: AnyRule, board: Board) -> str:
    """One rule, with the numbers that can be changed."""
    book, tuning = board.book, board.book.tuning(rule.name)
    lines = _lines(rule, board)
    lines += [f"{code(word)} {value}" for word, value in numbers_of(rule, book).items()]
    if tuning.version:
        lines.append(texts.RULE_CHANGED.format(name=name(tuning.by, 40)))
    example = ALL["stalled"] if isinstance(rule, EventRule) else rule
    words = " ".join(f"{word}={value}" for word, value in numbers_of(example, book).items() if word in ("fire", "for"))
    return fit([*lines, texts.HOW_RULE.format(rule=name(example.name), numbers=words)])


def rules_of(key: Key, board: Board) -> list[str]:
    """Which rules watch a queue, which do not and why, and what they find there now."""
    book = board.book
    lines = [texts.RULES_WATCH.format(count=len(_ALL) - len(book.off), all=len(_ALL))]
    for rule in book.off:
        by = book.tuning(rule).by
        why = texts.BY.format(name=name(by, 40)) if by and rule not in book.base.off else texts.BY_SETTING
        lines.append(f"{texts.ICON_OLD} {code(name(rule))}: {texts.RULE_OFF} {why}")
    for rule, tuning in book.tunings.items():
        if rule not in book.off and tuning.version:
            numbers = ", ".join(f"{word}={value}" for word, value in numbers_of(ALL[rule], book).items())
            lines.append(f"• {code(name(rule))}: {numbers} {texts.BY.format(name=name(tuning.by, 40))}")
    found = {spot.rule for spot, watch in board.watches.items() if watch.is_firing and spot.key[:3] == key[:3]}
    if found:
        lines.append(
            f"{texts.ICON_WARN} {texts.RULES_FIND.format(rules=', '.join(code(one) for one in sorted(found)))}"
        )
    return lines


def numbers_of(rule: AnyRule, book: RuleBook) -> dict[str, str]:
    """The numbers of a rule as they are now, as they are typed, by the words that change them."""
    now = book.rule(rule.name)
    if isinstance(now, EventRule):
        tuned = book.tuning(rule.name).fire
        return {"fire": _as_typed(now.fire if tuned is None else tuned, Unit.COUNT)}
    shown = [one for one in NUMBERS if one != "least" or now.volume is not None]
    if now.unit is Unit.YES:
        shown = [one for one in shown if one not in ("fire", "resolve")]
    return {WORDS[one]: _as_typed(getattr(now, one), _unit_of(one, now.unit)) for one in shown}


def _unit_of(number: str, unit: Unit) -> Unit:
    return unit if number in ("fire", "resolve") else Unit.SECONDS if number.endswith("_seconds") else Unit.COUNT


def _as_typed(value: float, unit: Unit) -> str:
    """`10m`, `90s`, `5%`, `500`: typed, it gives the same number, unless that has endless places."""
    if unit is Unit.SHARE:
        return f"{100 * value:.12g}%"
    if unit is not Unit.SECONDS:
        return f"{value:.12g}"
    for letter, seconds in (("h", 3600), ("m", 60)):
        if value >= 2 * seconds and not value % seconds:
            return f"{value / seconds:.12g}{letter}"
    return f"{value:.12g}s"


WORDS = {
    "fire": "fire",
    "resolve": "resolve",
    "fire_seconds": "for",
    "resolve_seconds": "quiet",
    "least": "least",
}
"""What people type for each number."""


def _lines(rule: AnyRule, board: Board) -> list[str]:
    found = sum(watch.is_firing for spot, watch in board.watches.items() if spot.rule == rule.name)
    is_on = board.book.is_on(rule.name)
    icon = texts.ICON_OLD if not is_on else texts.ICON_WARN if found else texts.ICON_OK
    state = f" · {texts.RULE_OFF}" if not is_on else f" · {texts.RULE_FINDS.format(count=found)}" if found else ""
    return [
        f"{icon} {bold(name(rule.title))} {code(name(rule.name))}{state}",
        f"   {name(about(rule, board.book.tuning(rule.name)), 200)}",
        f"   {texts.BECAUSE.format(why=name(rule.why, 200))}",
    ]
