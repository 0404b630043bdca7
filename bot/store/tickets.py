"""Login links, and the sessions that came of them and are over. Times are Postgres' own, whoever asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot.store.models import EndedSession, LoginTicket
from tocsin.access import LONGEST_SECRET, PERSON, SESSION, hash_of, new_secret

PAGE = "page"
"""The purpose of a ticket that logs into the page."""


class BadTicket(Exception):
    """A ticket that opens nothing. why: unknown, used, expired, or revoked: its owner's sessions were ended since."""

    def __init__(self, why: str, user_id: str = "", name: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.user_id = user_id
        self.name = name


@dataclass(frozen=True)
class Holder:
    """Whom a ticket was made for. now: by Postgres."""

    user_id: str
    name: str
    role: str
    now: datetime


async def make(session: AsyncSession, user_id: str, name: str, role: str, lasts: timedelta) -> str:
    """Make a ticket and return it; only its hash stays here."""
    ticket = new_secret()
    session.add(
        LoginTicket(
            hash=hash_of(ticket),
            purpose=PAGE,
            user_id=user_id,
            name=name,
            role=role,
            expires_at=func.now() + lasts,
        )
    )
    return ticket


async def redeem(session: AsyncSession, ticket: str, purpose: str = PAGE) -> Holder:
    """Use a ticket up. Of any number who try at once, on any number of bots, one succeeds. Raises BadTicket."""
    if len(ticket) > LONGEST_SECRET:
        raise BadTicket("unknown")
    mine = LoginTicket.hash == hash_of(ticket)
    ended = select(EndedSession.subject).where(
        EndedSession.subject == PERSON + LoginTicket.user_id, EndedSession.at >= LoginTicket.created_at
    )
    used = await session.execute(
        update(LoginTicket)
        .where(
            mine,
            LoginTicket.purpose == purpose,
            LoginTicket.used_at.is_(None),
            LoginTicket.expires_at > func.now(),
            ~ended.exists(),
        )
        .values(used_at=func.now())
        .returning(LoginTicket.user_id, LoginTicket.name, LoginTicket.role, func.now()),
        execution_options={"synchronize_session": False},
    )
    if (row := used.one_or_none()) is not None:
        return Holder(row[0], row[1], row[2], row[3])
    known = await session.scalar(select(LoginTicket).where(mine, LoginTicket.purpose == purpose))
    if known is None:
        raise BadTicket("unknown")
    is_over = await session.scalar(select(LoginTicket.expires_at <= func.now()).where(mine))
    why = "used" if known.used_at is not None else "expired" if is_over else "revoked"
    raise BadTicket(why, known.user_id, known.name)


async def clock(session: AsyncSession) -> datetime:
    """Postgres' time."""
    return (await session.execute(select(func.now()))).scalar_one()


async def end_session(session: AsyncSession, session_id: str, until: datetime) -> None:
    """Log one session out."""
    await _end(session, f"{SESSION}{session_id}", until)


async def end_all(session: AsyncSession, user_id: str, lasts: timedelta) -> None:
    """Log a person out everywhere. lasts: no session that began before now lives longer."""
    await _end(session, f"{PERSON}{user_id}", func.now() + lasts)


async def ended(session: AsyncSession) -> Sequence[EndedSession]:
    """All that are over and could still be tried."""
    return (await session.scalars(select(EndedSession).where(EndedSession.keep_until > func.now()))).all()


async def forget_access(session: AsyncSession) -> None:
    """Delete the tickets that were over yesterday, and what need not be remembered of ended sessions."""
    await session.execute(delete(LoginTicket).where(LoginTicket.expires_at < func.now() - timedelta(days=1)))
    await session.execute(delete(EndedSession).where(EndedSession.keep_until < func.now()))


async def _end(session: AsyncSession, subject: str, keep_until: object) -> None:
    made = insert(EndedSession).values(subject=subject, keep_until=keep_until)
    await session.execute(
        made.on_conflict_do_update(
            index_elements=["subject"], set_={"at": func.now(), "keep_until": made.excluded.keep_until}
        )
    )
