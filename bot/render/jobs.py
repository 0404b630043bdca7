"""Failed jobs and one job (pure). Payloads, results and log lines go only where a subscription lets them."""

from collections.abc import Container, Mapping, Sequence
from typing import Any

from bot import texts
from bot.delivery.messages import Button, Buttons
from bot.incidents.machine import Incident, Phase
from bot.queues.state import handle_of
from bot.render.actions import BUTTON_BYTES, offer
from bot.render.markup import bold, clip, code, fit, name, prose, visible
from bot.render.queues import queue_name
from bot.render.times import age, as_old, clock, duration, moment, parse_rfc3339

ERROR_UNITS = 160
JOB_ERROR_UNITS = 600
MOST_ATTEMPTS = 10
DATA_UNITS = 400
MOST_DEEPER, DEEPER_PER_ROW, DEEPER_UNITS = 6, 3, 16


def _when(row: Mapping[str, Any], field: str = "ts") -> str:
    try:
        return moment(parse_rfc3339(str(row[field])))
    except (KeyError, ValueError):
        return ""


def as_of_line(text: object, now_ms: int) -> str:
    """How old history's answer is. text: RFC 3339 or None."""
    try:
        at_ms = parse_rfc3339(str(text))
    except ValueError:
        return texts.AS_OF_UNKNOWN
    return texts.AS_OF.format(age=age((now_ms - at_ms) / 1000), at=clock(at_ms))


def failed_text(
    items: Sequence[Mapping[str, Any]],
    *,
    about: str,
    as_of: str | None,
    now_ms: int,
    shared: Container[tuple[str, str]] = (),
) -> str:
    """The newest failed jobs as logsvc lists them.

    about: the queue as `source/queue`, empty for all. as_of: RFC 3339, None = unknown. shared: see queue_name.
    """
    lines = [_failed_title(about), as_of_line(as_of, now_ms)]
    if not items:
        lines.append(texts.NONE_FAILED)
    for item in items:
        env, source, queue = (str(item.get(field, "")) for field in ("env", "source", "queue"))
        where = "" if about else f"{name(env, 20)} · {queue_name((env, source, queue), shared)} · "
        job = f"{code(name(str(item.get('job_id', '')), 60))} {name(str(item.get('job_name') or ''), 50)}"
        lines.append(f"{texts.ICON_FAILED} {where}{job}")
        error = str(item.get("error") or item.get("error_type") or "")
        lines.append(f"   {_when(item)} {prose(error, ERROR_UNITS).replace(chr(10), ' ')}".rstrip())
    return fit(lines)


def failed_buttons(items: Sequence[Mapping[str, Any]]) -> Buttons:
    """The newest of them a tap away, each with every attempt's own error. An id too long for a button has none."""
    found: list[Button] = []
    for item in items[:MOST_DEEPER]:
        env, source, queue, job_id = (str(item.get(field, "")) for field in ("env", "source", "queue", "job_id"))
        data = f"job:{handle_of((env, source, queue))}:{job_id}"
        if job_id and len(data.encode(errors="replace")) <= BUTTON_BYTES:
            found.append(Button(clip(visible(job_id), DEEPER_UNITS), data=data))
    return tuple(tuple(found[at : at + DEEPER_PER_ROW]) for at in range(0, len(found), DEEPER_PER_ROW))


def failed_incidents_text(
    incidents: Sequence[Incident],
    *,
    about: str,
    now_ms: int,
    read_seconds_ago: float | None,
    note: str,
    shared: Container[tuple[str, str]] = (),
) -> str:
    """What the bot itself counted. read_seconds_ago: None = nothing was read yet. note: why it is not history's."""
    lines = [_failed_title(about), f"{note} {texts.OWN_INCIDENTS}", as_old(read_seconds_ago, now_ms)]
    for one in incidents:
        icon = texts.ICON_RESOLVED if one.phase is Phase.RESOLVED else texts.ICON_FAILED
        kind = name(one.last.error_type or "Error", 60)
        seen = age((now_ms - one.last_ms) / 1000)
        lines.append(f"{icon} {name(one.key.env, 20)} · {queue_name(one.key[:3], shared)} · {kind} ×{one.total}")
        lines.append(f"   last {seen} ago, job {code(name(one.last.job_id, 60))}")
    if not incidents:
        lines.append(texts.NONE_FAILED)
    return fit(lines)


