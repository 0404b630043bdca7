"""Which processes `tocsin up` runs, on which ports, and with which settings."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tocsin.stack.data import kept_secrets, sandbox_bot_token, token_file
from tocsin.stack.ports import Ports, is_port
from tocsin.stack.supervise import Service

_PORTS = {"LOGSVC_PORT": 9001, "BRIDGE_PORT": 9101, "BOT_PORT": 9102}
_SANDBOX_PORT = 9081
_DEMO_CHAT = "1001"
_DEMO_ADMIN = "1001"

STOP_ORDER: Sequence[Sequence[str]] = (("workload",), ("bridge", "bot", "logsvc"), ("sandbox",))
"""What ends first: the source of events, then who handles them, then the chat they speak to."""


def port_problems(environ: Mapping[str, str]) -> list[str]:
    """What is wrong with the ports that are set, one line each. service_settings relies on there being nothing."""
    given = {name: text for name in (*_PORTS, "SANDBOX_PORT") if (text := environ.get(name))}
    return [
        f"{name}: expected a port, 0 to 65535 (0: any free one)" for name, text in given.items() if not is_port(text)
    ]


def service_settings(
    environ: Mapping[str, str], ports: Ports, data: Path, *, demo: bool, port: int | None
) -> dict[str, str]:
    """Ports, secrets and, for the demo, the sandbox in Telegram's place. What environ sets itself wins, ports aside:
    those move when taken.
    """
    settings = {**kept_secrets(data), "LOG_FORMAT": "json"}
    settings = {name: value for name, value in settings.items() if not _is_set(name, environ)}
    asked = _asked_ports(environ, demo=demo, port=port)
    settings |= {name: str(ports.take(name, number)) for name, number in asked.items()}
    if demo:
        settings |= {
            "TELEGRAM_BOT_TOKEN": sandbox_bot_token(data),
            "TELEGRAM_API_URL": f"http://127.0.0.1:{settings['SANDBOX_PORT']}",
            "TELEGRAM_ALERT_CHATS": _DEMO_CHAT,
            "TELEGRAM_ADMINS": _DEMO_ADMIN,
        }
        if not _is_set("PUBLIC_URL", environ):
            settings["PUBLIC_URL"] = f"http://127.0.0.1:{settings['LOGSVC_PORT']}"
    return settings


def moved_ports(environ: Mapping[str, str], settings: Mapping[str, str], *, demo: bool, port: int | None) -> list[str]:
    """What people must know of ports that are not the ones asked for, one line each."""
    return [
        f"{name}: {settings[name]} instead of {number}, which is taken, or was when {settings[name]} was chosen"
        for name, number in _asked_ports(environ, demo=demo, port=port).items()
        if number and settings[name] != str(number)
    ]


def _asked_ports(environ: Mapping[str, str], *, demo: bool, port: int | None) -> dict[str, int]:
    """port: of the live page, on the command line."""
    defaults = {**_PORTS, "SANDBOX_PORT": _SANDBOX_PORT} if demo else _PORTS
    asked = {name: int(environ.get(name) or default) for name, default in defaults.items()}
    return asked if port is None else {**asked, "LOGSVC_PORT": port}


def services(environ: Mapping[str, str], data: Path, *, demo: bool) -> list[Service]:
    """The processes, in the order they start. environ is complete: the user's, the stack's and service_settings.

    TMPDIR of the embedded ClickHouse goes to logsvc alone, whose process holds it. In the demo bridge may act on the
    sample jobs: what is retried there is nobody's.
    """
    plain = {name: value for name, value in environ.items() if name != "CHDB_TMPDIR"}
    store = {**plain, "TMPDIR": environ["CHDB_TMPDIR"]} if "CHDB_TMPDIR" in environ else plain
    acting = {**plain, "REDIS_ACTIONS_URL": plain["REDIS_URL"]} if demo and "REDIS_URL" in plain else plain
    run: list[Service] = [
        Service("logsvc", _module("logsvc"), store, int(environ["LOGSVC_PORT"])),
        Service("bridge", _module("bridge"), acting, int(environ["BRIDGE_PORT"])),
        Service("bot", _module("bot"), plain, int(environ["BOT_PORT"])),
    ]
    if demo:
        port = environ["SANDBOX_PORT"]
        token = ["--token-file", str(token_file(data))]
        sandbox = _module("tocsin.sandbox", "--port", port, "--data", str(data / "sandbox"), *token)
        run.insert(0, Service("sandbox", sandbox, plain, int(port)))
        run.append(Service("workload", _module("tocsin.stack.workload"), plain))
    return run


def _module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", name, *arguments]


def _is_set(name: str, environ: Mapping[str, str]) -> bool:
    return bool(environ.get(name) or environ.get(f"{name}_FILE"))
