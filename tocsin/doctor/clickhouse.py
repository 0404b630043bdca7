"""ClickHouse: a server that answers and lets us in, or a directory for the embedded one."""

import os
import ssl
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx

from tocsin.doctor.environment import Unreadable, place, value
from tocsin.doctor.finding import Environ, Finding, bad, note, ok, warn

SECONDS = 4.0
_PORTS = {"http": 8123, "https": 8443}
"""Where clickhouse-connect looks when the address names no port."""
_RIGHTS = "SELECT, INSERT"
"""What logsvc cannot do without."""
_MIGRATION = "CREATE TABLE, ALTER TABLE"
"""What it needs besides to bring its tables up to date by itself; a DBA may do that instead."""
_TABLES = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'schema_migrations'"
_CODES = {516: "password", 193: "password", 192: "password", 194: "password", 497: "rights", 81: "database"}
"""ClickHouse's error numbers (src/Common/ErrorCodes.cpp) that have a mend of their own."""


async def check_clickhouse(environ: Environ) -> list[Finding]:
    try:
        url = value(environ, "CLICKHOUSE_URL")
    except Unreadable as error:
        return [bad("ClickHouse", f"{error.name} {error}", f"check the file that {error.name} names")]
    if not url:
        return [note("ClickHouse", "CLICKHOUSE_URL is not set: `tocsin up` runs its own")]
    if url.startswith("chdb://"):
        return [_embedded(Path(url.removeprefix("chdb://")))]
    if not url.startswith(("http://", "https://")):
        return [
            bad(
                "ClickHouse",
                "CLICKHOUSE_URL is neither http(s):// nor chdb://",
                "export CLICKHOUSE_URL=http://USER:PASSWORD@HOST:8123/DATABASE",
            )
        ]
    return [await _server(url, environ)]


def _embedded(folder: Path) -> Finding:
    there = next((path for path in (folder, *folder.parents) if path.exists()), Path("/"))
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        return bad("ClickHouse", f"{there} cannot be written to", f"install -d -o $USER {folder}")
    owner = _lock_owner(folder / "status")
    if owner:
        return note(
            "ClickHouse", f"{folder} is in use by process {owner}: right if that is logsvc, which alone opens it"
        )
    return ok("ClickHouse", f"embedded, in {folder}")


def _lock_owner(lock: Path) -> int | None:
    """Who holds the engine's lock file, by /proc/locks: trying the lock could disturb a server that starts just now."""
    try:
        inode = lock.stat().st_ino
        rows = [row.split() for row in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        return None
    return next((int(row[4]) for row in rows if len(row) > 5 and row[5].rpartition(":")[2] == str(inode)), None)


async def _server(url: str, environ: Environ) -> Finding:
    parts = urlsplit(url)
    where = place(url)
    if ":" not in where.rpartition("]")[2]:
        where += f":{_PORTS[parts.scheme]}"
    database = parts.path.strip("/") or "default"
    blank = f"{parts.scheme}://USER:PASSWORD@{where}/DATABASE"
    headers = {
        "X-ClickHouse-User": unquote(parts.username or "default"),
        "X-ClickHouse-Key": unquote(parts.password or ""),
    }
    ca_file = environ.get("CLICKHOUSE_CA_FILE")
    try:
        verify: ssl.SSLContext | bool = dict(parse_qsl(parts.query)).get("verify") != "false"
        if ca_file:
            verify = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        found = f"CLICKHOUSE_CA_FILE cannot be used: {error.strerror or error}"
        return bad("ClickHouse", found, "name a file with the CA's certificate (PEM) that this process may read")
    try:
        async with httpx.AsyncClient(
            base_url=f"{parts.scheme}://{where}", headers=headers, timeout=SECONDS, verify=verify
        ) as client:
            version = await _ask(client, "SELECT version()", database)
            may_store = await _ask(client, f"CHECK GRANT {_RIGHTS} ON *", database) != "0"
            may_migrate = await _ask(client, f"CHECK GRANT {_MIGRATION} ON *", database) != "0"
            has_tables = may_migrate or await _ask(client, _TABLES, database) != "0"
    except _Refused as refusal:
        return _explain(refusal, where, database, blank)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        if "CERTIFICATE_VERIFY" in str(error):
            return bad(
                "ClickHouse",
                f"the certificate of {where} is not trusted",
                "export CLICKHOUSE_CA_FILE=…   the file of the CA that signed it; the address must be the one it names",
            )
        return bad(
            "ClickHouse",
            f"no ClickHouse answers at {where} ({type(error).__name__})",
            f"is it up, and open to this machine? curl -sS {parts.scheme}://{where}/ping   (address: CLICKHOUSE_URL)",
        )
    if not may_store:
        return _explain(_Refused(497, ""), where, database, blank)
    if not has_tables:
        return warn(
            "ClickHouse",
            f"{database} holds no tables of Tocsin yet, and the user of CLICKHOUSE_URL may not create them",
            f"let a DBA run what `tocsin migrate --print-sql` prints, or: {_grant(_MIGRATION, database)}",
        )
    by_dba = "" if may_migrate else "; a DBA brings its tables up to date"
    return ok("ClickHouse", f"{version} at {where}, database {database}{by_dba}")


class _Refused(Exception):
    """ClickHouse answered with an error of this number."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


async def _ask(client: httpx.AsyncClient, query: str, database: str) -> str:
    """One value; empty if this ClickHouse does not know the statement (code 62: CHECK GRANT came in 24.10)."""
    answer = await client.post("/", params={"database": database}, content=query)
    if answer.status_code == 200:
        return answer.text.strip()
    code = int(answer.headers.get("X-ClickHouse-Exception-Code") or (516 if answer.status_code in (401, 403) else 0))
    if code == 62:
        return ""
    raise _Refused(code, answer.text[:200])


def _explain(refusal: _Refused, where: str, database: str, blank: str) -> Finding:
    match _CODES.get(refusal.code):
        case "password":
            return bad(
                "ClickHouse",
                f"{where} refused the user or password of CLICKHOUSE_URL",
                f"export CLICKHOUSE_URL={blank}   with the right ones",
            )
        case "database":
            return bad(
                "ClickHouse",
                f"{where} has no database {database}",
                f"clickhouse-client -q 'CREATE DATABASE {database}'",
            )
        case "rights":
            return bad(
                "ClickHouse",
                f"the user of CLICKHOUSE_URL may not do all of {_RIGHTS} in {database}",
                _grant(_RIGHTS, database),
            )
        case _:
            return bad("ClickHouse", f"{where} answers with error {refusal.code}", "see the server's own log for it")


def _grant(rights: str, database: str) -> str:
    return f"clickhouse-client -q 'GRANT {rights} ON {database}.* TO USER'"
