"""Errors by cause, job schedulers, and who hears of a queue (pure)."""

from collections.abc import Mapping, Sequence
from typing import Any

from bot import texts
from bot.incidents.failures import Key
from bot.incidents.silences import Silence
from bot.render.incidents import scope_words
from bot.render.jobs import as_of_line
from bot.render.markup import bold, code, fit, name, prose
from bot.render.pages import cut
from bot.render.times import age, as_old, many, moment, parse_rfc3339
from bot.routing.routes import Destination, Subscription
from tocsin.events import SchedulerSnapshot

ERROR_UNITS = 120
TOP = 8


def errors_text(items: Sequence[Mapping[str, Any]], *, about: str, as_of: str | None, now_ms: int) -> str:
    """Groups as logsvc lists them. about: `source/queue`, empty = all."""
    title = bold(f"{texts.ERRORS_IN} · {name(about, 100)}" if about else texts.ERRORS_IN)
    lines = [title, as_of_line(as_of, now_ms)]
    if not items:
        lines.append(texts.NONE_FAILED)
    for item in items:
        queues: Sequence[Mapping[str, Any]] = item.get("queues") or ({"queue": texts.UNKNOWN},)
        more = int(item.get("queue_count") or 1) - 1
        where = name(str(queues[0].get("queue", "")), 40) + (f" +{more}" if more > 0 else "")
        fresh = f" · {bold(texts.NEW_TODAY)}" if item.get("is_new") else ""
        icon = texts.ICON_FAILED if item.get("final_failures") else texts.ICON_WARN
        words = [where, *([name(str(item["job_name"]), 40)] if item.get("job_name") else [])]
        lines.append(f"{icon} {' · '.join(words)} · {bold(name(str(item.get('error_type') or 'Error'), 50))}{fresh}")
        last = _moment(item.get("last_seen"))
        counts = texts.ERROR_LINE.format(
            failures=many(int(item.get("failures") or 0), "failure"),
            finals=item.get("final_failures", 0),
            last=last or texts.UNKNOWN,
        )
        lines.append(f"   {counts} · fp={code(name(str(item.get('fingerprint', '')), 40))}")
        error = prose(str(item.get("error") or ""), ERROR_UNITS).replace("\n", " ")
        if error:
            lines.append(f"   {error}")
    return fit(lines)


def schedulers_text(items: Sequence[Mapping[str, Any]], *, as_of: str | None, now_ms: int, page: int = 0) -> str:
    """Schedules as logsvc lists them, all of them: the overdue first, then the next to run."""
    overdue = [one for one in items if one.get("is_overdue")]
    if not items:
        return fit([bold(texts.NO_SCHEDULERS), as_of_line(as_of, now_ms)])
    headline = texts.SCHEDULERS_HEADLINE.format(schedules=many(len(items), "schedule"), overdue=len(overdue))
    lines = [bold(headline), as_of_line(as_of, now_ms)]
    ranked = sorted(items, key=lambda one: (not one.get("is_overdue"), str(one.get("next_run") or "9")))
    shown, _ = cut(ranked, page, TOP)
    for one in shown:
        lines += _schedule(one)
    left = len(ranked) - page * TOP - len(shown)
    if left > 0:
        lines.append(texts.AND_MORE.format(count=left))
    return fit(lines)


def own_schedulers_text(
    rows: Sequence[SchedulerSnapshot], *, note: str, read_seconds_ago: float | None, now_ms: int, page: int = 0
) -> str:
    """The same as the bot itself has read them, which does not say when each ran. note: why it is not history's."""
    overdue = sum(one.is_overdue for one in rows)
    headline = texts.SCHEDULERS_HEADLINE.format(schedules=many(len(rows), "schedule"), overdue=overdue)
    as_of = as_old(read_seconds_ago, now_ms)
    lines = [bold(headline if rows else texts.NO_SCHEDULERS), f"{note} {texts.OWN_NUMBERS}", as_of]
    shown, _ = cut(sorted(rows, key=lambda one: (not one.is_overdue, one.next_run or now_ms)), page, TOP)
    for one in shown:
        icon = texts.ICON_FAILED if one.is_overdue else texts.ICON_OK
        every = f"every {age(one.every / 1000)}" if one.every else name(one.pattern, 40)
        due = (
            texts.OVERDUE_BY.format(age=age(one.overdue_seconds))
            if one.is_overdue
            else texts.NEXT_RUN.format(when=moment(one.next_run) if one.next_run else texts.UNKNOWN)
        )
        where = f"{name(one.queue, 40)} · {bold(name(one.scheduler, 50))}"
        lines += [f"{icon} {where}{f' · {every}' if every else ''}", f"   {due}"]
    left = len(rows) - page * TOP - len(shown)
    if left > 0:
        lines.append(texts.AND_MORE.format(count=left))
    return fit(lines)


