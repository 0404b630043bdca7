"""Settings of the bridge: every problem at once, sources in three ways, never a value."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from bridge.settings import BridgeSettings, Source, read_sources
from bridge.topology import Credentials, Topology
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
    assert settings.sources[1].url == SecretStr("rediss://h2/1")


def test_queues_without_a_glob_are_a_list() -> None:
    def listed(**more: object) -> frozenset[str] | None:
        return Source.model_validate({"url": "redis://h/0", **more}).listed

    assert listed() is None
    assert listed(include=["mail", "pay-*"]) is None
    assert listed(include=["mail", "pay-1", "a:b"], exclude=["pay-*"]) == {"mail"}


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


def test_every_topology_can_be_told(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{SECRET}\n")
    (tmp_path / "ca.pem").write_text("a certificate\n")
    file = tmp_path / "sources.toml"
    file.write_text(f"""
        [[source]]
        name = "watched"
        mode = "sentinel"
        nodes = ["s1:26379", "[::1]:26380"]
        master = "mymaster"
        db = 2
        [source.credentials]
        username = "tocsin"
        password_file = "{tmp_path}/password"
        sentinel_password = "for-{SECRET}"

        [[source]]
        name = "sharded"
        mode = "cluster"
        nodes = ["n1:7000"]
        read_from = "replica"
        [source.tls]
        ca_file = "{tmp_path}/ca.pem"

        [[source]]
        name = "copied"
        url = "redis://primary"
        nodes = ["replica:6379"]
        read_from = "replica"
    """)
    settings = read(BridgeSettings, {**KAFKA, "TOCSIN_SOURCES_FILE": str(file)})

    watched, sharded, copied = settings.sources
    assert watched.nodes == (("s1", 26379), ("::1", 26380))
    assert [str(node) for node in watched.nodes] == ["s1:26379", "[::1]:26380"]
    assert (watched.master, watched.db) == ("mymaster", 2)
    assert watched.credentials is not None
    assert watched.credentials.password == SecretStr(SECRET)
    assert {SECRET, f"for-{SECRET}"} <= set(secrets_of(settings))
    assert sharded.tls is not None
    assert sharded.tls.check_hostname
    assert (sharded.read_from, copied.read_from) == ("replica", "replica")
    assert SECRET not in repr(settings)


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
        ('[[source]]\nmode="ring"\nurl="redis://h"', "source 1: mode"),
        ('[[source]]\nmode="cluster"', "source 1: nodes: required with mode cluster"),
        ('[[source]]\nmode="cluster"\nurl="redis://h"\nnodes=["h:1"]', "url: of no effect with mode cluster"),
        ('[[source]]\nmode="cluster"\nnodes=["h:1"]\ndb=2', "db: a cluster has only database 0"),
        (f'[[source]]\nmode="cluster"\nnodes=["{SECRET}"]', "source 1: nodes.0: expected host:port"),
        ('[[source]]\nmode="sentinel"\nnodes=["h:1"]', "source 1: master: required with mode sentinel"),
        ('[[source]]\nurl="redis://h"\nmaster="m"', "master: of no effect with mode standalone"),
        ('[[source]]\nurl="redis://h"\nnodes=["h:1"]', "nodes: of no effect with mode standalone, unless"),
        ('[[source]]\nurl="redis://h"\nread_from="replica"', "nodes: required to read from a replica"),
        ('[[source]]\nurl="redis://h"\n[source.tls]', "tls: of no effect unless the url begins with rediss://"),
        ('[[source]]\nurl="rediss://h"\ntls={ca_file="/no/such"}', "source 1: tls.ca_file"),
        ('[[source]]\nurl="rediss://h"\ntls={key_file="/dev/null"}', "source 1: tls"),
        ('[[source]]\nurl="rediss://h"\ntls={verify=false}', "source 1: tls.verify"),
        (
            f'[[source]]\nurl="rediss://u:{SECRET}@h?ssl_cert_reqs=none"',
            "source 1: url: a certificate is always checked",
        ),
        (
            f'[[source]]\nurl="redis://u:{SECRET}@h"\ncredentials={{password="{SECRET}"}}',
            "credentials: the url holds some too",
        ),
        (
            f'[[source]]\nurl="redis://h"\ncredentials={{password="{SECRET}", password_file="/x"}}',
            "credentials: password and password_file: keep one",
        ),
        ('[[source]]\nurl="redis://h"\ncredentials={password_file="/x"}', "password_file: the file cannot be read"),
        ('[[source]]\nurl="redis://h"\ncredentials={username="u"}', "password: required with username"),
        (f'[[source]]\nurl="redis://h"\ncredentials={{sentinel_password="{SECRET}"}}', "without mode sentinel"),
        ('[[source]]\nurl="http://h"\n[[source]]\nmode="ring"', "source 2: mode"),
        ('[[source]]\nurl="redis://h"\n[[source]]\nurl="redis://h"', "two sources have the same name"),
        ('[[source]]\nurl="redis://h"\nname="proxy"', "proxy is a service of Tocsin's own: choose another name"),
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

    assert settings.sources[0].url == SecretStr(f"redis://:{SECRET}@h/0")


TOKEN = {"TOCSIN_SERVICE_TOKEN": "service-token-of-the-test"}


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
        (f'password="{SECRET}"', "give a url, or a username and its password"),
        ('username="a"', "password: required with username"),
        (f'url="h/{SECRET}"', "actions.url"),
        (f'password="{SECRET}"\npassword_file="/x"', "password and password_file: keep one"),
        ('username="a"\npassword_file="/nowhere"', "password_file: the file cannot be read"),
        (f'user="{SECRET}"', "actions.user"),
        (f'url="redis://a:{SECRET}@h/0"\nusername="a"\npassword="b"', "the url holds some too"),
        (f'username="a"\npassword="b"\nsentinel_password="{SECRET}"', "sentinel_… are of no effect"),
    ],
)
def test_an_actions_table_that_is_wrong_is_named(tmp_path: Path, table: str, words: str) -> None:
    file = tmp_path / "sources.toml"
    file.write_text(f'[[source]]\nname="eu"\nurl="redis://h/0"\n[source.actions]\n{table}\n')
    (problem,) = problems({**KAFKA, **TOKEN, "TOCSIN_SOURCES_FILE": str(file)})
    assert problem.startswith("TOCSIN_SOURCES_FILE: source 1: actions")
    assert words in problem


READING = f'credentials = {{ username = "reading", password = "{SECRET}", sentinel_password = "at-sentinels" }}'
SENTINELS = f'mode = "sentinel"\nnodes = ["s:26379"]\nmaster = "mymaster"\ndb = 3\n{READING}\ntls = {{}}'
ACTING = 'actions = { username = "acting", password = "act" }'


def acting_of(folder: Path, source: str, actions: str = ACTING) -> Topology:
    """Where the one source of a file is written to."""
    file = folder / "sources.toml"
    file.write_text(f"[[source]]\n{source}\n{actions}\n")
    (source_,) = read_sources(file)
    assert source_.acting is not None
    return source_.acting


def test_actions_by_sentinels_reach_the_primary_as_the_source_does_but_as_their_own_user(tmp_path: Path) -> None:
    acting = acting_of(tmp_path, f'{SENTINELS}\nread_from = "replica"')
    assert (acting.mode, acting.nodes, acting.master, acting.db) == ("sentinel", (("s", 26379),), "mymaster", 3)
    assert acting.read_from == "primary"
    assert acting.tls is not None
    assert acting.credentials == Credentials(
        username="acting",
        password=SecretStr("act"),
        sentinel_username=None,
        sentinel_password=SecretStr("at-sentinels"),
    )


def test_actions_may_have_a_login_of_their_own_at_the_sentinels(tmp_path: Path) -> None:
    own = 'actions = { username = "acting", password = "act", sentinel_username = "me", sentinel_password = "mine" }'
    login = acting_of(tmp_path, SENTINELS, own).credentials
    assert login is not None
    assert (login.sentinel_username, login.sentinel_password) == ("me", SecretStr("mine"))


def test_actions_on_a_cluster_go_to_the_same_nodes(tmp_path: Path) -> None:
    acting = acting_of(tmp_path, 'mode = "cluster"\nnodes = ["a:1", "b:2"]\nread_from = "replica"')
    assert (acting.mode, acting.nodes, acting.read_from) == ("cluster", (("a", 1), ("b", 2)), "primary")


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        (f"redis://reading:{SECRET}@h:1/2", "redis://h:1/2"),
        (f"rediss://:{SECRET}@h:1/2?ssl_ca_certs=/ca.pem", "rediss://h:1/2?ssl_ca_certs=%2Fca.pem"),
        (f"unix:///run/redis?db=2&password={SECRET}", "unix:///run/redis?db=2"),
    ],
)
def test_actions_leave_the_reading_login_of_the_url(tmp_path: Path, url: str, bare: str) -> None:
    acting = acting_of(tmp_path, f'url = "{url}"')
    assert acting.url == SecretStr(bare)
    assert acting.credentials is not None
    assert acting.credentials.username == "acting"


def test_actions_where_a_replica_is_read_go_to_the_url(tmp_path: Path) -> None:
    source = (
        'url = "rediss://primary/0"\nnodes = ["replica:1"]\nread_from = "replica"\ntls = { check_hostname = false }'
    )
    acting = acting_of(tmp_path, source)
    assert (acting.nodes, acting.read_from, acting.url) == ((), "primary", SecretStr("rediss://primary/0"))
    assert acting.tls is not None
    assert acting_of(tmp_path, source, 'actions = { url = "redis://primary:1/0" }').tls is None


@pytest.mark.parametrize("source", [SENTINELS, 'mode = "cluster"\nnodes = ["a:1"]'])
def test_a_url_for_actions_is_refused_where_the_source_has_none(tmp_path: Path, source: str) -> None:
    with pytest.raises(ValueError, match=r"source 1: actions\.url: of no effect with mode"):
        acting_of(tmp_path, source, f'actions = {{ url = "redis://a:{SECRET}@h/0" }}')


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
