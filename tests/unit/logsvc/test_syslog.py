"""Syslog messages as HAProxy and others write them."""

import pytest

from logsvc.syslog import Said, Syslog, parse
from tocsin.events import Level
from tocsin.log_topic import LogTopic
from tocsin.settings import Settings, read

WROTE = '127.0.0.1:5 edge logsvc/a 0/0/0/1/1 200 90 ---- "GET /logs" é'


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            f"<30>1 2026-11-22T06:15:12.123+00:00 host haproxy 17 - - {WROTE}\n",
            Said(Level.INFO, 1_795_328_112_123, "haproxy", WROTE),
        ),
        ('<28>1 - - haproxy - - [a x="\\]"][b y="z"] \ufeffhot', Said(Level.WARN, 0, "haproxy", "hot")),
        (f"<27>Nov 22 06:15:12 host haproxy[17]: {WROTE}", Said(Level.ERROR, 0, "haproxy", WROTE)),
        ("<31>Nov  2 06:15:12 haproxy: x", Said(Level.DEBUG, 0, "haproxy", "x")),
        ("<30>1 99999-01-01T00:00:00Z h a - - -", Said(Level.INFO, 0, "a", "")),
    ],
)
def test_a_message_is_read(data: str, said: Said) -> None:
    assert parse(data.encode()) == said


@pytest.mark.parametrize("data", [b"", b"hello", b"<999>1 - - a - - - x", b"<30>", b"<30>nonsense", b"\xff\xfe" * 4000])
def test_what_is_no_message_is_left_out(data: bytes) -> None:
    assert parse(data) is None


@pytest.mark.parametrize(
    ("address", "heard"),
    [
        *[
            (near, 1)
            for near in ("127.0.0.1", "10.42.0.7", "100.64.0.9", "100.127.1.1", "::1", "fd00::7", "fe80::1%eth0")
        ],
        *[(far, 0) for far in ("8.8.8.8", "100.128.0.1", "2606:4700::1", "not an address")],
    ],
)
def test_only_this_host_and_private_networks_are_heard(address: str, heard: int) -> None:
    topic = LogTopic(read(Settings, {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}))
    Syslog("127.0.0.1", 5514, topic).take(b"<30>Nov  2 06:15:12 haproxy: x", address)
    assert (topic.waiting, topic.dropped) == (heard, 1 - heard)
