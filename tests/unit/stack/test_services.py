"""What the services are told."""

import socket
from pathlib import Path

from tests.ports import free_port
from tocsin.stack.ports import Ports
from tocsin.stack.services import moved_ports, service_settings, services


def settings_for(tmp_path: Path, environ: dict[str, str], *, demo: bool, port: int | None = None) -> dict[str, str]:
    return service_settings(environ, Ports(tmp_path), tmp_path, demo=demo, port=port)


def test_the_demo_speaks_to_the_sandbox(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, {}, demo=True)
    assert settings["TELEGRAM_API_URL"] == f"http://127.0.0.1:{settings['SANDBOX_PORT']}"
    assert (settings["TELEGRAM_ALERT_CHATS"], settings["TELEGRAM_ADMINS"]) == ("1001", "1001")


def test_without_the_demo_telegram_is_the_users_business(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, {}, demo=False)
    assert not [name for name in settings if name.startswith(("TELEGRAM_", "SANDBOX_", "PUBLIC_"))]


def test_secrets_of_the_environment_win(tmp_path: Path) -> None:
    assert "TOCSIN_SERVICE_TOKEN" not in settings_for(tmp_path, {"TOCSIN_SERVICE_TOKEN_FILE": "/x"}, demo=False)
    assert len(settings_for(tmp_path, {}, demo=False)["TOCSIN_SERVICE_TOKEN"]) > 40


def test_what_runs_here_is_open_to_this_machine_until_somebody_sets_a_secret(tmp_path: Path) -> None:
    assert "SESSION_SECRET" not in settings_for(tmp_path, {}, demo=False)


def test_the_port_of_the_command_line_wins_over_the_environment(tmp_path: Path) -> None:
    port = free_port()
    settings = settings_for(tmp_path, {"LOGSVC_PORT": str(free_port())}, demo=False, port=port)
    assert settings["LOGSVC_PORT"] == str(port)


def test_a_port_that_moved_is_told_as_long_as_it_stays_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        taken = somebody.getsockname()[1]
        environ = {"BRIDGE_PORT": "0", "BOT_PORT": str(free_port()), "SANDBOX_PORT": "0"}
        first = settings_for(tmp_path, environ, demo=True, port=taken)
    again = settings_for(tmp_path, environ, demo=True, port=taken)
    assert again["LOGSVC_PORT"] == first["LOGSVC_PORT"] != str(taken)
    for settings in (first, again):
        [told] = moved_ports(environ, settings, demo=True, port=taken)
        assert told.startswith(f"LOGSVC_PORT: {settings['LOGSVC_PORT']} instead of {taken},")


def test_only_logsvc_gets_the_temporary_directory_of_its_store(tmp_path: Path) -> None:
    environ = settings_for(tmp_path, {}, demo=True) | {"CHDB_TMPDIR": "/chdb", "TMPDIR": "/mine"}
    given = {service.name: service.environ["TMPDIR"] for service in services(environ, tmp_path, demo=True)}
    assert given == {"sandbox": "/mine", "logsvc": "/chdb", "bridge": "/mine", "bot": "/mine", "workload": "/mine"}


def test_the_bridge_may_act_in_the_demo_and_nowhere_else(tmp_path: Path) -> None:
    ports = {"LOGSVC_PORT": "1", "BRIDGE_PORT": "2", "BOT_PORT": "3", "SANDBOX_PORT": "4"}
    environ = {**ports, "REDIS_URL": "redis://127.0.0.1:5/0"}

    def acting(*, demo: bool) -> list[str]:
        found = services(environ, tmp_path, demo=demo)
        return [one.name for one in found if "REDIS_ACTIONS_URL" in one.environ]

    assert acting(demo=True) == ["bridge"]
    assert acting(demo=False) == []