def _schedule(one: Mapping[str, Any]) -> list[str]:
    icon = texts.ICON_FAILED if one.get("is_overdue") else texts.ICON_OK
    every = f"every {age(int(one['every']) / 1000)}" if one.get("every") else name(str(one.get("pattern") or ""), 40)
    due = (
        texts.OVERDUE_BY.format(age=age(float(one.get("overdue_seconds") or 0)))
        if one.get("is_overdue")
        else texts.NEXT_RUN.format(when=_moment(one.get("next_run")) or texts.UNKNOWN)
    )
    last = _moment(one.get("last_run"))
    outcome = name(str(one.get("last_outcome") or texts.UNKNOWN), 20)
    ran = texts.LAST_RUN.format(when=last, outcome=outcome) if last else texts.NEVER_RAN
    where = f"{name(str(one.get('queue', '')), 40)} · {bold(name(str(one.get('scheduler', '')), 50))}"
    return [f"{icon} {where}{f' · {every}' if every else ''}", f"   {due} · {ran}"]


def route_text(
    key: Key,
    found: Sequence[tuple[Destination, str]],
    silences: Sequence[Silence] | None,
    runbook: str,
    rules: Sequence[str] = (),
) -> str:
    """Where a queue's alerts go and why. silences: None = Postgres does not tell. rules: lines about those that watch
    it.
    """
    lines = [bold(texts.ROUTE_TO.format(queue=f"{name(key.source, 30)}/{name(key.queue, 60)} ({name(key.env, 20)})"))]
    for to, why in found:
        topic = f", topic {to.topic_id}" if to.topic_id else ""
        silent = f", {texts.ROUTE_SILENT}" if to.is_silent else ""
        lines.append(f"• chat {code(str(to.chat_id))}{topic}{silent}: {name(why, 120)}")
    if not found:
        lines.append(f"{texts.ICON_FAILED} {texts.ROUTE_NOWHERE}")
    lines += rules
    if silences is None:
        lines.append(texts.SILENCES_UNKNOWN)
    quiet = [one for one in silences or () if _may_cover(one, key)]
    if quiet:
        lines.append(texts.ROUTE_QUIET)
        lines += [
            f"{texts.ICON_SILENCED} #{one.id} {scope_words(one.scope)} until {moment(one.until_ms)}"
            for one in quiet[:TOP]
        ]
        if len(quiet) > TOP:
            lines.append(texts.AND_MORE.format(count=len(quiet) - TOP))
    if runbook:
        lines.append(f"{texts.RUNBOOK}: {name(runbook, 300)}")
    return fit(lines)


def subscriptions_text(found: Sequence[Subscription], end: str) -> str:
    """What a place has asked to hear of. end: what to say below."""
    if not found:
        return fit([bold(texts.SUBSCRIBED_TO_NOTHING), end])
    lines = [bold(texts.SUBSCRIBED_TO)]
    for one in found:
        words = [name(one.words, 160)]
        if one.to.is_silent:
            words.append(texts.ROUTE_SILENT)
        words.append(texts.SHOWS_DATA if one.shows_data else texts.SHOWS_NO_DATA)
        lines.append(f"• #{one.id} {' · '.join(words)}")
    return fit([*lines, end])


def _may_cover(one: Silence, key: Key) -> bool:
    """Whether it covers anything of this queue, be it one error only."""
    return all(not wanted or wanted == part for wanted, part in zip(one.scope.parts[:3], key[:3], strict=True))


def _moment(text: object) -> str:
    try:
        return moment(parse_rfc3339(str(text)))
    except ValueError:
        return ""
