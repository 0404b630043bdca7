"""docker-compose.yaml without an engine: what docker-compose makes of it, and how a plain process is given the same."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.eventually import READY_SECONDS
from tests.tools import tool

ROOT = Path(__file__).parents[1]
COMPOSE = ROOT / "docker-compose.yaml"
EXAMPLE = ROOT / "envs" / "example.env"


def config(
    file: Path = COMPOSE, *, env_file: Path | None = EXAMPLE, shell: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`docker-compose config`, with nothing of this shell's own settings. shell: wins over env_file."""
    argv = [tool("compose"), "-f", str(file), "--project-directory", str(ROOT)]
    if env_file:
        argv += ["--env-file", str(env_file)]
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **(shell or {})}
    return subprocess.run(
        [*argv, "config"], env=environ, capture_output=True, text=True, timeout=READY_SECONDS, check=False, cwd=ROOT
    )


def make_secrets(folder: Path, **shell: str) -> None:
    """Run envs/secrets.sh."""
    environ = {"PATH": os.environ["PATH"], "TOCSIN_SECRETS": str(folder), "TELEGRAM_BOT_TOKEN": "1:x", **shell}
    subprocess.run(
        ["sh", str(ROOT / "envs" / "secrets.sh")], env=environ, check=True, capture_output=True, timeout=READY_SECONDS
    )


def environments(**shell: str) -> dict[str, dict[str, str]]:
    """Each service's environment, its env files in it.

    A path that the container has by a mount or a secret is the file's on this host; a secret that the service is not
    given stays a path of nothing.
    """
    done = config(shell=shell)
    assert done.returncode == 0, done.stderr
    resolved = yaml.safe_load(done.stdout)
    files = {name: secret["file"] for name, secret in resolved["secrets"].items()}
    return {name: _environment(service, files) for name, service in resolved["services"].items()}


def _environment(service: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, str]:
    mounted = {f"/run/secrets/{given['source']}": files[given["source"]] for given in service.get("secrets", ())}
    mounted |= {volume["target"]: volume["source"] for volume in service.get("volumes", ())}
    environ: Mapping[str, str | None] = service.get("environment") or {}
    texts = {name: str(value or "") for name, value in environ.items()}
    return {name: mounted.get(text, text) for name, text in texts.items()}
