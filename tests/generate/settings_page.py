"""docs/settings.md, generated from the services' own models: `python -m tests.generate.settings_page` writes it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from bot.settings import BotSettings
from bridge.settings import BridgeSettings
from logsvc.settings import LogsvcSettings
from tocsin.settings import Settings, is_secret

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
MODELS: tuple[type[Settings], ...] = (Settings, BridgeSettings, LogsvcSettings, BotSettings)
HEAD = """# Settings

Every setting is an environment variable. A service reports all problems at once, by name and never by value, and exits
with status 2; a misspelt name counts as a problem. Where the table says *secret*, `NAME_FILE` may name a file that
holds the value instead. Generated from the code by `make docs`; a test compares.
"""
STACK = """## `tocsin up`, `make demo` and `make up`

| setting | default | meaning |
|---|---|---|
| `TOCSIN_CACHE_DIR` | `~/.cache/tocsin` | Where downloads are kept: Kafka's jars, a Java, the tests' tools. |
| `TOCSIN_JAVA` | the system's, else a fetched one | The `java` that runs Kafka, 17 or newer. |
| `MAVEN_REPOSITORY_URL` | Maven's own | Where Kafka's jars come from. |
| `SANDBOX_PORT` | 9081 | Port of the stand-in for Telegram. |

What is started depends on what is set: a server whose address is given (`REDIS_URL`, `KAFKA_BOOTSTRAP_SERVERS`,
`DATABASE_URL`, `CLICKHOUSE_URL`) is used, the others run here.
"""


def page() -> str:
    """The whole page."""
    shared = set(Settings.model_fields)
    parts = [HEAD]
    for model in MODELS:
        fields = {name: field for name, field in model.model_fields.items() if model is Settings or name not in shared}
        title = "Shared by all services" if model is Settings else model.service
        parts.append(f"## {title}\n\n" + "\n".join(_table(model, fields.items())) + "\n")
        if model.not_yet:
            rows = [f"| `{name}` | {hint} |" for name, hint in model.not_yet.items()]
            parts.append("Known, but not in this release: set, it is refused.\n")
            parts.append("\n".join(["| setting | instead |", "|---|---|", *rows]) + "\n")
    return "\n".join([*parts, STACK])


def _table(model: type[Settings], fields: Iterable[tuple[str, FieldInfo]]) -> list[str]:
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in fields:
        meaning = " ".join(filter(None, (field.description, _choices(field), _secret(model, name))))
        rows.append(f"| `{name.upper()}` | {_default(field)} | {meaning.replace('|', chr(92) + '|')} |")
    return rows


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default in (None, ()):
        return ""
    value = field.default
    text = f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text.rstrip('/')}`" if text else ""


def _choices(field: FieldInfo) -> str:
    kinds = get_args(field.annotation) if get_origin(field.annotation) is not Literal else (field.annotation,)
    literal = next((kind for kind in kinds if get_origin(kind) is Literal), None)
    return f"One of {', '.join(f'`{choice}`' for choice in get_args(literal))}." if literal else ""


def _secret(model: type[Settings], name: str) -> str:
    return "*Secret.*" if is_secret(model, name.upper()) else ""


if __name__ == "__main__":
    PAGE.write_text(page())
