"""Postgres answers, and refuses: a final failure is kept until somebody mends it, or rings without its details."""

from typing import Any

import pytest

from tests.clients import asyncpg
from tests.eventually import READY_SECONDS, eventually
from tests.integration.bot.house import House, failure


class Sql:
    """Statements of whoever runs the database."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("+asyncpg", "", 1)

    async def run(self, statement: str) -> None:
        connection = await asyncpg.connect(self._url, timeout=READY_SECONDS)
        try:
            await connection.execute(statement, timeout=READY_SECONDS)
        finally:
            await connection.close()

    async def value(self, query: str) -> Any:
        connection = await asyncpg.connect(self._url, timeout=READY_SECONDS)
        try:
            return await connection.fetchval(query, timeout=READY_SECONDS)
        finally:
            await connection.close()


@pytest.fixture
def sql(house: House) -> Sql:
    return Sql(house.postgres)


REFUSALS = {
    "a column of another release": (
        "ALTER TABLE incidents ADD COLUMN shade text NOT NULL",
        "ALTER TABLE incidents DROP COLUMN shade",
    ),
    "a table out of reach": ("ALTER TABLE cards RENAME TO cards_away", "ALTER TABLE cards_away RENAME TO cards"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_failures_wait_while_the_tables_do_not_fit_and_ring_when_they_do(
    house: House, sql: Sql, refusal: str
) -> None:
    spoil, mend = REFUSALS[refusal]
    bot = await house.start_bot(BREAKER_PROBE_SECONDS="1")
    await sql.run(spoil)
    await house.put(failure(), failure(), failure("mail"))
    await eventually(lambda: "consuming_interrupted" in bot.output(), what="the trouble in the log")

    async def told() -> bool:
        text, _ = await house.ask("/status", expect="Tocsin ")
        return "of its own" in text

    await eventually(told, what="the trouble in /status")
    assert not await house.alerts()
    await sql.run(mend)

    async def rung() -> bool:
        found = "\n".join(await house.alerts())
        return "×2" in found and "mail" in found

    await eventually(rung, what="every failure, counted")
    assert len(await house.alerts()) == 2
    assert "bad_record" not in bot.output()


async def test_a_failure_whose_details_cannot_be_stored_rings_without_them(house: House, sql: Sql) -> None:
    bot = await house.start_bot()
    await sql.run(
        """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          IF NEW.last->>'error' LIKE '%poison%' THEN RAISE EXCEPTION 'no' USING ERRCODE = '22021'; END IF;
          RETURN NEW;
        END $$;
        CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON incidents FOR EACH ROW EXECUTE FUNCTION refuse()
        """
    )
    async with house.transaction() as put:
        for event in (failure(), failure("pay", error="poison", job_id="po-7"), failure(), failure()):
            await put(event)
    await eventually(lambda: house.has_text("CardError ×3"), what="the failures around it")
    await eventually(lambda: house.has_text("could not hold the details"), what="the failure without details")
    [bare] = [text for text in await house.alerts() if "could not hold" in text]
    assert "pay" in bare
    assert "po-7" in bare
    assert "bad_record" in bot.output()


async def test_tables_of_a_newer_release_do_not_end_the_bot(house: House, sql: Sql) -> None:
    bot = await house.start_bot()
    assert await bot.stop() == 0
    await sql.run("UPDATE bot_migrations SET version_num = '9999'")
    bot = await house.start_bot()
    assert "tables_of_a_newer_release" in bot.output()
    await house.put(failure())
    await eventually(lambda: house.has_text("CardError ×1"), what="the alert")


async def test_a_role_that_may_not_make_tables_is_told_what_it_lacks(house: House, sql: Sql) -> None:
    role = f"r{house.postgres.rpartition('/')[2]}"
    await sql.run(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    place = house.postgres.rpartition("@")[2]
    try:
        bot = await house.start_bot(wait=False, DATABASE_URL=f"postgresql://{role}:secret@{place}")
        await eventually(lambda: "postgres_awaited" in bot.output(), what="the trouble in the log")
        assert "42501" in bot.output()
        assert "GRANT CREATE ON SCHEMA public" in bot.output()
        await sql.run(f"GRANT CREATE ON SCHEMA public TO {role}")
        await house.put(failure())
        await eventually(lambda: house.has_text("CardError ×1"), what="the alert once it may")
        assert await bot.stop() == 0
    finally:
        await sql.run(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


async def test_a_batch_too_large_for_the_deadline_is_counted_in_parts(house: House, sql: Sql) -> None:
    bot = await house.start_bot(BREAKER_TIMEOUT_SECONDS="1", BREAKER_PROBE_SECONDS="0.2", TELEGRAM_ALERT_CHATS="")
    await sql.run(
        """
        CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          PERFORM pg_sleep(0.02); RETURN NEW;
        END $$;
        CREATE TRIGGER dawdle BEFORE INSERT ON incidents FOR EACH ROW EXECUTE FUNCTION dawdle()
        """
    )
    async with house.transaction() as put:
        for number in range(120):  # 2.4 s in one transaction
            await put(failure(fingerprint=f"f{number}"))

    async def counted() -> bool:
        return await sql.value("SELECT count(*) FROM incidents") == 120

    await eventually(counted, what="every failure")
    assert "not done in 1 s" in bot.output()


async def test_a_failure_from_the_end_of_time_stops_nothing(house: House) -> None:
    await house.start_bot()
    await house.put(failure("soon", ts=10**30), failure("🔥" * 3000, fingerprint="🔥" * 3000, env="🔥" * 500))
    await house.put(failure("after", error_type="After"))
    await eventually(lambda: house.has_text("After ×1"), what="the failure after them")
    await eventually(lambda: house.has_text("soon"), what="the failure of a far year")
