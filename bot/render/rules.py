"""/rules: every rule, what it looks at, why it is on, and what it finds now (pure)."""

from bot import texts
from bot.board import Board
from bot.conditions import RULES
from bot.render.markup import bold, code, fit, name
from bot.rules import EVENT_RULES

PER_PAGE = 5
_ALL = [(one.name, one.title, one.about, one.why) for one in (*EVENT_RULES, *RULES)]


def rules_pages() -> int:
    """Pages of the list."""
    return -(-len(_ALL) // PER_PAGE)


def rules_text(board: Board, page: int) -> str:
    """One page of the list."""
    firing: dict[str, int] = {}
    for spot, watch in board.watches.items():
        firing[spot.rule] = firing.get(spot.rule, 0) + watch.is_firing
    lines = [bold(texts.RULES_HEADLINE.format(count=len(_ALL), off=len(board.off)))]
    lines.append(texts.PAGE.format(page=page + 1, pages=rules_pages()))
    for rule, title, about, why in _ALL[page * PER_PAGE : (page + 1) * PER_PAGE]:
        found = firing.get(rule, 0)
        icon = texts.ICON_OLD if rule in board.off else texts.ICON_WARN if found else texts.ICON_OK
        state = (
            f" · {texts.RULE_OFF}"
            if rule in board.off
            else f" · {texts.RULE_FINDS.format(count=found)}"
            if found
            else ""
        )
        lines += [
            f"{icon} {bold(name(title))} {code(name(rule))}{state}",
            f"   {name(about, 200)}",
            f"   {texts.BECAUSE.format(why=name(why, 200))}",
        ]
    return fit([*lines, texts.RULES_END])
