"""The proxy as it is shipped, run by a real HAProxy."""

import contextlib
import os
import subprocess
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from tests.eventually import READY_SECONDS
from tests.ports import free_port
from tests.tools import tool
from tocsin.stack.process import Command, accepts_connections, start, wait_ready

CONFIG = Path(__file__).parents[2] / "proxy" / "haproxy.cfg"


def problems(environ: Mapping[str, str]) -> str:
    """What `haproxy -c` says about the configuration under these variables; empty if it is valid, warnings included."""
    done = subprocess.run(
        [tool("haproxy"), "-c", "-f", str(CONFIG)],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=READY_SECONDS,
        check=False,
    )
    said = (done.stdout + done.stderr).strip()
    return said if done.returncode or "WARNING" in said else ""


@contextlib.asynccontextmanager
async def running_proxy(folder: Path, environ: Mapping[str, str]) -> AsyncGenerator[int]:
    """HAProxy with these variables; gives its http port, or its https port if PROXY_CERTIFICATE is among them."""
    http, https, metrics = free_port(), free_port(), free_port()
    free = {"PROXY_HTTP_PORT": str(http), "PROXY_HTTPS_PORT": str(https), "PROXY_METRICS_PORT": str(metrics)}
    given = {"PATH": os.environ["PATH"], **free, **environ}
    child = start(
        Command(
            name="haproxy",
            argv=[tool("haproxy"), "-db", "-f", str(CONFIG)],
            log_file=folder / "haproxy.log",
            env=given,
        )
    )
    port = int(given["PROXY_HTTPS_PORT" if environ.get("PROXY_CERTIFICATE") else "PROXY_HTTP_PORT"])
    try:
        await wait_ready(child, lambda: accepts_connections(port), seconds=READY_SECONDS)
        yield port
    finally:
        await child.stop()
