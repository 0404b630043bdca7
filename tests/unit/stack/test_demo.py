"""The demo takes nothing from the shell that leads to somebody's servers or people."""

from bot.settings import BotSettings
from bridge.settings import BridgeSettings
from logsvc.settings import LogsvcSettings
from tocsin.settings import Settings, names
from tocsin.stack.demo import demo_environ

MODELS: tuple[type[Settings], ...] = (BridgeSettings, LogsvcSettings, BotSettings)
TUNING = ("BREAKER_", "BRIDGE_", "LOGSVC_", "BOT_")
HARMLESS = {
    *("LOG_LEVEL", "LOG_FORMAT", "LOG_TO_KAFKA", "DRAIN_SECONDS", "TOCSIN_SERVICE_TOKEN", "WEBSOCKET_PORT"),
}


def test_of_a_shell_set_up_for_production_only_harmless_settings_are_kept() -> None:
    every = {name for model in MODELS for name in (*names(model), *model.not_yet)}
    kept, left_out = demo_environ(dict.fromkeys(every, "x"))
    assert {name for name in kept if not name.startswith(TUNING)} == HARMLESS
    assert not {"BRIDGE_SITE", "BRIDGE_URL", "LOGSVC_URL", "BOT_URL"} & set(kept)
    assert set(left_out) == every - set(kept)


def test_another_spelling_and_a_secret_in_a_file_are_left_out_too() -> None:
    environ = {"redis_url": "redis://h", "DATABASE_URL_FILE": "/run/x", "HEARTBEAT_URL_FILE": "/run/y", "PATH": "/bin"}
    kept, left_out = demo_environ(environ)
    assert kept == {"PATH": "/bin"}
    assert left_out == ["DATABASE_URL_FILE", "HEARTBEAT_URL_FILE", "redis_url"]


def test_what_is_set_to_nothing_is_not_told() -> None:
    assert demo_environ({"REDIS_URL": ""}) == ({}, [])
