"""Logs: structlog to stdout, JSON in containers, readable on a terminal; stdlib loggers through the same formatter.

No secret reaches a line: registered values are replaced wherever they stand, and httpx, whose INFO lines hold the bot
token, is held at WARNING.
"""

import logging
import sys
import threading
from collections.abc import Iterable, Mapping, MutableMapping
from types import TracebackType
from typing import Any, Literal

import structlog

from tocsin.log_rate import RateLimit
from tocsin.log_topic import Handler, LogTopic
from tocsin.secrecy import hide, register, without_secrets
from tocsin.settings import Settings, secrets_of

NOISY = ("httpx", "httpcore", "aiokafka", "uvicorn.access", "uvicorn.error", "telegram", "apscheduler")
MUTE = ("aiokafka.cluster",)
"""Says `Topic … not found` as an error at every poll while topics are being made; what is missing for good, and what
Kafka refuses, our doors say themselves (tocsin/topic_admin.py)."""
REPETITIVE = ("aiokafka",)
"""Repeat themselves many times a second while their server is away."""
REPEAT_SECONDS = 10.0
_META = frozenset({"_record", "_from_structlog"})


def set_up_service_logs(settings: Settings, topic: LogTopic | None = None) -> None:
    """Set up the logs of a service as its settings say, its secrets hidden.

    topic: INFO and what is graver goes there too.
    """
    style, secrets = settings.log_format, secrets_of(settings)
    set_up_logs(settings.service, level=settings.log_level, style=style, secrets=secrets)
    if topic is not None and settings.log_to_kafka:
        handler = Handler(topic, settings.service)
        handler.setFormatter(_formatter(settings.service, handler.take))
        logging.getLogger().addHandler(handler)


def set_up_logs(
    service: str, *, level: str, style: Literal["auto", "json", "console"], secrets: Iterable[str] = ()
) -> None:
    """Route every logger of the process, its warnings and its uncaught errors to stdout.

    secrets: values that must never appear, whatever prints them.
    """
    register(secrets)
    console = style == "console" or (style == "auto" and sys.stdout.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback)
        if console
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[
            structlog.stdlib.PositionalArgumentsFormatter(),
            *_shared(service),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = _Handler(_writable(sys.stdout))
    handler.setFormatter(_formatter(service, renderer))
    for repetitive in REPETITIVE:
        handler.addFilter(RateLimit(repetitive, REPEAT_SECONDS))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))
    for mute in MUTE:
        logging.getLogger(mute).setLevel(logging.CRITICAL)
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def _shared(service: str) -> list[Any]:
    """What every line goes through, wherever it comes from."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _naming(service),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        scrub,
    ]


def _formatter(service: str, renderer: Any) -> structlog.stdlib.ProcessorFormatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(service),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )


def scrub(_logger: object, _method: str, record: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Replace every secret in a record (a structlog processor)."""
    return {
        name if name in _META else hide(name): value if name in _META else without_secrets(value)
        for name, value in record.items()
    }


def _naming(service: str) -> Any:
    def name(_logger: object, _method: str, record: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        record.setdefault("service", service)
        return record

    return name


def _writable(stdout: Any) -> Any:
    """Make stdout take any text: a lone surrogate, cut from somebody's emoji, must not cost the whole line."""
    if hasattr(stdout, "reconfigure"):
        stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    return stdout


class _Handler(logging.StreamHandler[Any]):
    def handleError(self, record: logging.LogRecord) -> None:
        """Tell of a line that could not be written; logging itself would print its arguments, secrets and all."""
        error = sys.exc_info()[0]
        sys.stderr.write(f"a log line of {record.name} was lost ({error.__name__ if error else 'unknown'})\n")


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, (KeyboardInterrupt, SystemExit)):
        logging.getLogger("tocsin").critical("uncaught", exc_info=(kind, error, trace))


def _uncaught_in_thread(told: threading.ExceptHookArgs) -> None:
    if told.exc_value is not None:
        _uncaught(told.exc_type, told.exc_value, told.exc_traceback)
