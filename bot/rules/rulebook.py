"""The rules as they are now: as they ship, and what people have changed of them (pure)."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bot.rules.conditions import Rule, Seen, Unit, phrase
from bot.rules.policy import EVENT_RULES, FAILED, STALLED_RULE, EventRule, Policy
from bot.rules.ruleset import RULES

LONGEST_SECONDS = 7 * 24 * 3600.0
MOST = 1e12
NUMBERS = ("fire", "resolve", "fire_seconds", "resolve_seconds", "least")


class BadTuning(ValueError):
    """What somebody wants of a rule cannot be; the text names the field."""


@dataclass(frozen=True)
class Tuning:
    """What somebody has changed of one rule; None = as it ships. version: grows with each change; 0 = none yet."""

    is_on: bool | None = None
    fire: float | None = None
    resolve: float | None = None
    fire_seconds: float | None = None
    resolve_seconds: float | None = None
    least: float | None = None
    version: int = 0
    by: str = ""
    at_ms: int = 0

    @property
    def numbers(self) -> dict[str, float]:
        """The thresholds that are not as they ship."""
        return {name: value for name in NUMBERS if (value := getattr(self, name)) is not None}


AS_SHIPPED = Tuning()
AnyRule = Rule[Any] | EventRule
ALL: Mapping[str, AnyRule] = {one.name: one for one in (*EVENT_RULES, *RULES)}
COUNTED = frozenset((STALLED_RULE,))
"""Rules over events whose `fire` can be changed: how many must have happened."""


@dataclass
class RuleBook:
    """base: what the settings say; what is off there cannot be switched on here. `learn` puts in what is stored."""

    base: Policy = field(default_factory=Policy)
    tunings: dict[str, Tuning] = field(default_factory=dict[str, Tuning])
    policy: Policy = field(init=False)
    """What the rules over events go by."""
    _tuned: dict[str, Rule[Any]] = field(default_factory=dict[str, Rule[Any]])

    def __post_init__(self) -> None:
        self.learn(self.tunings)

    def learn(self, tunings: Mapping[str, Tuning]) -> None:
        """These are all the changes there are. Numbers that do not fit their rule are left out."""
        self.tunings = {name: _fitting(ALL[name], one) for name, one in tunings.items() if name in ALL}
        self._tuned = {
            rule.name: _tuned(rule, one) for rule in RULES if (one := self.tunings.get(rule.name)) is not None
        }
        least = self.tuning(STALLED_RULE).fire
        least_stalled = self.base.least_stalled if least is None else int(least)
        self.policy = replace(self.base, off=self.off, least_stalled=least_stalled)

    def tuning(self, name: str) -> Tuning:
        return self.tunings.get(name, AS_SHIPPED)

    def tuned(self, rules: Iterable[Rule[Seen]]) -> Iterable[Rule[Seen]]:
        """Those of these rules that are on, as they are now."""
        for rule in rules:
            if self.is_on(rule.name):
                yield self._tuned.get(rule.name, rule)

    def rule(self, name: str) -> AnyRule:
        """One rule as it is now."""
        return self._tuned.get(name, ALL[name])

    def shipped(self, name: str) -> AnyRule:
        """One rule as it ships."""
        return ALL[name]

    def is_on(self, name: str) -> bool:
        return name not in self.base.off and self.tuning(name).is_on is not False

    @property
    def off(self) -> frozenset[str]:
        """Rules that are switched off, here or by the settings."""
        return frozenset(name for name in ALL if not self.is_on(name))


def about(rule: AnyRule, tuning: Tuning = AS_SHIPPED) -> str:
    """When a rule rings, in words with its numbers."""
    if isinstance(rule, EventRule):
        return rule.about.format(fire=f"{tuning.fire if tuning.fire is not None else rule.fire:g}")
    return phrase(_tuned(rule, tuning))


def changeable(rule: AnyRule) -> list[str]:
    """The numbers of a rule that can be changed."""
    if isinstance(rule, EventRule):
        return ["fire"] if rule.name in COUNTED else []
    without = {"fire", "resolve"} if rule.unit is Unit.YES else set[str]()
    return [one for one in NUMBERS if one not in without and (one != "least" or rule.volume is not None)]


def check(rule: AnyRule, tuning: Tuning) -> None:
    """Raise BadTuning if a rule cannot be so."""
    if rule.name == FAILED.name and tuning.is_on is False:
        raise BadTuning("is_on: a job that failed for good always rings; silence it where you do not want it")
    for name, value in tuning.numbers.items():
        if not math.isfinite(value) or not 0 <= value <= MOST:
            raise BadTuning(f"{name}: expected a number from 0 on")
        if name not in changeable(rule):
            raise BadTuning(f"{name}: this rule has no such number to change")
        if name.endswith("_seconds") and value > LONGEST_SECONDS:
            raise BadTuning(f"{name}: at most 7 days")
    if isinstance(rule, EventRule):
        if tuning.fire is not None and tuning.fire < 1:
            raise BadTuning("fire: expected at least 1")
        return
    tuned = _tuned(rule, tuning)
    if tuned.fire <= 0 or tuned.resolve <= 0:  # nothing is ever below 0: it would ring without an end
        raise BadTuning(f"{'fire' if tuned.fire <= 0 else 'resolve'}: expected more than 0")
    if tuned.resolve > tuned.fire:
        raise BadTuning("resolve: expected at most what `fire` is, or it would ring and end at once")
    if tuned.unit is Unit.SHARE and tuned.fire > 1:
        raise BadTuning("fire: expected a share, at most 1")


def _fitting(rule: AnyRule, tuning: Tuning) -> Tuning:
    """As it is stored; as it ships where a rule cannot be so, as an earlier release may have let it be."""
    try:
        check(rule, tuning)
    except BadTuning:
        return replace(tuning, **dict.fromkeys(NUMBERS))
    return tuning


def _tuned(rule: Rule[Seen], tuning: Tuning) -> Rule[Seen]:
    numbers = tuning.numbers
    if "fire" in numbers and "resolve" not in numbers:
        numbers["resolve"] = min(rule.resolve, numbers["fire"])
    return replace(rule, **numbers)
