"""What a rule's finding does to its incident (pure)."""

from dataclasses import replace

from bot.incidents.failures import LastFailure, Tally
from bot.incidents.machine import Call, Incident, Step, cover, end, step, unhidden
from bot.rules.board import Finding
from bot.rules.conditions import Verdict
from bot.rules.policy import Policy


def found(
    one: Finding, before: Incident | None, now_ms: int, policy: Policy, silenced_until_ms: int | None
) -> Step | None:
    """What a rule's finding does to its incident; None if nothing."""
    is_open = before is not None and not before.is_over
    last = LastFailure(error_type=one.title, error=one.text)
    if one.verdict is Verdict.RESOLVE:
        return unheard(end(before, now_ms=now_ms)) if before is not None and is_open else None
    if before is not None and is_open:
        changed = replace(before, last=last, last_ms=max(before.last_ms, one.at_ms))
        done = cover(changed, silenced_until_ms, now_ms=now_ms) or unhidden(changed, now_ms=now_ms)
        return done if done.call is Call.RING or done.incident.phase != before.phase or last != before.last else None
    if one.verdict is not Verdict.FIRE:
        return None
    seen = Tally(1, one.since_ms, one.at_ms, is_fresh=True, last=last)
    key, rule = one.spot.key, one.spot.rule
    return step(key, before, seen, now_ms=now_ms, policy=policy, silenced_until_ms=silenced_until_ms, rule=rule)


def unheard(incident: Incident) -> Step:
    """A step that changes the message, if there is one, without a sound."""
    return Step(incident, Call.EDIT if incident.has_rung else Call.HUSH)
