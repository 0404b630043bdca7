"""Who is answered."""

import pytest
from prometheus_client import CollectorRegistry

from bot.conversation import parse_command
from bot.delivery.messages import Ask
from bot.errors import RateLimited, TelegramError, Unreachable
from bot.incidents.failures import Key
from bot.people.access import REMEMBER_SECONDS, STRANGERS_A_MINUTE, Access, Gate
from bot.people.roster import People
from bot.routing.chats import Chats
from bot.settings import BotSettings
from tests.unit.bot.test_routes import BASE
from tocsin.breakers import Breakers
from tocsin.settings import read

GROUP, BOSSES, ADMIN, MEMBER, STRANGER = -100500, -100600, 7, 8, 9


class Door:
    """Telegram, as far as membership goes."""

    def __init__(self) -> None:
        self.asked = 0
        self.members = {MEMBER}
        self.trouble: TelegramError | None = None

    async def is_member(self, chat_id: int, user_id: int) -> bool:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        return chat_id == GROUP and user_id in self.members


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def gate(door: Door) -> Gate:
    settings = read(
        BotSettings,
        {
            **BASE,
            "TELEGRAM_ALERT_CHATS": f"{GROUP},55",
            "TELEGRAM_ADMINS": str(ADMIN),
            "BOT_ESCALATE_TO": f"{BOSSES}/3",
        },
    )
    breakers = Breakers(settings, CollectorRegistry())
    return Gate(People(frozenset(settings.telegram_admins)), Chats(settings), door, breakers)


def said(chat: int, user: int) -> Ask:
    return Ask(chat_id=chat, user_id=user, is_private=chat > 0, text="/queues")


@pytest.mark.parametrize(
    ("chat", "user", "expected"),
    [
        (ADMIN, ADMIN, Access.ALLOWED),
        (MEMBER, MEMBER, Access.ALLOWED),
        (55, 55, Access.ALLOWED),
        (GROUP, STRANGER, Access.ALLOWED),
        (BOSSES, STRANGER, Access.ALLOWED),
        (STRANGER, STRANGER, Access.STRANGER),
        (-999, STRANGER, Access.IGNORED),
        (-999, ADMIN, Access.LOST),
    ],
)
async def test_the_group_decides_in_a_group_and_the_person_in_private(
    gate: Gate, chat: int, user: int, expected: Access
) -> None:
    assert await gate.admit(said(chat, user)) is expected


@pytest.mark.parametrize("trouble", [Unreachable("down"), RateLimited(3)])
async def test_membership_is_remembered_for_a_while_but_not_while_telegram_does_not_say(
    gate: Gate, door: Door, trouble: TelegramError
) -> None:
    door.trouble = trouble
    assert await gate.admit(said(MEMBER, MEMBER)) is Access.STRANGER
    door.trouble = None
    assert await gate.admit(said(MEMBER, MEMBER)) is Access.ALLOWED
    asked = door.asked
    await gate.admit(said(MEMBER, MEMBER))
    assert door.asked == asked


async def test_a_crowd_of_strangers_costs_telegram_little_and_members_nothing(gate: Gate, door: Door) -> None:
    now = 1000.0
    gate.clock = lambda: now
    assert await gate.admit(said(MEMBER, MEMBER)) is Access.ALLOWED
    for user in range(100, 1100):
        assert await gate.admit(said(user, user)) is Access.STRANGER
    assert door.asked <= 2 * STRANGERS_A_MINUTE, "two groups are asked for each"
    now += REMEMBER_SECONDS
    for user in range(1100, 2100):
        await gate.admit(said(user, user))
    assert await gate.admit(said(MEMBER, MEMBER)) is Access.ALLOWED, "asked again, crowd or not"
    now += 60
    door.members.add(2100)
    assert await gate.admit(said(2100, 2100)) is Access.ALLOWED


async def test_a_group_that_moved_is_still_an_alert_chat(gate: Gate) -> None:
    gate.chats.learn({GROUP: -1_000_000_100_500, BOSSES: -1_000_000_100_600})
    assert await gate.admit(said(-1_000_000_100_500, STRANGER)) is Access.ALLOWED
    assert await gate.admit(said(-1_000_000_100_600, STRANGER)) is Access.ALLOWED
    heard = gate.chats.hear_of(Key("prod", "s", "q", "f"), [(BOSSES, 3)])
    assert [to.chat_id for to in heard] == [-1_000_000_100_500, 55, -1_000_000_100_600]


def test_commands_are_read_with_addressee_and_arguments() -> None:
    one = parse_command("/Queue@tocsin_bot my queue ")
    assert one is not None
    assert (one.command, one.addressee, one.rest) == ("queue", "tocsin_bot", "my queue")
    assert parse_command("hello") is None
    assert parse_command("/") is None
