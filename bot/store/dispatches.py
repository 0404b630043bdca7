"""The outbox of channels other than Telegram, in the transaction of what they are told."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot.delivery.channels import What
from bot.store.models import DispatchRow

WAITING, SENT, DEAD = "waiting", "sent", "dead"


MOST_ROUNDS = 20
"""How often channels hear that one and the same thing rings."""


async def dispatch_round(
    session: AsyncSession, channels: Sequence[str], subject: str, what: What, told: Mapping[str, Any], *, now_ms: int
) -> None:
    """Want told what may ring anew: after somebody took it, and nobody has it any more, or more came.

    A channel keeps what was acknowledged quiet under the name it knows, so each such round has a name of its own. All
    of them are taken, and over, together.
    """
    names = [subject, *(f"{subject}:{number}" for number in range(2, MOST_ROUNDS + 1))]
    found = await session.execute(
        select(DispatchRow.subject, DispatchRow.what).where(
            DispatchRow.channel.in_(channels), DispatchRow.subject.in_(names)
        )
    )
    heard = {(name, before) for name, before in found}
    begun = [name for name in names if (name, What.RING) in heard]
    if what is What.RING:
        is_anew = not begun or (begun[-1], What.ACK) in heard
        begun = names[len(begun) :][:1] if is_anew else begun[-1:]
    for name in begun:
        await dispatch(session, channels, name, what, told, now_ms=now_ms)


async def dispatch(
    session: AsyncSession, channels: Sequence[str], subject: str, what: What, told: Mapping[str, Any], *, now_ms: int
) -> None:
    """Want something told, once. Who has not heard that it began hears neither that it is taken nor that it is over."""
    heard = set(channels)
    if channels and what is not What.RING:
        rung = select(DispatchRow.channel).where(DispatchRow.subject == subject, DispatchRow.what == What.RING)
        heard &= set(await session.scalars(rung))
    rows = [
        {"channel": one, "subject": subject, "what": what, "told": told, "created_ms": now_ms, "changed_ms": now_ms}
        for one in channels
        if one in heard
    ]
    if rows:
        await session.execute(insert(DispatchRow).values(rows).on_conflict_do_nothing())


async def told_ring(session: AsyncSession, subject: str) -> list[tuple[str, dict[str, Any]]]:
    """Which channels were told that something began, and what of it."""
    mine = (DispatchRow.subject == subject, DispatchRow.what == What.RING)
    rows = await session.execute(select(DispatchRow.channel, DispatchRow.told).where(*mine).order_by(DispatchRow.id))
    return [(channel, told) for channel, told in rows]


async def claim_dispatches(
    session: AsyncSession, *, now_ms: int, not_to: Collection[str], most: int, lease_seconds: float
) -> Sequence[DispatchRow]:
    """Claim the next of each subject in each channel: of one subject in order, and each by one bot at a time."""
    is_free = or_(DispatchRow.claimed_until.is_(None), DispatchRow.claimed_until < func.clock_timestamp())
    is_waiting = and_(DispatchRow.state == WAITING, DispatchRow.channel.not_in(not_to))
    first = (
        select(DispatchRow.id)
        .where(is_waiting)
        .ext(distinct_on(DispatchRow.channel, DispatchRow.subject))
        .order_by(DispatchRow.channel, DispatchRow.subject, DispatchRow.id)
    )
    due = (
        select(DispatchRow.id)
        .where(DispatchRow.id.in_(first), is_free, DispatchRow.state == WAITING, DispatchRow.not_before_ms <= now_ms)
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