def _failed_title(about: str) -> str:
    return bold(texts.FAILED_IN.format(queue=name(about, 100)) if about else texts.FAILED_ANYWHERE)


LINE_UNITS = 300


def logs_text(items: Sequence[Mapping[str, Any]], *, about: str, as_of: str | None, now_ms: int) -> str:
    """Log lines as logsvc lists them, the newest first; shown the oldest first, as a log is read."""
    lines = [bold(texts.LINES_OF.format(about=name(about, 200))), as_of_line(as_of, now_ms)]
    if not items:
        lines.append(texts.NO_LINES)
    for item in reversed(items):
        mark = LEVELS.get(str(item.get("level", "")), "")
        job = code(name(str(item.get("job_id", "")), 40))
        lines.append(
            f"{mark}{_when(item)} {job} {prose(str(item.get('message', '')), LINE_UNITS).replace(chr(10), ' ')}"
        )
    return fit(lines)


LEVELS: Mapping[str, str] = {"error": f"{texts.ICON_FAILED} ", "warn": f"{texts.ICON_WARN} "}


def job_text(job: Mapping[str, Any], *, queue: str, job_id: str, now_ms: int, shows_data: bool = False) -> str:
    """One job: state, attempts, each attempt's own error. job: logsvc's answer to jobs/{source}/{queue}/{job_id}.

    shows_data: also what went in and what came out, as the bridge's redaction left it.
    """
    state = str(job.get("state") or texts.UNKNOWN)
    icon = texts.ICON_FAILED if state == "failed" else texts.ICON_OK if state == "completed" else texts.ICON_WARN
    lines = [
        f"{icon} {bold(name(queue))} · job {code(name(job_id, 80))} · {bold(name(state))}",
        as_of_line(job.get("as_of"), now_ms),
    ]
    job_name = str(job.get("job_name") or "")
    facts = [name(job_name, 80)] if job_name else []
    if job.get("max_attempts"):
        facts.append(texts.ATTEMPT.format(attempt=job.get("attempt", 0), most=job["max_attempts"]))
    if job.get("worker"):
        facts.append(f"{texts.WORKER} {name(str(job['worker']), 40)}")
    if facts:
        lines.append(" · ".join(facts))
    if added := _when(job, "added_at"):
        lines.append(f"added {added}")
    if job.get("error"):
        lines.append(prose(str(job["error"]), JOB_ERROR_UNITS))
    attempts: Sequence[Mapping[str, Any]] = job.get("attempts") or ()
    lines += [_attempt(one) for one in attempts[-MOST_ATTEMPTS:]]
    for field in ("data", "result") if shows_data else ():
        if job.get(field):
            lines.append(f"{field} {code(prose(str(job[field]), DATA_UNITS).replace(chr(10), ' '))}")
    return fit(lines)


def job_buttons(queue: str, job_id: str, state: str, *, can_act: bool) -> Buttons:
    """Refresh, what else failed, and what may be done in this state. queue: its handle."""
    data = f"job:{queue}:{job_id}"
    fits = len(data.encode(errors="replace")) <= BUTTON_BYTES
    go = [Button(texts.REFRESH, data=data)] if fits else []
    go.append(Button(texts.FAILED_JOBS, data=f"failed:{queue}"))
    label, action = DOABLE.get(state, ("", ""))
    act = offer(label, action, queue, job_id) if action and can_act else ()
    return tuple(row for row in (tuple(go), act) if row)


DOABLE: Mapping[str, tuple[str, str]] = {
    "failed": (texts.RETRY_ONE, "retry"),
    "delayed": (texts.PROMOTE_ONE, "promote"),
}
"""By state: a button's label, and the action."""


def _attempt(one: Mapping[str, Any]) -> str:
    error = str(one.get("error") or "")
    words = [f"attempt {one.get('n', '?')}", str(one.get("outcome") or "")]
    if one.get("run_ms") is not None:
        words.append(f"ran {duration(float(one['run_ms']))}")
    line = " · ".join(name(word, 40) for word in words if word)
    return f"• {line}{': ' + prose(error, ERROR_UNITS).replace(chr(10), ' ') if error else ''}"
