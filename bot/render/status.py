"""/status: how Tocsin itself is (pure but for the ages Pulse counts)."""

from bot import texts
from bot.render.markup import bold, fit, name
from bot.render.times import age, many
from bot.vitals.pulse import Pulse
from tocsin.times import current_ms

LATE_SECONDS = 120
POLL_LATE_SECONDS = 60
STALE_SECONDS = 30


def status_text(pulse: Pulse, *, now_ms: int | None = None) -> str:
    """One line per link of the chain from Redis to this chat."""
    now_ms = current_ms() if now_ms is None else now_ms
    lines = [*_reading(pulse), _bridge(pulse, now_ms), *_outbox(pulse, now_ms), *_polling(pulse), _heartbeat(pulse)]
    lines += _breakers(pulse)
    if not pulse.has_alert_chats():
        lines.append(f"{texts.ICON_FAILED} {texts.NO_ALERT_CHATS}")
    if pulse.alerts.unrouted:
        lines.append(f"{texts.ICON_FAILED} {texts.UNROUTED.format(alerts=many(pulse.alerts.unrouted, 'alert'))}")
    is_well = all(line.startswith((texts.ICON_OK, texts.ICON_OLD)) for line in lines)
    return fit([bold(texts.STATUS_WELL if is_well else texts.STATUS_ILL), *lines])


def _reading(pulse: Pulse) -> list[str]:
    progress = pulse.progress
    since = pulse.seconds_since(progress.read_at)
    if progress.problem or since is None:
        lines = [f"{texts.ICON_FAILED} Kafka: {name(progress.problem, 160) or texts.NOT_READ_YET}"]
    else:
        lag = f"{texts.UNKNOWN} records" if progress.lag is None else many(progress.lag, "record")
        icon = texts.ICON_OK if since < LATE_SECONDS and (progress.lag or 0) < 10_000 else texts.ICON_WARN
        lines = [f"{icon} Kafka: {lag} behind, read {age(since)} ago"]
    if progress.bad_records:
        lines.append(f"{texts.ICON_WARN} {many(progress.bad_records, 'unreadable record')}")
    if progress.expired:
        lines.append(f"{texts.ICON_FAILED} {texts.EXPIRED.format(records=many(progress.expired, 'record'))}")
    return lines


def _bridge(pulse: Pulse, now_ms: int) -> str:
    newest = pulse.snapshots.newest_ms()
    if newest is None:
        return f"{texts.ICON_WARN} bridge: no queue seen yet"
    since = (now_ms - newest) / 1000
    icon = texts.ICON_OK if since < LATE_SECONDS else texts.ICON_FAILED
    missing = pulse.snapshots.missing()
    more = f", {missing} more not seen yet" if missing else ""
    return f"{icon} bridge: {many(len(pulse.snapshots.all()), 'queue')}{more}, newest counts {age(since)} old"


def _outbox(pulse: Pulse, now_ms: int) -> list[str]:
    measured = pulse.seconds_since(pulse.outbox_at)
    if pulse.outbox is None or measured is None:
        return [f"{texts.ICON_FAILED} outbox: {name(pulse.outbox_problem, 160) or texts.NOT_READ_YET}"]
    found = pulse.outbox
    oldest = "" if found.oldest_ms is None else f", the oldest for {age((now_ms - found.oldest_ms) / 1000)}"
    is_stale = pulse.outbox_problem != "" or measured > STALE_SECONDS
    stale = f" {age(measured)} ago; {name(pulse.outbox_problem, 160)}" if is_stale else ""
    is_late = found.oldest_ms is not None and now_ms - found.oldest_ms > LATE_SECONDS * 1000
    icon = texts.ICON_FAILED if is_stale else texts.ICON_WARN if is_late else texts.ICON_OK
    lines = [f"{icon} outbox: {many(found.waiting, 'message')} waiting{oldest}{stale}"]
    for one in found.away:
        again = age(max(0, one.next_ms - now_ms) / 1000)
        away = texts.AWAY.format(chat=one.chat_id, count=one.waiting, note=name(one.note, 120), again=again)
        lines.append(f"{texts.ICON_FAILED} {away}")
    if found.dead:
        lines.append(f"{texts.ICON_FAILED} {many(found.dead, 'message')} of the last day can never arrive:")
        lines += [f"   {name(note, 200)}" for note in found.dead_notes]
    for channel in pulse.backlogs:
        icon = texts.ICON_FAILED if channel.dead else texts.ICON_WARN
        told = texts.CHANNEL_BEHIND.format(waiting=channel.waiting, dead=channel.dead, note=name(channel.note, 160))
        lines.append(f"{icon} {name(channel.channel)}: {told}")
    lines += [
        f"{texts.ICON_WARN} chat {chat_id}: Telegram wants silence for {age(seconds)} more"
        for chat_id, seconds in pulse.pacer.frozen(pulse.clock()).items()
    ]
    return lines


def _polling(pulse: Pulse) -> list[str]:
    since = pulse.seconds_since(pulse.polling.answered_at)
    conflict = pulse.seconds_since(pulse.polling.conflict_at)
    if conflict is not None and pulse.has_rival:
        return [f"{texts.ICON_FAILED} {texts.CONFLICT.format(age=age(conflict))}"]
    if since is None or since > POLL_LATE_SECONDS:
        problem = name(pulse.polling.problem, 160) or "no answer"
        return [f"{texts.ICON_FAILED} Telegram: {problem}"]
    return [f"{texts.ICON_OK} Telegram: polled {age(since)} ago"]


def _heartbeat(pulse: Pulse) -> str:
    beat = pulse.heartbeat
    if beat.url is None:
        return f"{texts.ICON_OLD} {texts.NO_HEARTBEAT}"
    since = pulse.seconds_since(beat.sent_at)
    last = texts.NEVER_SENT if since is None else f"{age(since)} ago"
    if beat.problem:
        return f"{texts.ICON_FAILED} {texts.HEARTBEAT_HELD.format(why=name(beat.problem, 200), last=last)}"
    icon = texts.ICON_OK if since is not None and since < LATE_SECONDS else texts.ICON_WARN
    return f"{icon} heartbeat: {last}"


def _breakers(pulse: Pulse) -> list[str]:
    return [
        f"{texts.ICON_OK if state == 'closed' else texts.ICON_FAILED} breaker {name(dependency)}: {state}"
        for dependency, state in pulse.breakers.states().items()
    ]
