"""What somebody typed after /silence, what that covers, and buttons nobody can make up."""

import itsdangerous
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.commands.silence import read_target
from bot.incidents.failures import Key
from bot.incidents.silences import Scope, Silence, Wish, quiet_until, read_wish
from bot.people import seal as module
from bot.people.seal import Expired, Forged, Seal
from tests.unit.bot.events import NOW_MS

MINUTE = 60_000
KEY = Key("prod", "main", "orders", "f1")


@pytest.mark.parametrize(
    ("text", "target", "minutes", "reason"),
    [
        ("orders 1h", "orders", 60, ""),
        ("my queue 15m provider is down 2h", "my queue", 15, "provider is down 2h"),
        ("1h 4h", "1h", 240, ""),
        ("env=prod 2d", "env=prod", 2880, ""),
        ("orders until 08:30 they sleep", "orders", 30, "they sleep"),
        ("orders until 07:59", "orders", 24 * 60 - 1, ""),
    ],
)
def test_a_wish_is_read(text: str, target: str, minutes: int, reason: str) -> None:
    assert NOW_MS % (24 * 60 * MINUTE) == 8 * 60 * MINUTE  # 08:00 UTC
    assert read_wish(text, now_ms=NOW_MS) == Wish(target, NOW_MS + minutes * MINUTE, reason)


@pytest.mark.parametrize("text", ["", "orders", "1h", "until 09:00", "orders soon", "orders 09:00"])
def test_a_wish_without_a_target_or_a_time_is_none(text: str) -> None:
    assert read_wish(text, now_ms=NOW_MS) is None


@pytest.mark.parametrize("text", ["orders 0m", "orders 8d", "orders 99999h"])
def test_a_time_nobody_means_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\d"):
        read_wish(text, now_ms=NOW_MS)


def test_a_target_names_parts_and_a_queue() -> None:
    assert read_target("env=prod source=main fp=1a x=1 my queue") == (Scope("prod", "main", "", "1a"), "x=1 my queue")


def test_a_silence_covers_what_it_names_and_the_longest_decides() -> None:
    def one(until_ms: int, **scope: str) -> Silence:
        return Silence(1, Scope(**scope), until_ms, NOW_MS, "Ann")

    assert quiet_until([one(5, queue="orders"), one(9, env="prod"), one(99, env="staging")], KEY) == 9
    assert quiet_until([one(5, queue="order"), one(9, fingerprint="f2"), one(9, source="Main")], KEY) is None
    assert Scope().is_everything
    assert not Scope(queue="x").is_everything


@given(st.text(max_size=60))
def test_nobody_can_make_up_a_button(text: str) -> None:
    seal = Seal("1:token")
    for forged in (text, f"ack:1:1{text}", Seal("2:token").close("ack:1:1"), seal.close("ack:1:1")[:-1] + "!"):
        with pytest.raises(Forged):
            seal.open(forged)


def test_a_button_fits_telegram_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    seal = Seal("1:token")
    sealed = seal.close("silence:9999999999:9999:4")
    assert len(sealed) <= 64
    assert seal.open(sealed) == "silence:9999999999:9999:4"
    later = itsdangerous.TimestampSigner("x").get_timestamp() + module.KEEPS_SECONDS + 1

    def get_timestamp(_signer: object) -> int:
        return later

    monkeypatch.setattr(itsdangerous.TimestampSigner, "get_timestamp", get_timestamp)
    with pytest.raises(Expired):
        seal.open(sealed)
