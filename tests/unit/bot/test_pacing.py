"""How fast a chat may be spoken to."""

from bot.delivery.pacing import GROUP_BURST, GROUP_PER_MINUTE, Pacer

GROUP, PERSON = -100, 100


def spoken_in(pacer: Pacer, chat: int, seconds: float) -> int:
    """How many messages go out when there is always one to send."""
    now, count = 1000.0, 0
    while True:
        wait = pacer.wait(chat, now)
        now += wait
        if now > 1000 + seconds:
            return count
        if wait == 0:
            pacer.spoke(chat, now)
            count += 1


def test_a_group_hears_at_most_20_in_its_busiest_minute() -> None:
    assert spoken_in(Pacer(), GROUP, 60) == 20
    assert spoken_in(Pacer(), GROUP, 600) in range(GROUP_PER_MINUTE * 10, GROUP_PER_MINUTE * 10 + GROUP_BURST + 1)


def test_a_person_hears_one_a_second_after_a_short_burst() -> None:
    assert spoken_in(Pacer(), PERSON, 60) in range(60, 65)


def test_answers_however_many_delay_an_alert_by_seconds_only() -> None:
    pacer = Pacer()
    for _ in range(1000):
        pacer.spoke(PERSON, 0)
        pacer.spoke(GROUP, 0)
    assert pacer.wait(PERSON, 0) <= 3
    assert pacer.wait(GROUP, 0) <= 12


def test_a_frozen_chat_rests_alone() -> None:
    pacer = Pacer()
    pacer.spoke(PERSON, 0)
    pacer.freeze(GROUP, 30, 0)
    assert pacer.wait(GROUP, 10) == 20
    assert pacer.wait(PERSON, 10) == 0
    assert pacer.resting(10) == {GROUP: 20}
    assert pacer.frozen(31) == {}


def test_all_chats_together_keep_below_telegrams_limit() -> None:
    pacer = Pacer()
    for chat in range(1, 26):
        assert pacer.wait(chat, 5) == 0
        pacer.spoke(chat, 5)
    assert pacer.wait(26, 5) > 0
