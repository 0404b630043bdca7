"""The audit: one row for whatever somebody did or tried."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bot.incidents.machine import Person
from bot.store.models import AuditRow

LONGEST = 500
"""Characters of one column. What people typed goes in here, and must not fill the disk."""
NOTED = "note"
"""The action of who wrote a note on an incident."""
NOT_KNOWN = "not known"
"""The outcome of what may have been done, or not."""

MOST_PAUSES = 1_000


@dataclass(frozen=True)
class Actor:
    """Who did it. user_id: see tocsin/access.py. address: where the browser was, if one was used."""

    user_id: str
    name: str = ""
    role: str = ""
    address: str = ""

    @classmethod
    def of(cls, who: Person) -> "Actor":
        return cls(who.known_as, who.name, who.role, who.address)


async def note(session: AsyncSession, actor: Actor, action: str, target: str, outcome: str) -> None:
    """Write what somebody did, in the transaction that does it."""
    session.add(AuditRow(**_row(actor, action, target), outcome=_fit(outcome)))


async def begin(
    session: AsyncSession, actor: Actor, action: str, target: str, *, request_id: str, digest: str, reason: str = ""
) -> str | None:
    """Write that something begins, once per request_id; return the digest it began with, None if it begins now."""
    row = {**_row(actor, action, target), "outcome": "begun", "request_id": request_id, "digest": digest}
    row["reason"] = _fit(reason)
    begun = await session.execute(insert(AuditRow).values(row).on_conflict_do_nothing().returning(AuditRow.id))
    if begun.scalar_one_or_none() is not None:
        return None
    return await session.scalar(select(AuditRow.digest).where(AuditRow.request_id == request_id))


async def end(session: AsyncSession, request_id: str, outcome: str) -> bool:
    """Write what came of it; return whether that is news."""
    told = _fit(outcome)
    written = await session.execute(
        update(AuditRow)
        .where(AuditRow.request_id == request_id, AuditRow.outcome != told)
        .values(outcome=told)
        .returning(AuditRow.id)
    )
    return written.one_or_none() is not None


async def newest(
    session: AsyncSession,
    *,
    limit: int,
    before: int | None = None,
    user_id: str = "",
    action: str = "",
    target: str = "",
) -> Sequence[AuditRow]:
    """Rows, the newest first. before: only those with a smaller id."""
    wanted = select(AuditRow).order_by(AuditRow.id.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(AuditRow.id < before)
    if user_id:
        wanted = wanted.where(AuditRow.user_id == user_id)
    if action:
        wanted = wanted.where(AuditRow.action == action)
    if target:
        wanted = wanted.where(AuditRow.target == _fit(target))
    return (await session.scalars(wanted)).all()


async def pauses(session: AsyncSession) -> Sequence[AuditRow]:
    """The last pause of every queue that was not resumed since, as far as people did it by us."""
    wanted = (
        select(AuditRow)
        .where(AuditRow.action.in_(("pause", "resume")), AuditRow.outcome.startswith("done"))
        .distinct(AuditRow.target)
        .order_by(AuditRow.target, AuditRow.id.desc())
    )
    return [row for row in await session.scalars(wanted) if row.action == "pause"][:MOST_PAUSES]


def _row(actor: Actor, action: str, target: str) -> dict[str, str]:
    columns = {
        "user_id": actor.user_id,
        "name": actor.name,
        "role": actor.role,
        "address": actor.address,
        "action": action,
        "target": target,
    }
    return {name: _fit(value) for name, value in columns.items()}


def _fit(text: str) -> str:
    """Postgres holds neither NUL nor half a character."""
    return text.replace("\0", "").encode(errors="replace").decode()[:LONGEST]
