"""Logs of a real process: no secret in any line, whoever writes it."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.eventually import READY_SECONDS
from tests.unit.tocsin.chatter import NEEDLES
from tocsin.secrecy import hide

ROOT = Path(__file__).parents[3]


@cache
def chatter(style: str, level: str = "info", encoding: str = "utf-8") -> subprocess.CompletedProcess[str]:
    """Everything a process printed that logs in every way there is."""
    command = [sys.executable, "-m", "tests.unit.tocsin.chatter", style, level]
    environ = {"PYTHONIOENCODING": encoding, "PATH": os.defpath}
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=READY_SECONDS,
        check=False,
    )


def lines(level: str = "info", encoding: str = "utf-8") -> list[dict[str, Any]]:
    return [json.loads(line) for line in chatter("auto", level, encoding).stdout.splitlines()]


def line(event: str) -> dict[str, Any]:
    return next(one for one in lines() if one["event"].startswith(event))


@pytest.mark.parametrize("style", ["auto", "json", "console"])
@pytest.mark.parametrize("needle", NEEDLES)
def test_no_secret_reaches_a_line(style: str, needle: str) -> None:
    said = chatter(style)
    assert needle not in said.stdout
    assert needle not in said.stderr
    assert "[hidden]" in said.stdout


def test_lines_are_json_where_there_is_no_terminal() -> None:
    for one in lines():
        assert {"event", "level", "timestamp", "service"} <= set(one)
        assert one["service"] == "shop"


def test_lines_are_for_people_on_request() -> None:
    said = chatter("console").stdout
    assert "[info     ] unharmed" in said
    assert "Ñandú 🦜" in said


def test_what_is_no_secret_stays_as_it_is() -> None:
    one = line("unharmed")
    found = {name: one[name] for name in ("text", "number", "flag", "nothing", "items", "at")}
    assert found == {
        "text": "Ñandú 🦜",
        "number": 7,
        "flag": True,
        "nothing": None,
        "items": [1, "a"],
        "at": "https://h:8080/a@b",
    }


@pytest.mark.parametrize("event", ["caught", "given", "uncaught", "forgotten"])
def test_a_traceback_is_kept_and_cleaned(event: str) -> None:
    trace = line(event)["exception"]
    assert "[hidden]" in trace
    assert event == "forgotten" or "Traceback" in trace


def test_every_error_of_the_process_is_logged() -> None:
    told = [one["exception"].splitlines()[-1] for one in lines() if one["event"] == "uncaught"]
    assert told == ["RuntimeError: [hidden]", "RuntimeError: the end of [hidden]"]
    assert chatter("auto").returncode == 1


def test_warnings_are_logged() -> None:
    assert [one["level"] for one in lines() if "UserWarning: warned of [hidden]" in one["event"]] == ["warning"]


def test_a_longer_secret_is_hidden_whole() -> None:
    assert line("plain")["longer"] == "[hidden]"


def test_a_line_with_half_an_emoji_is_not_lost() -> None:
    assert line("surrogate")["text"] == "ok"


def test_a_line_that_cannot_be_made_is_told_of_without_its_arguments() -> None:
    assert chatter("auto").stderr == "a log line of lib was lost (TypeError)\n"


def test_the_info_lines_of_httpx_are_not_written() -> None:
    assert [one["event"] for one in lines() if "getMe" in one["event"]] == [
        "https://api.telegram.org/bot1234567:[hidden]/getMe"
    ]


def test_a_noisy_library_does_not_speak_below_the_level() -> None:
    said = lines("error")
    assert {one["level"] for one in said} == {"error", "critical"}


def test_topics_that_are_still_being_made_are_no_error_of_ours() -> None:
    said = [one["event"] for one in lines()]
    assert "aiokafka speaks" in said
    assert not [one for one in said if "not found in cluster metadata" in one]


def test_a_library_that_repeats_itself_is_held_back() -> None:
    assert [one["event"] for one in lines()].count("aiokafka speaks") == 1


def test_an_odd_locale_costs_nothing() -> None:
    assert len(lines(encoding="ascii")) == len(lines())
    assert lines(encoding="ascii")[-2]["text"] == "Ñandú 🦜"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://u:p@h", "redis://u:[hidden]@h"),
        ("postgresql+asyncpg://u:p@h/x?y=z", "postgresql+asyncpg://u:[hidden]@h/x?y=z"),
        ("redis://:p@h", "redis://:[hidden]@h"),
        ("redis://u:p@ss@h", "redis://u:[hidden]@h"),
        ("http://h:9001/a@b", "http://h:9001/a@b"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("job 12345:abc at 10:30:00", "job 12345:abc at 10:30:00"),
        ("Bearer x", "Bearer x"),
        ("", ""),
    ],
)
def test_only_passwords_are_taken_out_of_urls(text: str, shown: str) -> None:
    assert hide(text) == shown
