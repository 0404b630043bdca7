"""Settings from the environment: one frozen model per service, every problem reported at once, no value ever printed.

This is the only file of the services that reads the environment. A secret `NAME` may instead stand in a file whose path
is in `NAME_FILE`.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, cast, get_args, get_origin
from urllib.parse import unquote, urlsplit

from pydantic import (
    AnyHttpUrl,
    BaseModel,
    ConfigDict,
    Field,
    FilePath,
    SecretStr,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
)
from pydantic.config import JsonDict
from pydantic_core import ErrorDetails

from tocsin.addresses import parse_agent
from tocsin.topics import Topics

SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]


HOLDS_SECRETS: JsonDict = {"secret": True}
"""`json_schema_extra` of a setting whose text holds secrets though its type is not SecretStr."""


class Settings(BaseModel):
    """What every service reads. A subclass adds its own.

    owned_prefixes: an unknown variable that begins so is a misspelling this service reports. Names that share no
    prefix with others (PUBLIC_URL) are compared whole: one letter off is a misspelling, whatever else a shell holds.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
    service: ClassVar[str] = "tocsin"
    owned_prefixes: ClassVar[tuple[str, ...]] = ("KAFKA_", "CONSUL_", "BREAKER_")
    not_yet: ClassVar[Mapping[str, str]] = {}
    """Settings whose feature this release lacks: name -> what to do instead. Set = refused, never ignored."""

    kafka_bootstrap_servers: str = Field(description="Kafka's addresses, `host:port,host:port`.")
    kafka_security_protocol: SecurityProtocol = Field("PLAINTEXT", description="How to talk to Kafka.")
    kafka_sasl_mechanism: SaslMechanism | None = Field(
        None, validate_default=True, description="How to log in to Kafka, with SASL_*; OAUTHBEARER is refused yet."
    )
    kafka_sasl_username: str | None = Field(None, validate_default=True, description="Kafka user, for PLAIN and SCRAM.")
    kafka_sasl_password: SecretStr | None = Field(None, validate_default=True, description="That user's password.")
    kafka_ssl_cafile: FilePath | None = Field(
        None, description="CA that signed Kafka's certificate; default the system's."
    )
    kafka_ssl_certfile: FilePath | None = Field(None, description="Client certificate, if Kafka asks for one.")
    kafka_ssl_keyfile: FilePath | None = Field(None, description="Its key.")
    kafka_topic_prefix: str = Field(
        "tocsin.", pattern=r"^[A-Za-z0-9._-]*$", description="Before every topic, group and transactional id."
    )
    kafka_topics_create: Literal["auto", "check"] = Field(
        "auto", description="auto: create what is missing. check: only look, and refuse to start if a topic is absent."
    )
    kafka_replication_factor: int = Field(1, ge=1, description="Of topics created here; 3 in production.")
    kafka_partitions: int = Field(
        8, ge=1, le=256, description="Of topics created here, fixed for ever after: a queue's order depends on it."
    )
    kafka_transactions: bool = Field(
        True, description="off only for the in-memory Kafka stand-in, which has none: delivery is then at least once."
    )

    consul_http_addr: str | None = Field(None, description="Consul agent, `host:port` or URL. Unset: no Consul.")
    consul_http_token: SecretStr | None = Field(None, description="Consul ACL token.")

    tocsin_service_token: SecretStr | None = Field(
        None, min_length=24, description="Bearer token of the internal APIs, 24 characters or more."
    )
    public_url: AnyHttpUrl | None = Field(
        None, description="Where people reach the page, e.g. https://tocsin.example.com."
    )

    breaker_fail_max: int = Field(5, ge=1, description="Failures in a row that open a breaker.")
    breaker_reset_seconds: float = Field(60, gt=0, description="How long it stays open before a trial call.")
    breaker_success_threshold: int = Field(3, ge=1, description="Good trial calls that close it.")
    breaker_timeout_seconds: float = Field(5, gt=0, description="Deadline of one remote call.")
    breaker_probe_seconds: float = Field(10, gt=0, description="How often an open breaker is probed, to close early.")

    bridge_port: int = Field(9101, ge=0, le=65535, description="HTTP port of bridge; 0 = any free one.")
    logsvc_port: int = Field(9001, ge=0, le=65535, description="HTTP port of logsvc; 0 = any free one.")
    bot_port: int = Field(9102, ge=0, le=65535, description="HTTP port of bot; 0 = any free one.")
    bridge_url: AnyHttpUrl | None = Field(None, description="Where bridge answers, without Consul. Default: this host.")
    logsvc_url: AnyHttpUrl | None = Field(None, description="Where logsvc answers, without Consul. Default: this host.")
    bot_url: AnyHttpUrl | None = Field(None, description="Where bot answers, without Consul. Default: this host.")

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe line logged.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: console on a terminal, else JSON."
    )
    log_to_kafka: bool = Field(
        True, description="Send own log lines, info and graver, to Kafka's logs topic too: the page shows them."
    )
    bind_host: str = Field("127.0.0.1", description="Address the HTTP port listens on.")
    advertise_host: str | None = Field(None, description="Address others reach this service at, for Consul.")
    drain_seconds: float = Field(10, gt=0, description="How long a stop may take before what is late is cancelled.")

    @field_validator("kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password")
    @classmethod
    def _all_of_sasl_or_none(cls, value: object, info: ValidationInfo) -> object:
        protocol: str | None = info.data.get("kafka_security_protocol")
        if value == "OAUTHBEARER":
            raise ValueError("OAUTHBEARER is not available in this release; use PLAIN, SCRAM or a certificate (SSL)")
        if protocol and value is None and protocol.startswith("SASL_"):
            raise ValueError("required while KAFKA_SECURITY_PROTOCOL is SASL_PLAINTEXT or SASL_SSL")
        if protocol and value is not None and not protocol.startswith("SASL_"):
            raise ValueError("of no effect unless KAFKA_SECURITY_PROTOCOL is SASL_PLAINTEXT or SASL_SSL")
        return value

    @field_validator("kafka_ssl_cafile", "kafka_ssl_certfile", "kafka_ssl_keyfile")
    @classmethod
    def _only_with_tls(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        protocol: str | None = info.data.get("kafka_security_protocol")
        if protocol and value and not protocol.endswith("SSL"):
            raise ValueError("of no effect unless KAFKA_SECURITY_PROTOCOL is SSL or SASL_SSL")
        return value

    @field_validator("kafka_ssl_keyfile")
    @classmethod
    def _key_of_a_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value and info.data.get("kafka_ssl_certfile", value) is None:
            raise ValueError("of no effect without KAFKA_SSL_CERTFILE")
        return value

    @field_validator("consul_http_addr")
    @classmethod
    def _is_an_agent(cls, value: str | None) -> str | None:
        if value:
            parse_agent(value)
        return value

    @field_validator("consul_http_token")
    @classmethod
    def _only_with_consul(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value and info.data.get("consul_http_addr", value) is None:
            raise ValueError("of no effect without CONSUL_HTTP_ADDR")
        return value

    @property
    def topics(self) -> Topics:
        return Topics(self.kafka_topic_prefix)


S = TypeVar("S", bound=Settings)


class SettingsError(Exception):
    """The environment does not make valid settings. problems: `NAME: what is wrong`, sorted, without values."""

    def __init__(self, service: str, problems: list[str]) -> None:
        super().__init__("\n".join([f"{service} cannot start:", *(f"  {problem}" for problem in sorted(problems))]))
        self.problems = sorted(problems)


def load(model: type[S], environ: Mapping[str, str] | None = None) -> S:
    """Read one service's settings, or print every problem to stderr and exit with status 2."""
    try:
        return read(model, os.environ if environ is None else environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None


def read(model: type[S], environ: Mapping[str, str]) -> S:
    """Read settings from `environ`; raise SettingsError with all problems. A variable set to nothing is not set."""
    given = {name.upper(): value for name, value in environ.items() if value.strip() and not _is_link(name, value)}
    problems: list[str] = []
    values: dict[str, Any] = {}
    unreadable: set[str] = set()
    for name in names(model):
        if name in given:
            values[name.lower()] = given[name]
        if is_secret(model, name) and f"{name}_FILE" in given:
            try:
                values[name.lower()] = _read_secret(name, given)
            except ValueError as error:
                problems.append(str(error))
                unreadable.add(name.lower())
    problems += _misspelled(model, given)
    problems += [
        f"{name}: not available in this release. {hint}"
        for setting, hint in model.not_yet.items()
        for name in (setting, f"{setting}_FILE")
        if name in given
    ]
    try:
        settings = model.model_validate(values)
    except ValidationError as error:
        details = _details(model, values, error)
        problems += [_explain(detail) for detail in details if not unreadable.intersection(detail["loc"])]
    else:
        if not problems:
            return settings
    raise SettingsError(model.service, problems)


def _details(model: type[BaseModel], values: Mapping[str, Any], error: ValidationError) -> list[ErrorDetails]:
    """Every problem. pydantic does not look at the fields once a check of them all together has failed: we do."""
    details = error.errors(include_context=False)
    if all(detail["loc"] for detail in details):
        return details
    fields: dict[str, Any] = {name: (field.annotation, field) for name, field in model.model_fields.items()}
    try:
        create_model("Fields", **fields).model_validate(values)
    except ValidationError as single:
        details += single.errors(include_context=False)
    return details


def names(model: type[BaseModel]) -> list[str]:
    """The environment variables a model reads."""
    return [name.upper() for name in model.model_fields]


def is_secret(model: type[BaseModel], name: str) -> bool:
    """Whether a setting is a secret, and so may come from NAME_FILE: by its type, or because its field says so."""
    field = model.model_fields[name.lower()]
    annotation = field.annotation
    is_one = annotation is SecretStr or (get_origin(annotation) is not None and SecretStr in get_args(annotation))
    return is_one or field.json_schema_extra == HOLDS_SECRETS


def _read_secret(name: str, given: Mapping[str, str]) -> str:
    if name in given:
        raise ValueError(f"{name}: set twice, here and by {name}_FILE; keep one")
    try:
        secret = Path(given[f"{name}_FILE"]).read_text().strip()
    except OSError as error:
        raise ValueError(f"{name}_FILE: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ValueError(f"{name}_FILE: the file holds no text") from None
    if not secret:
        raise ValueError(f"{name}_FILE: the file is empty")
    return secret


_LINK = re.compile(r"_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT(_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)?")


def _is_link(name: str, value: str) -> bool:
    """Whether Kubernetes set this variable because some Service has a name like ours: BOT_PORT=tcp://10.0.0.7:9102."""
    link = _LINK.search(name)
    if link is None or link.end() != len(name):
        return False
    return link[0] != "_PORT" or value.startswith(("tcp://", "udp://"))


def _misspelled(model: type[Settings], given: Mapping[str, str]) -> list[str]:
    known = {*names(model), *(f"{name}_FILE" for name in names(model) if is_secret(model, name))}
    known |= {*model.not_yet, *(f"{name}_FILE" for name in model.not_yet)}
    unknown = [name for name in given if name not in known]
    return [
        f"{name}: unknown setting (typo?)"
        for name in unknown
        if name.startswith(model.owned_prefixes) or any(_one_letter_off(name, right) for right in known)
    ]


_LEAST_COMPARED = 9  # letters: shorter names are one letter from too much that is somebody else's


def _one_letter_off(name: str, right: str) -> bool:
    """Whether one letter is missing, too many, another one, or two neighbours changed places."""
    if len(right) < _LEAST_COMPARED or abs(len(name) - len(right)) > 1:
        return False
    at = next((at for at, pair in enumerate(zip(name, right, strict=False)) if pair[0] != pair[1]), None)
    if at is None:
        return len(name) != len(right)
    is_swapped = right[at:] == name[at : at + 2][::-1] + name[at + 2 :]
    is_too_long, is_too_short = name[at + 1 :] == right[at:], name[at:] == right[at + 1 :]
    return is_swapped or is_too_long or is_too_short or name[at + 1 :] == right[at + 1 :]


def _explain(detail: ErrorDetails) -> str:
    name = str(detail["loc"][0]).upper() if detail["loc"] else "settings"
    plain = {
        "missing": "required, not set",
        "int_parsing": "expected a whole number",
        "float_parsing": "expected a number",
        "bool_parsing": "expected true or false",
        "path_not_file": "no such file",
    }
    if detail["type"] == "too_short" and (least := re.search(r"at least (\d+) item", detail["msg"])):
        return f"{name}: expected at least {least[1]} characters"  # not how many a secret has
    return f"{name}: {plain.get(detail['type'], detail['msg'].removeprefix('Value error, '))}"


def secrets_of(settings: BaseModel) -> list[str]:
    """Every secret value of the settings, for the logs to hide; a URL's password is one of its own."""
    texts = list(_secrets_in(settings))
    return [*texts, *(password for text in texts for password in _passwords(text))]


def _secrets_in(value: object) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for _, inner in value:
            yield from _secrets_in(inner)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for inner in cast(Iterable[object], value):
            yield from _secrets_in(inner)


def _passwords(url: str) -> set[str]:
    """The password as it stands in the URL and, percent-decoded, as the server is told it."""
    try:
        password = urlsplit(url).password
    except ValueError:
        return set()
    return {password, unquote(password)} if password else set()
