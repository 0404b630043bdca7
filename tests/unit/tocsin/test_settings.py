"""Settings: every problem in one message, by name, and never a value."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import BaseModel, BeforeValidator, Field, SecretStr, field_validator, model_validator

from bot.settings import BotSettings
from bridge.settings import BridgeSettings
from logsvc.settings import LogsvcSettings
from tocsin.settings import HOLDS_SECRETS, Settings, SettingsError, load, names, read, secrets_of

KAFKA = {"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092"}


class Place(BaseModel):
    url: SecretStr


def _places(value: object) -> object:
    return tuple({"url": url} for url in value.split(",")) if isinstance(value, str) else value


class ShopSettings(Settings):
    """A service of its own, with each kind of setting."""

    service: ClassVar[str] = "shop"
    owned_prefixes: ClassVar[tuple[str, ...]] = (*Settings.owned_prefixes, "SHOP_")
    not_yet: ClassVar[Mapping[str, str]] = {"SHOP_GATE": "Leave it open."}

    shop_secret: SecretStr = Field(min_length=8, description="Required.")
    shop_spare: SecretStr | None = Field(None, description="Optional.")
    shop_rows: int = Field(10, ge=1, le=100, description="A number.")
    shop_ratio: float = Field(0.5, description="A fraction.")
    shop_open: bool = Field(False, description="A flag.")
    shop_places: Annotated[tuple[Place, ...], BeforeValidator(_places)] = Field(
        (), description="Several.", json_schema_extra=HOLDS_SECRETS
    )

    @field_validator("shop_ratio")
    @classmethod
    def _is_fraction(cls, ratio: float) -> float:
        if ratio > 1:
            raise ValueError("expected a fraction")
        return ratio


class FussySettings(ShopSettings):
    """One that looks at everything together first: pydantic then looks at no single field."""

    service: ClassVar[str] = "fussy"

    @model_validator(mode="before")
    @classmethod
    def _one_of_two(cls, values: Any) -> Any:
        if len({"shop_spare", "shop_rows"} & set(values)) != 1:
            raise ValueError("set exactly one of SHOP_SPARE, SHOP_ROWS")
        return values


def problems(environ: dict[str, str], model: type[Settings] = ShopSettings) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(model, environ)
    return caught.value.problems


def shop(**given: str) -> ShopSettings:
    return read(ShopSettings, KAFKA | {"SHOP_SECRET": "hunter2hunter2"} | given)


def test_all_problems_are_told_at_once_by_name() -> None:
    assert problems(
        {
            "SHOP_ROWS": "many",
            "SHOP_RATIO": "7",
            "SHOP_OPEN": "perhaps",
            "SHOP_ROW": "1",
            "SHOP_GATE": "shut",
            "KAFKA_PARTITION": "8",
            "KAFKA_PARTITIONS": "0",
            "KAFKA_SECURITY_PROTOCOL": "PLAIN",
            "BREAKER_FAIL_MAX": "2.5",
            "BREAKER_RESET_SECONDS": "soon",
        }
    ) == [
        "BREAKER_FAIL_MAX: expected a whole number",
        "BREAKER_RESET_SECONDS: expected a number",
        "KAFKA_BOOTSTRAP_SERVERS: required, not set",
        "KAFKA_PARTITION: unknown setting (typo?)",
        "KAFKA_PARTITIONS: Input should be greater than or equal to 1",
        "KAFKA_SECURITY_PROTOCOL: Input should be 'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or 'SASL_SSL'",
        "SHOP_GATE: not available in this release. Leave it open.",
        "SHOP_OPEN: expected true or false",
        "SHOP_RATIO: expected a fraction",
        "SHOP_ROW: unknown setting (typo?)",
        "SHOP_ROWS: expected a whole number",
        "SHOP_SECRET: required, not set",
    ]


def test_a_check_of_all_together_does_not_hide_the_problems_of_each() -> None:
    given = {"SHOP_RATIO": "half", "SHOP_PLACES": "a,b", "KAFKA_PARTITIONS": "x", "SHOP_ODD": "1"}
    assert problems(given, FussySettings) == [
        "KAFKA_BOOTSTRAP_SERVERS: required, not set",
        "KAFKA_PARTITIONS: expected a whole number",
        "SHOP_ODD: unknown setting (typo?)",
        "SHOP_RATIO: expected a number",
        "SHOP_SECRET: required, not set",
        "settings: set exactly one of SHOP_SPARE, SHOP_ROWS",
    ]


def test_the_message_names_the_service() -> None:
    with pytest.raises(SettingsError) as caught:
        read(ShopSettings, KAFKA)
    assert str(caught.value) == "shop cannot start:\n  SHOP_SECRET: required, not set"


@pytest.mark.parametrize(
    "name",
    [
        "SHOP_SECRET",
        "SHOP_ROWS",
        "SHOP_RATIO",
        "SHOP_OPEN",
        "SHOP_GATE",
        "SHOP_TYPO",
        "KAFKA_SECURITY_PROTOCOL",
        "KAFKA_SASL_MECHANISM",
        "KAFKA_SASL_PASSWORD",
        "KAFKA_SSL_CAFILE",
        "KAFKA_TOPIC_PREFIX",
        "LOG_LEVEL",
        "PUBLIC_URL",
    ],
)
def test_no_value_is_ever_told(name: str) -> None:
    value = "s3cr=t"
    with pytest.raises(SettingsError) as caught:
        read(FussySettings if name == "SHOP_ROWS" else ShopSettings, {name: value})
    error = caught.value
    assert name in str(error)
    assert value not in f"{error}{error!r}{error.__cause__!r}"
    assert error.__cause__ is None
    assert error.__context__ is None


def test_load_prints_the_message_and_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        load(ShopSettings, KAFKA)
    assert left.value.code == 2
    assert capsys.readouterr() == ("", "shop cannot start:\n  SHOP_SECRET: required, not set\n")


@pytest.mark.parametrize("nothing", ["", " ", "\t\n"])
def test_a_variable_set_to_nothing_is_not_set(nothing: str) -> None:
    assert shop(SHOP_ROWS=nothing, SHOP_SPARE=nothing, SHOP_TYPO=nothing).shop_rows == 10
    assert problems({"KAFKA_BOOTSTRAP_SERVERS": nothing, "SHOP_SECRET": nothing}) == [
        "KAFKA_BOOTSTRAP_SERVERS: required, not set",
        "SHOP_SECRET: required, not set",
    ]


def test_the_environment_is_the_default() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAFKA_BOOTSTRAP_SERVERS", "k:1")
        patch.setenv("SHOP_SECRET", "hunter2hunter2")
        assert load(ShopSettings).kafka_bootstrap_servers == "k:1"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(shop(), "shop_rows", 3)  # noqa: B010  # pyright sees the plain assignment is an error


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("from-a-file\n")
    (tmp_path / "two").write_text("also from a file")
    found = read(
        ShopSettings,
        KAFKA | {"SHOP_SECRET_FILE": str(tmp_path / "one"), "SHOP_SPARE_FILE": str(tmp_path / "two")},
    )
    assert found.shop_secret.get_secret_value() == "from-a-file"
    assert found.shop_spare is not None
    assert found.shop_spare.get_secret_value() == "also from a file"


def test_a_secret_in_a_file_is_checked_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("short")
    [problem] = problems(KAFKA | {"SHOP_SECRET_FILE": str(tmp_path / "short")})
    assert problem.startswith("SHOP_SECRET: ")
    assert "at least 8" in problem


def test_text_that_holds_secrets_may_stand_in_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "places").write_text("redis://:first-pass@a:1,redis://u:second-pass@b:1\n")
    found = read(ShopSettings, KAFKA | {"SHOP_SECRET": "hunter2hunter2", "SHOP_PLACES_FILE": str(tmp_path / "places")})
    assert [place.url.get_secret_value() for place in found.shop_places] == [
        "redis://:first-pass@a:1",
        "redis://u:second-pass@b:1",
    ]
    assert "first-pass" not in repr(found)


def test_redis_sources_hold_passwords_and_so_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "sources").write_text("eu=redis://:first-pass@h/0, us=rediss://h2/1\n")
    found = read(BridgeSettings, KAFKA | {"REDIS_SOURCES_FILE": str(tmp_path / "sources")})
    assert [source.name for source in found.sources] == ["eu", "us"]
    assert "first-pass" in secrets_of(found)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "SHOP_SECRET_FILE: cannot be read (No such file or directory)"),
        (b"", "SHOP_SECRET_FILE: the file is empty"),
        (b" \n", "SHOP_SECRET_FILE: the file is empty"),
        (b"\xff\xfe\x00", "SHOP_SECRET_FILE: the file holds no text"),
    ],
)
def test_a_secret_file_that_is_no_use_is_one_problem(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    assert problems(KAFKA | {"SHOP_SECRET_FILE": str(path)}) == [says]


def test_a_directory_is_no_secret_file(tmp_path: Path) -> None:
    assert problems(KAFKA | {"SHOP_SECRET_FILE": str(tmp_path)}) == [
        "SHOP_SECRET_FILE: cannot be read (Is a directory)"
    ]


def test_a_secret_given_twice_is_one_problem(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("from-a-file")
    given = KAFKA | {"SHOP_SECRET": "hunter2hunter2", "SHOP_SECRET_FILE": str(tmp_path / "x")}
    assert problems(given) == ["SHOP_SECRET: set twice, here and by SHOP_SECRET_FILE; keep one"]


def test_only_secrets_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("5")
    assert problems(KAFKA | {"SHOP_SECRET": "hunter2hunter2", "SHOP_ROWS_FILE": str(tmp_path / "rows")}) == [
        "SHOP_ROWS_FILE: unknown setting (typo?)"
    ]


def test_a_file_for_what_this_release_lacks_is_refused_like_the_setting_itself() -> None:
    given = KAFKA | {"SHOP_SECRET": "hunter2hunter2", "SHOP_GATE_FILE": "gate"}
    assert problems(given) == ["SHOP_GATE_FILE: not available in this release. Leave it open."]


def test_variables_of_others_are_no_typos() -> None:
    assert shop(PATH="/bin", SHOPPING="x", REDIS_URL="redis://elsewhere").shop_rows == 10


SERVICES: tuple[type[Settings], ...] = (BridgeSettings, LogsvcSettings, BotSettings)
SLIPS = {  # name -> the services that know what was meant
    "PUBLIC_ULR": SERVICES,
    "PUBLIC_UR": SERVICES,
    "BIND_HOSTT": SERVICES,
    "LOG_LEVAL": SERVICES,
    "DRAIN_SECOND": SERVICES,
    "TOCSIN_SERVICE_TOKEN_FIEL": SERVICES,
    "SESSION_SECRE": (LogsvcSettings,),
    "TRUSTED_PROXY": (),  # two letters off: not known
    "TRUSTED_PROXIE": (LogsvcSettings,),
    "TOCSIN_SOURCE_FILE": (BridgeSettings,),
    "HEARTBEAT_URL_": (BotSettings,),
}


@pytest.mark.parametrize("name", SLIPS)
def test_a_name_one_letter_off_is_a_typo(name: str) -> None:
    said = f"{name}: unknown setting (typo?)"
    assert [model for model in SERVICES if said in problems({name: "x"}, model)] == list(SLIPS[name])


def test_what_a_shell_and_other_parts_of_tocsin_hold_is_no_typo() -> None:
    others = ("SESSION_MANAGER", "PUBLIC_KEY", "LOGNAME", "LOG_DIR", "SESSION_ID", "HOSTNAME", "SANDBOX_PORT", "PORT")
    ours = ("TOCSIN_JAVA", "TOCSIN_CACHE_DIR", "TOCSIN_TEST_KAFKA_BOOTSTRAP_SERVERS", "TOCSIN_TAG", "TOCSIN_SECRETS")
    of_services = {name for model in SERVICES for name in (*names(model), *model.not_yet)}
    for model in SERVICES:
        told = problems(dict.fromkeys((*others, *ours, *of_services), "x"), model)
        assert not [one for one in told if "typo" in one]


def test_variables_kubernetes_sets_for_a_service_of_our_name_are_no_typos() -> None:
    """A Service named `kafka`, `shop` or `bot` puts these into every pod of its namespace."""
    found = shop(
        KAFKA_SERVICE_HOST="10.0.0.7",
        KAFKA_SERVICE_PORT="9092",
        KAFKA_SERVICE_PORT_BROKER="9092",
        KAFKA_PORT="tcp://10.0.0.7:9092",
        KAFKA_PORT_9092_TCP="tcp://10.0.0.7:9092",
        KAFKA_PORT_9092_TCP_PROTO="tcp",
        KAFKA_PORT_9092_TCP_PORT="9092",
        KAFKA_PORT_9092_TCP_ADDR="10.0.0.7",
        BOT_PORT="tcp://10.0.0.8:9102",
        SHOP_PORT="tcp://10.0.0.9:80",
    )
    assert found.bot_port == 9102
    assert shop(BOT_PORT="9999").bot_port == 9999


@pytest.mark.parametrize("name", ["SHOP_PORT", "SHOP_SERVICE_PORTS", "KAFKA_PORT_TCP"])
def test_what_only_looks_like_them_is_a_typo(name: str) -> None:
    given = KAFKA | {"SHOP_SECRET": "hunter2hunter2", name: "80"}
    assert problems(given) == [f"{name}: unknown setting (typo?)"]


def test_names_may_be_written_in_lower_case() -> None:
    assert read(ShopSettings, {"kafka_bootstrap_servers": "k:1", "shop_secret": "hunter2hunter2"}).shop_rows == 10


SASL = {
    "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "KAFKA_SASL_USERNAME": "tocsin",
    "KAFKA_SASL_PASSWORD": "hunter2hunter2",
}


def test_a_login_to_kafka_is_whole() -> None:
    assert shop(**SASL).kafka_sasl_mechanism == "SCRAM-SHA-512"
    needed = "required while KAFKA_SECURITY_PROTOCOL is SASL_PLAINTEXT or SASL_SSL"
    for name in ("KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"):
        given = KAFKA | {"SHOP_SECRET": "hunter2hunter2"} | SASL | {name: ""}
        assert problems(given) == [f"{name}: {needed}"]


def test_a_login_to_kafka_that_would_be_ignored_is_refused() -> None:
    given = KAFKA | {"SHOP_SECRET": "hunter2hunter2"} | SASL | {"KAFKA_SECURITY_PROTOCOL": "SSL"}
    assert [problem.partition(": ")[0] for problem in problems(given)] == [
        "KAFKA_SASL_MECHANISM",
        "KAFKA_SASL_PASSWORD",
        "KAFKA_SASL_USERNAME",
    ]


def test_a_mechanism_this_release_lacks_is_refused() -> None:
    given = KAFKA | {"SHOP_SECRET": "hunter2hunter2"} | SASL | {"KAFKA_SASL_MECHANISM": "OAUTHBEARER"}
    told = "OAUTHBEARER is not available in this release; use PLAIN, SCRAM or a certificate (SSL)"
    assert problems(given) == [f"KAFKA_SASL_MECHANISM: {told}"]


SHOP = KAFKA | {"SHOP_SECRET": "hunter2hunter2"}


@pytest.mark.parametrize("name", ["KAFKA_SSL_CAFILE", "KAFKA_SSL_CERTFILE", "KAFKA_SSL_KEYFILE"])
def test_certificates_must_exist_and_be_of_use(tmp_path: Path, name: str) -> None:
    (tmp_path / "pem").write_text("x")
    certificate = {"KAFKA_SSL_CERTFILE": str(tmp_path / "pem")} if name == "KAFKA_SSL_KEYFILE" else {}
    tls = SHOP | {"KAFKA_SECURITY_PROTOCOL": "SSL"} | certificate
    assert problems(tls | {name: str(tmp_path / "absent")}) == [f"{name}: no such file"]
    assert problems(SHOP | {name: str(tmp_path / "pem")})[-1].startswith(
        f"{name}: of no effect unless KAFKA_SECURITY_PROTOCOL is SSL or SASL_SSL"
    )
    assert read(ShopSettings, tls | {name: str(tmp_path / "pem")})


def test_a_key_without_its_certificate_would_be_ignored_and_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pem").write_text("x")
    alone = SHOP | {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_KEYFILE": str(tmp_path / "pem")}
    assert problems(alone) == ["KAFKA_SSL_KEYFILE: of no effect without KAFKA_SSL_CERTFILE"]
    assert problems(alone | {"KAFKA_SSL_CERTFILE": str(tmp_path / "absent")}) == ["KAFKA_SSL_CERTFILE: no such file"]


@pytest.mark.parametrize("address", ["consul:many", "ftp://consul", "consul:99999", "http://[broken"])
def test_an_address_of_consul_that_is_none_is_refused_without_its_text(address: str) -> None:
    assert problems(SHOP | {"CONSUL_HTTP_ADDR": address}) == ["CONSUL_HTTP_ADDR: expected host:port or an http(s) URL"]


def test_a_token_for_no_consul_would_be_ignored_and_is_refused() -> None:
    alone = SHOP | {"CONSUL_HTTP_TOKEN": "5f6e7d8c"}
    assert problems(alone) == ["CONSUL_HTTP_TOKEN: of no effect without CONSUL_HTTP_ADDR"]
    assert read(ShopSettings, alone | {"CONSUL_HTTP_ADDR": "consul:8500"}).consul_http_token


def test_of_a_secret_that_is_too_short_not_even_its_length_is_told() -> None:
    assert problems(KAFKA | {"SHOP_SECRET": "short"}) == ["SHOP_SECRET: expected at least 8 characters"]


# What scripts, charts and people's environments rely on: no name is ever dropped silently.
PROMISED = {
    *("REDIS_URL", "REDIS_SOURCES", "TOCSIN_SOURCES_FILE", "BRIDGE_SITE"),
    *("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_SECURITY_PROTOCOL", "KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME"),
    *("KAFKA_SASL_PASSWORD", "KAFKA_SSL_CAFILE", "KAFKA_SSL_CERTFILE", "KAFKA_SSL_KEYFILE", "KAFKA_TOPIC_PREFIX"),
    *("KAFKA_TOPICS_CREATE", "KAFKA_REPLICATION_FACTOR", "CLICKHOUSE_URL", "CLICKHOUSE_CA_FILE", "DATABASE_URL"),
    *("CONSUL_HTTP_ADDR", "CONSUL_HTTP_TOKEN", "TELEGRAM_BOT_TOKEN", "TELEGRAM_API_URL", "TELEGRAM_ALERT_CHATS"),
    *("TELEGRAM_ADMINS", "PUBLIC_URL", "SESSION_SECRET", "TOCSIN_SERVICE_TOKEN", "TRUSTED_PROXIES", "HEARTBEAT_URL"),
    *("BREAKER_FAIL_MAX", "BREAKER_RESET_SECONDS", "BREAKER_SUCCESS_THRESHOLD", "BREAKER_TIMEOUT_SECONDS"),
    *("BREAKER_PROBE_SECONDS", "LOGSVC_PORT", "BRIDGE_PORT", "BOT_PORT", "SANDBOX_PORT", "WEBSOCKET_PORT"),
    "LOGSVC_SYSLOG_PORT",
}
OF_THE_STACK = {"SANDBOX_PORT"}


def test_every_promised_setting_is_read_or_said_to_come_later() -> None:
    known = {name for model in SERVICES for name in (*names(model), *model.not_yet)}
    assert known | OF_THE_STACK >= PROMISED


def test_every_secret_is_known_to_the_logs() -> None:
    found = shop(
        SHOP_SPARE="postgres://tocsin:p%40ssw%3Ard@db/x",
        SHOP_PLACES="redis://:first-pass@a:1,redis://u:second-pass@b:1",
        TOCSIN_SERVICE_TOKEN="service-token-of-the-test",
    )
    assert {
        "hunter2hunter2",
        "postgres://tocsin:p%40ssw%3Ard@db/x",
        "p%40ssw%3Ard",
        "p@ssw:rd",
        "redis://:first-pass@a:1",
        "first-pass",
        "second-pass",
        "service-token-of-the-test",
    } <= set(secrets_of(found))


def test_a_secret_that_is_no_url_is_no_trouble() -> None:
    assert secrets_of(shop(SHOP_SPARE="http://[broken")) == ["hunter2hunter2", "http://[broken"]


def test_settings_never_print_their_secrets() -> None:
    found = shop(SHOP_PLACES="redis://:first-pass@a:1")
    assert "hunter2" not in f"{found}{found!r}{found.model_dump()}"
    assert "first-pass" not in f"{found}{found!r}{found.model_dump()}"
