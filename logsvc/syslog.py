"""The proxy's log lines by syslog, UDP and TCP on LOGSVC_SYSLOG_PORT, as service lines of the service `proxy`.

Only this host and private addresses (100.64.0.0/10 too) are heard. A message is at most MOST_BYTES; what comes too
fast, or cannot be read, is dropped and counted.
"""

import asyncio
import ipaddress
import re
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

import structlog

from tocsin.events import Level
from tocsin.log_topic import LogTopic
from tocsin.secrecy import hide

log = structlog.get_logger("logsvc.syslog")

SERVICE = "proxy"
MOST_BYTES = 8 * 1024
MOST_CONNECTIONS = 20
IDLE_SECONDS = 3600.0
_SHARED = ipaddress.ip_network("100.64.0.0/10")
"""RFC 6598. Python does not call them private."""
_PRIORITY = re.compile(r"<(\d{1,3})>")
_RFC5424 = re.compile(r"1 (\S+) (\S+) (\S+) (\S+) (\S+) (?:-|(?:\[(?:[^\]\\]|\\.)*\])+)(?: \ufeff?(.*))?", re.DOTALL)
_RFC3164 = re.compile(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (?:(\S+) )?([^\s:\[]{1,64})(?:\[\d+\])?: ?(.*)", re.DOTALL)


class Said(NamedTuple):
    """One message. ts_ms: 0 = it does not say, or not which year."""

    level: Level
    ts_ms: int
    app: str
    text: str


def parse(data: bytes) -> Said | None:
    """Read RFC 5424 or RFC 3164; None for anything else."""
    text = data.decode(errors="replace").rstrip("\r\n\0")
    priority = _PRIORITY.match(text)
    if priority is None or int(priority[1]) > 191:
        return None
    severity, rest = int(priority[1]) & 7, text[priority.end() :]
    level = Level.ERROR if severity <= 3 else Level.WARN if severity == 4 else Level.INFO
    level = Level.DEBUG if severity == 7 else level
    if new := _RFC5424.fullmatch(rest):
        return Said(level, _ms(new[1]), new[3], new[6] or "")
    if old := _RFC3164.fullmatch(rest):
        return Said(level, 0, old[2], old[3])
    return None


def _ms(moment: str) -> int:
    with suppress(ValueError, OverflowError):
        return max(0, int(datetime.fromisoformat(moment).timestamp() * 1000))
    return 0


class Syslog:
    """The listener."""

    def __init__(self, host: str, port: int, topic: LogTopic) -> None:
        self._host = host
        self._port = port
        self._topic = topic
        self._connections = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until stop is set. Raises OSError if the port is taken."""
        loop = asyncio.get_running_loop()
        datagrams, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self), local_addr=(self._host, self._port)
        )
        try:
            server = await asyncio.start_server(self._hear, self._host, self._port, limit=MOST_BYTES)
            async with server:
                await stop.wait()
        finally:
            datagrams.close()

    def take(self, data: bytes, address: str) -> None:
        """Pass one message on."""
        said = parse(data[:MOST_BYTES]) if _is_near(address) else None
        if said is None:
            self._topic.dropped += 1
            return
        fields = {"app": said.app, "from": address}
        self._topic.put(SERVICE, said.level, hide(said.text), fields, said.ts_ms)

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer: tuple[str, int] | None = writer.get_extra_info("peername")
        address = peer[0] if peer else ""
        self._connections += 1
        try:
            if self._connections <= MOST_CONNECTIONS and _is_near(address):
                async for data in _messages(reader):
                    self.take(data, address)
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            log.info("syslog_connection_ended", reason=type(error).__name__)
        finally:
            self._connections -= 1
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, syslog: Syslog) -> None:
        self._syslog = syslog

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._syslog.take(data, str(addr[0]))


async def _messages(reader: asyncio.StreamReader) -> AsyncGenerator[bytes]:
    """Messages of a stream: each begins with its length (RFC 6587), or ends with a line."""
    while True:
        async with asyncio.timeout(IDLE_SECONDS):
            first = await reader.read(1)
            if not first:
                return
            if first.isdigit():
                length = int(first + (await reader.readuntil(b" ")))
                if length > MOST_BYTES:
                    raise ValueError("a message is too long")
                yield await reader.readexactly(length)
            else:
                yield first + await reader.readuntil(b"\n")


def _is_near(address: str) -> bool:
    """Whether an address is this host's, or a private one, or of the shared ones that clusters give their pods."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return found.is_private or found in _SHARED
