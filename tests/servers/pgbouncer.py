"""PgBouncer in transaction mode before a Postgres, with fewer connections than its clients have."""

import contextlib
import os
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

from sqlalchemy.engine import make_url

from tests.eventually import READY_SECONDS
from tests.ports import free_port
from tests.tools import tool
from tocsin.stack.process import Command, accepts_connections, start, wait_ready

CONFIG = """
[databases]
* = host={host} port={port} user={user}{password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 100
"""

TLS = """
client_tls_sslmode = require
client_tls_key_file = {certificate}
client_tls_cert_file = {certificate}
"""


@contextlib.asynccontextmanager
async def running_pgbouncer(folder: Path, postgres_url: str, certificate: Path | None = None) -> AsyncGenerator[str]:
    """Give the same URL as it is reached through PgBouncer. certificate: with its key; then it asks for TLS."""
    url, port = make_url(postgres_url), free_port()
    config = folder / "pgbouncer.ini"
    password = f" password={url.password}" if url.password else ""
    config.write_text(
        CONFIG.format(host=url.host, port=url.port or 5432, user=url.username, password=password, listen=port)
    )
    if certificate is not None:
        shutil.copy(certificate, own := folder / "pgbouncer.pem")
        if os.getuid() == 0:
            shutil.chown(own, "nobody")
        config.write_text(config.read_text() + TLS.format(certificate=own))
    as_whom = ["-u", "nobody"] if os.getuid() == 0 else []  # it refuses to run as root
    child = start(
        Command(
            name="pgbouncer",
            argv=[tool("pgbouncer"), *as_whom, str(config)],
            log_file=folder / "pgbouncer.log",
            env={"PATH": os.environ["PATH"]},
        )
    )
    try:
        await wait_ready(child, lambda: accepts_connections(port), seconds=READY_SECONDS)
        yield url.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
    finally:
        await child.stop()
