"""API tokens: made, listed, revoked."""

import secrets
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bot.store.models import ApiToken
from tocsin.access import TOKEN_PREFIX, hash_of, new_secret
from tocsin.roles import Role

MOST = 1000
"""Good ones at a time. logsvc holds them all in memory."""

IS_GOOD = and_(ApiToken.revoked_at.is_(None), or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > func.now()))


class TooMany(Exception):
    """There are MOST tokens already."""


async def make(
    session: AsyncSession, name: str, role: Role, *, by: str, lasts: timedelta | None
) -> tuple[ApiToken, str]:
    """Make a token; return it and the secret, which nobody is told again. Raises TooMany."""
    if len(await good(session)) >= MOST:
        raise TooMany
    secret = new_secret(TOKEN_PREFIX)
    token = ApiToken(
        id=secrets.token_hex(4),
        name=name,
        role=role.value,
        hash=hash_of(secret),
        created_by=by,
        expires_at=None if lasts is None else func.now() + lasts,
    )
    session.add(token)
    await session.flush()
    await session.refresh(token)
    return token, secret


async def good(session: AsyncSession) -> Sequence[ApiToken]:
    """Those that let in now."""
    return (await session.scalars(select(ApiToken).where(IS_GOOD))).all()


async def listed(session: AsyncSession) -> Sequence[ApiToken]:
    """All that are good, and the newest of the others as far as there is room; the newest first."""
    wanted = select(ApiToken).order_by(IS_GOOD.desc(), ApiToken.created_at.desc(), ApiToken.id)
    found = (await session.scalars(wanted.limit(MOST))).all()
    return sorted(found, key=lambda one: one.created_at, reverse=True)


async def revoke(session: AsyncSession, token_id: str) -> str | None:
    """Revoke a token by its id; return its name, None if there is none that is not revoked yet."""
    gone = await session.execute(
        update(ApiToken)
        .where(ApiToken.id == token_id, ApiToken.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(ApiToken.name)
    )
    return gone.scalar_one_or_none()


async def role_of(session: AsyncSession, token_id: str) -> Role | None:
    """The role of a token that is good."""
    return next((Role(one.role) for one in await good(session) if one.id == token_id), None)
