"""The doctor on a real Postgres: what is wrong with its mend, asked as the bot asks."""

import re
from typing import Any, cast

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # has none
import pytest

from bot.store.database import driver_url
from tests.integration.doctor.findings import WRONG, bad, only
from tocsin.doctor import Verdict
from tocsin.doctor.postgres import check_postgres


async def test_wrong_postgres_credentials_database_and_rights_are_told_apart(postgres_url: str) -> None:
    connection = await cast(Any, asyncpg).connect(postgres_url.replace("+asyncpg", ""))
    name = postgres_url.rpartition("/")[2]
    try:
        await connection.execute(f"CREATE ROLE {name}_r LOGIN PASSWORD 'right'")
        at = postgres_url.rpartition("@")[2]
        wrong = only(await check_postgres({"DATABASE_URL": f"postgresql://{name}_r:{WRONG}@{at}"}), Verdict.BAD)
        assert "password" in wrong.found
        assert WRONG not in str(wrong)
        absent = only(await check_postgres({"DATABASE_URL": f"{postgres_url}x"}), Verdict.BAD)
        assert "createdb" in absent.mend
        environ = {"DATABASE_URL": f"postgresql://{name}_r:right@{at}"}
        poor = only(await check_postgres(environ), Verdict.BAD)
        statement = re.search(r"-c '(.+)'", poor.mend)
        assert statement is not None
        await connection.execute(statement[1])
        assert not await bad(check_postgres(environ))
    finally:
        await connection.execute(f"DROP OWNED BY {name}_r")
        await connection.execute(f"DROP ROLE {name}_r")
        await connection.close()


@pytest.mark.parametrize("options", ["ssl=disable", "sslmode=disable", "prepared_statement_cache_size=0"])
async def test_a_postgres_is_asked_as_the_bot_asks_it(postgres_url: str, options: str) -> None:
    """With whatever options an address for SQLAlchemy's asyncpg may hold."""
    assert not await bad(check_postgres({"DATABASE_URL": f"{postgres_url}?{options}"}))
    assert driver_url(f"{postgres_url}?{options}").query.keys() <= {"ssl", "prepared_statement_cache_size"}


async def test_an_option_postgres_cannot_be_asked_with_is_told(postgres_url: str) -> None:
    finding = only(await check_postgres({"DATABASE_URL": f"{postgres_url}?secret={WRONG}"}), Verdict.BAD)
    assert "option" in finding.found
    assert WRONG not in str(finding)
