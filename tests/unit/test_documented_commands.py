"""Whoever types what a document says gets no "unknown option", "no such file" or "no such target".

Each program has its judge below, and a program without one fails. What a judge cannot tell is tried for real elsewhere:
curl on `/api/v1` in test_api of logsvc, Consul's in test_consul, Kafka's rights in test_secured_kafka.
"""

import argparse
import importlib
import importlib.util
import re
from collections.abc import Callable, Sequence

import pytest
import yaml

from tests.documents import ROOT, Typed, parse, typed
from tests.generate.settings_page import MODELS
from tocsin import cli
from tocsin.sandbox.__main__ import parser_of_options as of_sandbox
from tocsin.settings import names
from tocsin.tail.options import parser_of_options as of_tail
from tocsin.topics import Topics

PLACEHOLDERS = {"SERVICE": "bridge", "$service": "bridge", "USER": "ann", "NAME": "ann", "ROLE": "admin"}
OF_THE_READER = {"TOCSIN", "TOKEN", "TOCSIN_TOKEN_FILE", "PGSSLROOTCERT"}
"""Variables of examples, and of other programs, that are no settings."""
PROGRAMS_OF = {
    "postgres": {"pg_dump", "pg_restore", "createdb", "dropdb"},
    "clickhouse": {"sh", "mkdir", "rm"},
    "kafka": {"kafka-consumer-groups.sh"},
}
"""Of the images that are not ours."""
FOREIGN = {"openssl", "jq", "sops"}


def tocsin(words: Sequence[str]) -> None:
    parser = cli.parser_of_commands()
    if len(words) == 1 and words[0] in parser.format_help().split():
        return  # a sentence speaks of it
    given, rest = parser.parse_known_args(words)
    if given.command == "tail":
        of_tail().parse_args(rest)
    elif given.command == "sandbox":
        of_sandbox().parse_args(rest)
    elif given.command in ("bridge", "logsvc", "bot"):
        of_service(given.command, rest)
    else:
        assert not rest, rest


def python(words: Sequence[str]) -> None:
    option, module, *rest = words
    assert option == "-m"
    assert importlib.util.find_spec(module), module
    if module in ("bridge", "logsvc", "bot"):
        of_service(module, rest)


def of_service(name: str, words: Sequence[str]) -> None:
    parser: argparse.ArgumentParser = importlib.import_module(f"{name}.__main__").parser_of_options()
    parser.parse_args(words)


def make(words: Sequence[str]) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {word for word in words if "=" not in word} <= targets


