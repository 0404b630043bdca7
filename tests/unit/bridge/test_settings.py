"""Settings of the bridge: every problem at once, sources in three ways, never a value."""

from pathlib import Path

import pytest

from bridge.settings import BridgeSettings
from tocsin.settings import SettingsError, read, secrets_of

KAFKA = {"KAFKA_BOOTSTRAP_SERVERS": "k:9092"}
SECRET = "canary-5e1f"


def problems(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(BridgeSettings, environ)
    assert SECRET not in str(caught.value)
    return caught.value.problems


def test_one_redis_is_the_source_main() -> None:
    settings = read(BridgeSettings, {**KAFKA, "REDIS_URL": f"redis://:{SECRET}@h:6379/0"})

    assert [(s.name, s.env, s.prefix) for s in settings.sources] == [("main", "prod", "bull")]
    assert SECRET not in repr(settings)
    assert SECRET in secrets_of(settings)


def test_short_form_names_several() -> None:
    settings = read(BridgeSettings, {**KAFKA, "REDIS_SOURCES": f"eu=redis://a:{SECRET}@h/0, us=rediss://h2/1"})

    assert [source.name for source in settings.sources] == ["eu", "us"]
    assert settings.sources[1].url.get_secret_value() == "rediss://h2/1"


def test_file_tells_them_in_full(tmp_path: Path) -> None:
    file = tmp_path / "sources.toml"
    file.write_text(
        f'[[source]]\nname="eu"\nenv="staging"\nurl="redis://:{SECRET}@h/0"\nprefix="app:q"\n'
        'include=["pay-*"]\nexclude=["*-test"]\nmode="standalone"\n[[source]]\nname="us"\nurl="redis://h2/0"\n'
    )
    settings = read(BridgeSettings, {**KAFKA, "TOCSIN_SOURCES_FILE": str(file)})

    first = settings.sources[0]
    assert (first.name, first.env, first.prefix, first.include, first.exclude) == (
        "eu",
        "staging",
        "app:q",
        ("pay-*",),
        ("*-test",),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no [[source]] table"),
        ("[[source", "cannot be read"),
        ('[source]\nname="a"\nurl="redis://h"', "[[source]], in two brackets"),
        ('source = "redis://h"', "[[source]], in two brackets"),
        ("source = [1]", "[[source]], in two brackets"),
        ('[[source]]\nname="a"', "source 1: url"),
        (f'[[source]]\nurl="http://u:{SECRET}@h"', "source 1: url"),
        ('[[source]]\nurl="redis://h"\nnmae="a"', "source 1: nmae"),
        ('[[source]]\nurl="redis://h"\nname="a:b"', "source 1: name"),
        ('[[source]]\nurl="redis://h"\nmode="cluster"', "source 1: `mode` is not available"),
        ('[[source]]\nurl="redis://h"\n[[source]]\nurl="redis://h"', "two sources have the same name"),
    ],
)
def test_mistake_in_the_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "sources.toml"
    file.write_text(text)

    assert words in "\n".join(problems({**KAFKA, "TOCSIN_SOURCES_FILE": str(file)}))


def test_absent_file_is_named() -> None:
    assert "cannot be read" in "\n".join(problems({**KAFKA, "TOCSIN_SOURCES_FILE": "/no/such/file"}))


@pytest.mark.parametrize(
    "given",
    [{}, {"REDIS_URL": "redis://h", "REDIS_SOURCES": "a=redis://h"}],
    ids=["none", "two"],
)
def test_exactly_one_way_names_the_sources(given: dict[str, str]) -> None:
    assert "exactly one of REDIS_URL, REDIS_SOURCES, TOCSIN_SOURCES_FILE" in "\n".join(problems({**KAFKA, **given}))


