"""The outbox of channels other than Telegram, in the transaction of what they are told."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, case, func, or_, select, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot.delivery.channels import What, knows_rounds
from bot.store.models import DispatchRow
from bot.store.unclaimed import is_unclaimed

WAITING, SENT, DEAD = "waiting", "sent", "dead"
ENDS = (What.ACK, What.RESOLVE)
"""After which a round is over: what needs somebody then rings anew."""
ABOUT = "^[^:]*(?::[^:]*)?"
"""What a subject is of: an incident in all its episodes and rounds, a storm, a summary. See subject_of."""
IN_LINE_MS = 24 * 3_600_000
"""For so long what a channel does not take holds up all else of its incident; then only what is told by its name."""
ROUNDS = 20
"""Names of rounds that are looked up at once."""

_Heard = tuple[str, str, What]
"""Channel, subject, and what it was told of it."""


async def dispatch(
    session: AsyncSession, channels: Sequence[str], subject: str, what: What, told: Mapping[str, Any], *, now_ms: int
) -> None:
    """Want something told, once. Who has not heard that it began hears neither that it is taken nor that it is over."""
    heard = await _heard(session, channels, [subject])
    await _want(session, [(channel, subject) for channel in channels], what, told, heard, now_ms=now_ms)


async def dispatch_round(
    session: AsyncSession, channels: Sequence[str], subject: str, what: What, told: Mapping[str, Any], *, now_ms: int
) -> None:
    """Want told what may ring anew: after somebody took it, or it was over, and it needs somebody again.

    A channel keeps what was acknowledged quiet under the name it knows, so each such round has a name of its own. All
    of them are taken, and over, together; who knows no names hears so once, of the last.
    """
    rounds: list[str] = []
    heard: set[_Heard] = set()
    while True:
        more = [_round(subject, len(rounds) + number) for number in range(1, ROUNDS + 1)]
        found = await _heard(session, channels, more)
        rounds, heard = rounds + more, heard | found
        if not any(one == more[-1] for _, one, _ in found):  # else there may be more
            break
    begun = [one for one in rounds if any((channel, one, What.RING) in heard for channel in channels)]
    if what is What.RING:
        goes_on = begun[-1:]
        if any((channel, one, end) in heard for one in goes_on for channel in channels for end in ENDS):
            goes_on = []
        begun = goes_on or [rounds[rounds.index(begun[-1]) + 1 if begun else 0]]
    rounds_of = {one: begun if what is What.RING else _heard_of(one, begun, heard) for one in channels}
    wanted = [(channel, one) for channel, several in rounds_of.items() for one in several]
    await _want(session, wanted, what, told, heard, now_ms=now_ms)


def _heard_of(channel: str, rounds: Sequence[str], heard: Collection[_Heard]) -> Sequence[str]:
    """Of which of these rounds a channel hears that somebody took it, or that it is over."""
    mine = [one for one in rounds if (channel, one, What.RING) in heard]
    return mine if knows_rounds(channel) else mine[-1:]


def _round(subject: str, number: int) -> str:
    return subject if number == 1 else f"{subject}:{number}"


async def _heard(session: AsyncSession, channels: Sequence[str], subjects: Sequence[str]) -> set[_Heard]:
    found = await session.execute(
        select(DispatchRow.channel, DispatchRow.subject, DispatchRow.what).where(
            DispatchRow.channel.in_(channels), DispatchRow.subject.in_(subjects)
        )
    )
    return {(channel, subject, What(before)) for channel, subject, before in found}


async def _want(
    session: AsyncSession,
    wanted: Sequence[tuple[str, str]],
    what: What,
    told: Mapping[str, Any],
    heard: Collection[_Heard],
    *,
    now_ms: int,
) -> None:
    rows = [
        {"channel": channel, "subject": one, "what": what, "told": told, "created_ms": now_ms, "changed_ms": now_ms}
        for channel, one in wanted
        if (channel, one, what) not in heard and (what is What.RING or (channel, one, What.RING) in heard)
    ]
    if rows:
        await session.execute(insert(DispatchRow).values(rows).on_conflict_do_nothing())


async def told_ring(session: AsyncSession, subject: str) -> list[tuple[str, dict[str, Any]]]:
    """Which channels were told that something began, and what of it."""
    mine = (DispatchRow.subject == subject, DispatchRow.what == What.RING)
    rows = await session.execute(select(DispatchRow.channel, DispatchRow.told).where(*mine).order_by(DispatchRow.id))
    return [(channel, told) for channel, told in rows]


async def claim_dispatches(
    session: AsyncSession,
    channels: Collection[str],
    *,
    now_ms: int,
    most: int,
    lease_seconds: float,
    spared_seconds: float = 0,
) -> Sequence[DispatchRow]:
    """Claim the next of each incident in each of these channels: of one in order, each by one bot at a time.

    Of all its episodes and rounds: who has heard that it rings anew is not told then that somebody took it before.
    Something that a channel never takes, as it answers with an error to that alone, ends this after a day.

    spared_seconds: Database.spared_seconds.
    """
    is_free = is_unclaimed(DispatchRow.claimed_until, spared_seconds)
    is_waiting = and_(DispatchRow.state == WAITING, DispatchRow.channel.in_(channels))
    columns = (DispatchRow.id, DispatchRow.channel, DispatchRow.subject, DispatchRow.created_ms)
    by_name = (DispatchRow.channel, DispatchRow.subject)
    first = select(*columns).where(is_waiting).ext(distinct_on(*by_name)).order_by(*by_name, DispatchRow.id).subquery()
    alone = case((first.c.created_ms > now_ms - IN_LINE_MS, ""), else_=first.c.subject)
    line = (first.c.channel, func.substring(first.c.subject, ABOUT), alone)
    in_turn = select(first.c.id).ext(distinct_on(*line)).order_by(*line, first.c.id)
    due = (
        select(DispatchRow.id)
        .where(DispatchRow.id.in_(in_turn), is_free, DispatchRow.state == WAITING, DispatchRow.not_before_ms <= now_ms)
        .order_by(DispatchRow.not_before_ms, DispatchRow.id)
        .limit(most)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    claimed = await session.scalars(
        update(DispatchRow)
        .where(DispatchRow.id.in_(select(due.c.id)))
        .values(claimed_until=func.clock_timestamp() + timedelta(seconds=lease_seconds))
        .returning(DispatchRow),
        execution_options={"synchronize_session": False},
    )
    return claimed.all()


async def end_unknown(
    session: AsyncSession, channels: Collection[str], note: str, *, now_ms: int, before_ms: int
) -> int:
    """Give up what has waited since then for channels that are not set; return how much. Another bot may know them."""
    ended = await session.execute(
        update(DispatchRow)
        .where(DispatchRow.state == WAITING, DispatchRow.channel.not_in(channels), DispatchRow.created_ms < before_ms)
        .values(state=DEAD, note=note, changed_ms=now_ms)
        .returning(DispatchRow.id)
    )
    return len(ended.all())


async def end_dispatch(session: AsyncSession, dispatch_id: int, state: str, note: str, *, now_ms: int) -> None:
    """It was taken, or never will be."""
    await session.execute(
        update(DispatchRow).where(DispatchRow.id == dispatch_id).values(state=state, note=note, changed_ms=now_ms)
    )


async def retry_dispatch(session: AsyncSession, dispatch_id: int, note: str, *, not_before_ms: int) -> None:
    """A try was in vain."""
    await session.execute(
        update(DispatchRow)
        .where(DispatchRow.id == dispatch_id)
        .values(failures=DispatchRow.failures + 1, note=note, not_before_ms=not_before_ms, claimed_until=None)
    )


@dataclass(frozen=True)
class Backlog:
    """How one channel stands: waiting, since when the oldest (ms), why; and the dead of the last day."""

    channel: str
    waiting: int
    oldest_ms: int | None
    dead: int
    note: str


async def backlogs(session: AsyncSession, *, dead_since_ms: int) -> list[Backlog]:
    """Every channel that has something waiting or dead."""
    is_waiting = DispatchRow.state == WAITING
    is_dead = and_(DispatchRow.state == DEAD, DispatchRow.changed_ms >= dead_since_ms)
    rows = await session.execute(
        select(
            DispatchRow.channel,
            func.count().filter(is_waiting),
            func.min(DispatchRow.created_ms).filter(is_waiting),
            func.count().filter(is_dead),
            func.max(DispatchRow.note),
        )
        .where(or_(is_waiting, is_dead))
        .group_by(DispatchRow.channel)
        .order_by(DispatchRow.channel)
    )
    return [Backlog(*row) for row in rows]
