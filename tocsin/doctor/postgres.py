"""Postgres: reachable, logged in, and the user may create the bot's tables."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, cast

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # has none
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from tocsin.doctor.environment import Unreadable, place, value
from tocsin.doctor.finding import Environ, Finding, bad, note, ok, warn

SECONDS = 6.0
MIN_VERSION = 13
CONNECT_SECONDS = 4.0


async def check_postgres(environ: Environ) -> list[Finding]:
    try:
        url = value(environ, "DATABASE_URL")
    except Unreadable as error:
        return [bad("Postgres", f"{error.name} {error}", f"check the file that {error.name} names")]
    if not url:
        return [note("Postgres", "DATABASE_URL is not set: `tocsin up` runs its own")]
    where = place(url)
    blank = f"postgresql://USER:PASSWORD@{where}/DATABASE"
    try:
        async with asyncio.timeout(SECONDS):
            connection = await cast(Any, asyncpg).connect(**_arguments(url))
            try:
                return await _examine(connection, where)
            finally:
                await connection.close(timeout=2)
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError):
        return [
            bad(
                "Postgres",
                f"{where} refused the user or password of DATABASE_URL",
                f"try it: psql {blank} -c 'select 1'   then: export DATABASE_URL={blank}",
            )
        ]
    except (ArgumentError, TypeError):  # their messages quote the address
        return [
            bad(
                "Postgres",
                "DATABASE_URL is no address of a Postgres, or holds an option that asyncpg does not know",
                f"export DATABASE_URL={blank}   after the ? only options of asyncpg.connect, and sslmode",
            )
        ]
    except asyncpg.InvalidCatalogNameError:
        return [bad("Postgres", f"{where} has no such database", "createdb -h HOST -U USER DATABASE")]
    except asyncpg.TooManyConnectionsError:
        return [bad("Postgres", f"{where} has no connection left", "raise max_connections, or use PgBouncer")]
    except ssl.SSLCertVerificationError as error:
        return [
            bad(
                "Postgres",
                f"the certificate of {where} is not trusted: {error.verify_message}",
                "export PGSSLROOTCERT=…   the file of the CA that signed it; verify-full wants the host's name in it",
            )
        ]
    except asyncpg.ClientConfigurationError as error:
        if "root certificate" not in str(error):
            raise
        found = "DATABASE_URL wants the server's certificate checked, and there is no CA to check it with"
        return [bad("Postgres", found, "export PGSSLROOTCERT=…   the file of the CA that signed it")]
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return [
            bad(
                "Postgres",
                f"no Postgres answers at {where} ({type(error).__name__})",
                f"is it up, and open to this machine? psql {blank} -c 'select 1'   (address: DATABASE_URL)",
            )
        ]


def _arguments(url: str) -> dict[str, Any]:
    """What the bot hands to asyncpg for this address (bot/store/database.py). Raises ArgumentError, ValueError."""
    address = make_url(url).set(drivername="postgresql+asyncpg")
    _, arguments = address.get_dialect()().create_connect_args(address)
    if mode := arguments.pop("sslmode", None):
        arguments["ssl"] = mode
    arguments.pop("prepared_statement_cache_size", None)
    # No statement cache: behind PgBouncer in transaction mode prepared statements get lost.
    return {**arguments, "timeout": CONNECT_SECONDS, "statement_cache_size": 0}


async def _examine(connection: Any, where: str) -> list[Finding]:
    row: Mapping[str, Any] = await connection.fetchrow(
        """SELECT current_user AS "user", current_database() AS "database", current_schema() AS "schema",
                  current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
                  pg_is_in_recovery() AS is_standby,
                  coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create"""
    )
    found = f"{row['version'].split()[0]} at {where}, database {row['database']}"
    if row["is_standby"]:
        return [bad("Postgres", f"{found} is a standby: read only", "point DATABASE_URL at the primary")]
    if not row["may_create"]:
        schema = row["schema"] or "public"
        return [
            bad(
                "Postgres",
                f"user {row['user']} may not create tables in schema {schema} of {row['database']}",
                f"psql -d {row['database']} -c 'GRANT USAGE, CREATE ON SCHEMA {schema} TO \"{row['user']}\"'"
                "   as the owner of the database",
            )
        ]
    if row["number"] < MIN_VERSION * 10_000:
        return [warn("Postgres", f"{found}: older than what is tested", f"upgrade to {MIN_VERSION} or newer")]
    return [ok("Postgres", f"{found}, tables may be created")]