def test_all_problems_are_told_at_once() -> None:
    found = "\n".join(
        problems(
            {
                "REDIS_URL": f"http://u:{SECRET}@h",
                "BRIDGE_POLL_SECONDS": SECRET,
                "BRIDGE_SESSION_SECONDS": "1",
                "BRIDGE_SITE": "a b",
                "BRIDGE_COMIT_MS": "5",
                "KAFKA_PARTITIONS": "0",
            }
        )
    )

    for name in (
        "KAFKA_BOOTSTRAP_SERVERS: required",
        "REDIS_URL",
        "BRIDGE_POLL_SECONDS: expected a number",
        "BRIDGE_SESSION_SECONDS",
        "BRIDGE_SITE",
        "BRIDGE_COMIT_MS: unknown setting (typo?)",
        "KAFKA_PARTITIONS",
    ):
        assert name in found


def test_missing_source_hides_no_other_problem() -> None:
    found = "\n".join(problems({"BRIDGE_POLL_SECONDS": "x"}))

    assert "BRIDGE_POLL_SECONDS" in found
    assert "KAFKA_BOOTSTRAP_SERVERS" in found
    assert "REDIS_URL" in found


def test_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "redis"
    file.write_text(f"redis://:{SECRET}@h/0\n")
    settings = read(BridgeSettings, {**KAFKA, "REDIS_URL_FILE": str(file)})

    assert settings.sources[0].url.get_secret_value() == f"redis://:{SECRET}@h/0"


TOKEN = {"TOCSIN_SERVICE_TOKEN": "service-token"}


def test_actions_of_the_one_redis_have_a_url_of_their_own() -> None:
    environ = {**KAFKA, **TOKEN, "REDIS_URL": "redis://h/0", "REDIS_ACTIONS_URL": f"redis://a:{SECRET}@h/0"}
    settings = read(BridgeSettings, environ)

    (source,) = settings.sources
    assert source.actions is not None
    assert source.actions.url is not None
    assert source.actions.url.get_secret_value() == environ["REDIS_ACTIONS_URL"]
    assert SECRET not in repr(settings)
    assert SECRET in secrets_of(settings)


def test_actions_of_a_source_in_the_file_may_only_name_another_login(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    file = tmp_path / "sources.toml"
    file.write_text(
        '[[source]]\nname="eu"\nurl="redis://h/0"\n[source.actions]\nusername="acting"\n'
        f'password_file="{tmp_path / "secret"}"\n[[source]]\nname="us"\nurl="redis://h2/0"\n'
    )
    eu, us = read(BridgeSettings, {**KAFKA, **TOKEN, "TOCSIN_SOURCES_FILE": str(file)}).sources
    assert eu.actions is not None
    assert (eu.actions.url, eu.actions.username) == (None, "acting")
    assert eu.actions.password is not None
    assert eu.actions.password.get_secret_value() == SECRET
    assert us.actions is None


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("", "give a url, or a username and its password"),
        ('username="a"', "give a url, or a username and its password"),
        (f'url="h/{SECRET}"', "actions.url"),
        (f'password="{SECRET}"\npassword_file="/x"', "give one of them"),
        ('username="a"\npassword_file="/nowhere"', "password_file cannot be read"),
        (f'user="{SECRET}"', "actions.user"),
    ],
)
def test_an_actions_table_that_is_wrong_is_named(tmp_path: Path, table: str, words: str) -> None:
    file = tmp_path / "sources.toml"
    file.write_text(f'[[source]]\nname="eu"\nurl="redis://h/0"\n[source.actions]\n{table}\n')
    (problem,) = problems({**KAFKA, **TOKEN, "TOCSIN_SOURCES_FILE": str(file)})
    assert problem.startswith("TOCSIN_SOURCES_FILE: source 1: actions")
    assert words in problem


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"REDIS_URL": "redis://h", "REDIS_ACTIONS_URL": f"redis://:{SECRET}@h"}, "TOCSIN_SERVICE_TOKEN"),
        ({**TOKEN, "REDIS_SOURCES": "a=redis://h", "REDIS_ACTIONS_URL": "redis://h"}, "goes with REDIS_URL"),
        ({"REDIS_URL": "redis://h", "BRIDGE_ACTION_POLICY": "mail: no rety"}, "BRIDGE_ACTION_POLICY: `mail: no rety`"),
    ],
)
def test_actions_that_are_unsafe_or_misspelt_are_refused(environ: dict[str, str], words: str) -> None:
    (problem,) = problems({**KAFKA, **environ})
    assert words in problem