def docker(words: Sequence[str]) -> None:
    assert words[0] == "compose"
    services = set(yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"])
    command, *rest = words[1:]
    options = {"--tail": 1, "-u": 1, "-e": 1}  # how many words each takes; others take none
    while rest and rest[0].startswith("-"):
        rest = rest[1 + options.get(rest[0], 0) :]
    if command in ("run", "exec"):
        service, *inside = rest
        assert service in services, service
        if command == "run":  # by the image's entry point
            tocsin(inside)
        else:
            in_container(service, *inside)
    elif command == "cp":
        assert {word.partition(":")[0] for word in rest if ":" in word} <= services, rest
    else:
        assert command in ("up", "ps", "logs", "restart", "down", "stop"), command
        assert set(rest) <= services, rest


def in_container(service: str, program: str, *words: str) -> None:
    """What is in the servers' images nobody can try here; whose names they are given can be told."""
    name = program.rpartition("/")[2]
    assert name in PROGRAMS_OF.get(service, {"tocsin"}), name
    if name == "tocsin":
        tocsin(words)
    elif name == "kafka-consumer-groups.sh":
        assert words[words.index("--group") + 1] == "tocsin.logsvc", words
    elif name.startswith(("pg_", "createdb", "dropdb")):
        assert "tocsin" in words[words.index("-U") + 2 :], words


def kubectl(words: Sequence[str]) -> None:
    rest = list(words)
    if rest[:1] == ["-n"]:
        assert rest[1] == "tocsin"
        rest = rest[2:]
    if rest[:2] == ["apply", "-k"]:
        assert (ROOT / rest[2] / "kustomization.yaml").exists(), rest[2]
    elif rest[:3] == ["rollout", "restart", "deployment"]:
        there = {re.sub(r"\.yaml$", "", file.name) for file in (ROOT / "kustomize" / "base").glob("*.yaml")}
        assert set(rest[3:]) <= there, rest
    else:
        assert rest in (["logs"], ["apply", "-f", "-"]), rest


def consul(words: Sequence[str]) -> None:
    for word in words:
        if "/" in word or word.endswith(".json"):
            assert (ROOT / word).exists() or (ROOT / "consul" / word).exists(), word


def kafka(words: Sequence[str]) -> None:
    known = {spec.name for spec in Topics().specs()}
    topics = {words[place + 1] for place, word in enumerate(words) if word == "--topic"}
    assert topics <= known, topics - known


def curl(words: Sequence[str]) -> None:
    [address] = [word for word in words if re.match(r"https?://|\$TOCSIN|localhost", word)]
    assert re.search(r"^\$TOCSIN/|/api/v1/|/internal/v1/|/health/|^https://api\.telegram\.org", address), address


def files(words: Sequence[str]) -> None:
    assert (ROOT / words[0]).exists(), words[0]


JUDGES: dict[str, Callable[[Sequence[str]], None]] = {
    "tocsin": tocsin,
    "python": python,
    "make": make,
    "docker": docker,
    "kubectl": kubectl,
    "consul": consul,
    "kafka-acls.sh": kafka,
    "kafka-transactions.sh": kafka,
    "curl": curl,
    "cp": files,
    "sh": files,
}


def settings() -> set[str]:
    own = {name for model in MODELS for name in names(model)}
    in_files = {
        name
        for file in (ROOT / "envs").glob("*.env")
        for name in re.findall(r"^#?(\w+)=", file.read_text(), re.MULTILINE)
    }
    return own | {f"{name}_FILE" for name in own} | in_files | OF_THE_READER


def judge(one: Typed) -> None:
    unknown = {word.partition("=")[0] for word in one.assigned} - settings()
    assert not unknown, f"no such setting: {unknown}"
    words = [PLACEHOLDERS.get(word, word) for word in one.words]
    if not words or words[0] in FOREIGN:
        return
    program, *rest = words
    if (ROOT / program).is_file():
        return
    assert program in JUDGES, f"nobody can tell whether this is right: {program}"
    JUDGES[program](rest)


TYPED = sorted(set(typed()))


def test_the_commands_of_the_documents_were_found() -> None:
    assert len(TYPED) > 80
    assert {"README.md", "CONTRIBUTING.md", "docs/api.md", "docs/operations.md", "kustomize/README.md"} <= {
        one.file for one in TYPED
    }


@pytest.mark.parametrize("one", TYPED, ids=[f"{one.file}: {' '.join((*one.assigned, *one.words))}" for one in TYPED])
def test_what_a_document_says_can_be_typed(one: Typed) -> None:
    judge(one)


@pytest.mark.parametrize(
    "mistaken",
    [
        "tocsin doctr",
        "tocsin up --demmo",
        "tocsin tail --quue orders",
        "tocsin doctor kafka",
        "python -m tests.nothing",
        "python -m bridge --chek",
        "make tset",
        "docker compose logs bridg",
        "docker compose exec bot tocsin login-lnk ann",
        "docker compose exec -T postgres pg_dump -U tocsin tocsn > postgres.dump",
        "docker compose cp clickhuose:/var/lib/clickhouse/backups/tocsin.zip .",
        "kubectl apply -k kustomize/overlays/nowhere",
        "consul services register connect/nobody.json",
        "kafka-acls.sh --add --topic tocsin.job",
        "cp envs/none.env .env",
        "export REDIS_ULR=redis://host",
        "curl http://127.0.0.1:9001/queues",
        "frobnicate --all",
    ],
)
def test_a_mistake_would_be_noticed(mistaken: str) -> None:
    [one] = parse("here", mistaken)
    with pytest.raises((AssertionError, SystemExit)):
        judge(one)
