"""`tocsin tail` without a network: what it is asked, how a line looks, and how it refuses."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tocsin.cli import main
from tocsin.tail.lines import line_of, notice
from tocsin.tail.options import BadOption, Options, read_options

NOW = datetime(2026, 11, 22, 6, 15, tzinfo=UTC)


def options(*arguments: str, is_terminal: bool = True, **environ: str) -> Options:
    return read_options(arguments, environ, is_terminal=is_terminal, now=NOW)


def test_filters_are_the_apis_own_names() -> None:
    asked = options("--queue", "a", "--queue", "b,c", "--job-id", "7", "-q", "time out", "--level", "error")
    assert asked.filters == {"queue": ["a", "b,c"], "job_id": ["7"], "q": ["time out"], "level": ["error"]}


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("90s", "2026-11-22T06:13:30+00:00"),
        ("1d", "2026-11-21T06:15:00+00:00"),
        ("2026-11-22T05:00:00Z", "2026-11-22T05:00:00+00:00"),
    ],
)
def test_since_is_an_age_or_a_time(text: str, since: str) -> None:
    assert (options("--since", text).since or NOW).isoformat() == since


@pytest.mark.parametrize("arguments", [["--since", "soon"], ["--since", "999999999d"], ["--url", "localhost:9001"]])
def test_what_cannot_be_understood_is_refused(arguments: list[str]) -> None:
    with pytest.raises(BadOption):
        options(*arguments)


def test_colours_are_for_terminals_whose_owner_wants_them() -> None:
    assert options().is_coloured
    assert not options(is_terminal=False).is_coloured
    assert not options("--json").is_coloured
    assert not options(NO_COLOR="1").is_coloured


def test_the_token_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")
    assert options(TOCSIN_TOKEN="t").headers == {"Authorization": "Bearer t"}
    assert options(TOCSIN_TOKEN_FILE=str(file)).headers == {"Authorization": "Bearer from-file"}
    assert options().headers == {}
    with pytest.raises(BadOption):
        options(TOCSIN_TOKEN_FILE=str(tmp_path / "none"))


def row(**fields: Any) -> dict[str, Any]:
    known = {"id": "1", "ts": "2026-11-22T06:15:12.123Z", "kind": "event", "level": "error", "env": "prod"}
    return {**known, "source": "main", "queue": "orders", **fields}


def test_a_line_says_when_where_and_what() -> None:
    failed = row(job_id="17", job_name="charge", event="failed", state="failed", attempt=3, max_attempts=3, error="no")
    expected = "06:15:12.123 error prod/main/orders #17 charge failed (3/3): no"
    assert line_of(failed, UTC, is_coloured=False) == expected
    own = row(kind="log", level="info", env="", source="", queue="", service="bridge", message="drained")
    assert line_of(own, UTC, is_coloured=False) == "06:15:12.123 info  bridge drained"
    assert "\x1b[31m" in line_of(failed, UTC, is_coloured=True)


def test_what_a_job_wrote_cannot_steer_the_terminal() -> None:
    hostile = row(job_id="\x1b]0;x\x07", job_name="\u202e", kind="log", message="one\ntwo\r\x1b[2J\x9b", queue="\x08")
    shown = line_of(hostile, UTC, is_coloured=False) + notice("\x1b[2J", is_coloured=False)
    assert shown.isprintable()
    assert "one\\ntwo\\r\\x1b[2J" in shown


def test_it_says_that_logsvc_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert main(["tail", "--url", url]) == 1
    said = capsys.readouterr().err
    assert f"logsvc does not answer at {url}" in said
    assert "Is it running?" in said
    assert main(["tail", "--since", "soon"]) == 2
