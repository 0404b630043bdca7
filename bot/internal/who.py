"""Who asks, and whether they may: the role is checked here once more, and a refusal goes into the audit."""

from bot.incidents.failures import stored
from bot.incidents.machine import Person
from bot.internal.gate import Refused
from bot.people.roster import People
from bot.store import audit, tokens
from bot.store.audit import Actor
from bot.store.database import Database, Session
from tocsin.incidents import Asker
from tocsin.roles import Role, least

TOKEN = "token:"
LONGEST_NUMBER = 15
"""Digits. Telegram's ids have 52 bits at most."""


async def permit(
    database: Database, who: People, asker: Asker, action: str, target: str, needs: Role = Role.OPERATOR
) -> Person:
    """The person who asks, with their role of now. Raises Refused, which is written down."""
    async with database.transaction() as session:
        role = await role_now(session, who, str(asker.user_id), asker.role)
        refusal = refusal_of(role, needs)
        if refusal is not None:
            actor = Actor(str(asker.user_id), asker.name, role or "", asker.address)
            await audit.note(session, actor, action, target, f"refused: {refusal.body.message}")
    if refusal is not None:
        raise refusal
    return _person(asker, role or Role.VIEWER)


async def role_now(session: Session, who: People, user_id: str, told: Role | None) -> Role | None:
    """What somebody may do: as we know it ourselves where we do, and never more than logsvc says."""
    if user_id.isdecimal():
        own = await who.role_in(session, int(user_id))
    elif user_id.startswith(TOKEN):
        own = await tokens.role_of(session, user_id.removeprefix(TOKEN))
    else:
        return told
    return own if own is None or told is None else least(own, told)


def refusal_of(role: Role | None, needs: Role = Role.OPERATOR) -> Refused | None:
    """Why who has this role may not."""
    mine = role or Role.VIEWER
    if mine.covers(needs):
        return None
    mend = "an admin can change that: /grant in Telegram"
    return Refused(403, "forbidden", f"that needs the role {needs}; yours is {mine}", mend=mend)


def _person(asker: Asker, role: Role) -> Person:
    account = stored(str(asker.user_id), 500)
    number = int(account) if account.isascii() and account.isdecimal() and len(account) <= LONGEST_NUMBER else 0
    name = asker.name or account
    return Person(number, name, role.value, "" if number else account, asker.address)
