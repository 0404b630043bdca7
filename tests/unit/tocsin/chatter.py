"""A process that logs in every way there is, each time with a secret: `… -m tests.unit.tocsin.chatter json info`.

It ends by an error nobody catches.
"""

import asyncio
import logging
import sys
import threading
import warnings
from typing import Any, Literal, cast

import structlog

from tocsin.logs import set_up_logs

SECRET = "hunter2-hunter2"
LONGER = "hunter2-hunter2-and-more"
QUOTED = 'quo"te\\bäck/slash'
TOKEN = "1234567:ABCdefGHIjklMNOpqrSTUvwxYZ-0123456789"
NEEDLES = (SECRET, "and-more", "ck/slash", "ck%2Fslash", TOKEN.partition(":")[2], "url-password")
"""What must not appear, nor part of it."""


class Broken:
    def __init__(self) -> None:
        self.password = SECRET

    def __repr__(self) -> str:
        return f"Broken({self.password!r})"


def speak() -> None:
    log = structlog.get_logger("shop")
    lib = logging.getLogger("lib")
    log.info("plain", text=f"it is {SECRET}!", longer=LONGER)
    log.info(f"message {SECRET}")  # noqa: G004  # what one must not write is written
    log.info("positional %s", SECRET)
    log.info("nested", a={"k": [SECRET, {"z": (SECRET,)}]}, names={SECRET: 1}, b={SECRET})
    log.info("objects", error=ValueError(SECRET), raw=SECRET.encode(), thing=Broken(), things=[Broken()])
    log.info("quoted", error=ValueError(QUOTED), text=repr(QUOTED), url="http://h/?p=quo%22te%5Cb%C3%A4ck%2Fslash")
    log.info("name", **{SECRET: 1})
    log.bind(bound=SECRET).info("bound")
    structlog.contextvars.bind_contextvars(context=SECRET)
    log.info("context")
    structlog.contextvars.clear_contextvars()
    lib.warning("args %s %r", SECRET, {"k": SECRET})
    lib.warning("extra", extra={"url": "http://u:url-password@h", "thing": {"k": SECRET}})
    lib.warning("POST https://api.telegram.org/bot%s/sendMessage", TOKEN)
    lib.warning("amqp://user:url-password@host/ and redis://:url-password@host:6379/0")
    lib.warning("more than one at: redis://u:url-password@url-password@host/0")
    logging.getLogger("httpx").info("HTTP Request: POST https://api.telegram.org/bot%s/getMe", TOKEN)
    logging.getLogger("httpx").warning("https://api.telegram.org/bot%s/getMe", TOKEN)
    logging.getLogger("aiokafka.cluster").error("Topic %s not found in cluster metadata", "tocsin.cursors")
    for _ in range(3):
        logging.getLogger("aiokafka.consumer").error("aiokafka speaks")
    raise_and_log(log, lib)
    loop: list[Any] = []
    loop.append(loop)
    log.info("endless", loop=loop)
    log.info("surrogate \ud83d", text="ok")
    lib.warning("%d", SECRET)
    warnings.warn(f"warned of {SECRET}", stacklevel=1)
    thread = threading.Thread(target=crash)
    thread.start()
    thread.join()
    asyncio.run(forgotten())
    log.info("unharmed", text="Ñandú 🦜", number=7, flag=True, nothing=None, items=[1, "a"], at="https://h:8080/a@b")


def raise_and_log(log: Any, lib: logging.Logger) -> None:
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as inner:
            raise ExceptionGroup("outer", [ValueError(f"{TOKEN}"), OSError(SECRET)]) from inner
    except ExceptionGroup as error:
        error.add_note(SECRET)
        log.exception("caught")
        lib.exception("caught")
        log.error("given", exc_info=error)


def crash() -> None:
    raise RuntimeError(SECRET)


async def forgotten() -> None:
    """A task nobody waits for: asyncio's own logger tells of it."""
    asyncio.get_running_loop().call_exception_handler({"message": "forgotten", "exception": OSError(SECRET)})


if __name__ == "__main__":
    style, level = cast(tuple[Literal["auto", "json", "console"], str], tuple(sys.argv[1:3]))
    set_up_logs("shop", level=level, style=style, secrets=[SECRET, LONGER, QUOTED, "short"])
    speak()
    raise RuntimeError(f"the end of {SECRET}")
