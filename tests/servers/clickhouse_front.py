"""ClickHouse's HTTP interface, as far as clickhouse_connect uses it, over embedded chDB; it can be made to fail.

`python -m tests.servers.clickhouse_front --data DIR --port N`. One process owns the directory, as a server does; any
number of clients speak to it at the same time. Users, clusters and replicated tables are not there: docs/clickhouse.md
says what that leaves unproven.

`POST /faults` with a list of Fault as JSON replaces the faults that are on; `POST /release` lets go what is held;
`GET /state` answers a State.
"""

import argparse
import gzip
import importlib
import json
import re
import socket
import sys
import threading
import zlib
from collections.abc import Mapping
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import cramjam
import msgspec

TRANSPORT = {
    "database",
    "query",
    "session_id",
    "query_id",
    "wait_end_of_query",
    "client_protocol_version",
    "enable_http_compression",
    "send_progress_in_http_headers",
    "http_headers_progress_interval_ms",
    "cancel_http_readonly_queries_on_client_close",
}
"""What is in the query string for the HTTP interface itself; the rest are settings and `param_x`."""

STATUS = {62: 400, 36: 400, 47: 404, 60: 404, 81: 404, 497: 403}
"""HTTP status by ClickHouse's code, where it is not 500."""

INSERT = re.compile(rb"\s*INSERT\s+INTO\s+(?:FUNCTION\s+)?(\w+)", re.IGNORECASE)
FORMAT = re.compile(rb"\bFORMAT\s+(\w+)\s*$", re.IGNORECASE)
CODE = re.compile(r"Code: (\d+)")


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """hold: wait until released, then do it. refuse: answer with code, doing nothing. lose: do it, never answer.

    table: only inserts into it; "" = every statement, reads too. times: how often; then it is over.
    """

    do: Literal["hold", "refuse", "lose"]
    table: str = ""
    times: int = 1_000_000
    code: int = 0


class State(msgspec.Struct):
    """inserts: how many were done, by table. faulted: how often a fault struck. holding: statements held now."""

    inserts: dict[str, int] = {}
    faulted: int = 0
    holding: int = 0


def form_fields(content_type: str, body: bytes) -> dict[str, str]:
    """The fields of a multipart form."""
    parts = BytesParser(policy=HTTP).parsebytes(b"Content-Type: %s\r\n\r\n%s" % (content_type.encode(), body))
    return {
        str(part.get_param("name", header="content-disposition")): bytes(part.get_payload(decode=True)).decode()
        for part in parts.iter_parts()
    }


class Engine:
    """chDB on one directory. Every statement has a handle of its own, so settings end with it."""

    def __init__(self, path: Path) -> None:
        self._chdb: Any = importlib.import_module("chdb")
        self._path = str(path)
        self._keeps_open = self._chdb.connect(self._path)

    def run(self, sql: bytes, database: str, settings: Mapping[str, str], parameters: Mapping[str, str]) -> bytes:
        """Run one statement; raises chDB's own error, whose text begins with ClickHouse's code."""
        handle = self._chdb.connect(self._path)
        try:
            if database:
                handle.query(f"USE `{database}`")
            for name, value in settings.items():
                handle.query(f"SET {name} = '{value}'")
            found = FORMAT.search(sql[-200:])
            answer = handle.query(sql, found[1].decode() if found else "TabSeparated", params=dict(parameters))
            return bytes(answer.bytes() or b"")
        finally:
            handle.close()


class Faults:
    """The faults that are on, and what they did."""

    def __init__(self) -> None:
        self.state = State()
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._released = threading.Event()

    def replace(self, faults: list[Fault]) -> None:
        with self._lock:
            self._faults = faults
            self._released.clear()

    def release(self) -> None:
        self._released.set()

    def strike(self, table: str) -> Fault | None:
        """The fault that a statement meets, if any. One that is to be held is held here."""
        with self._lock:
            fault = next((one for one in self._faults if one.times > 0 and one.table in ("", table)), None)
            if fault is None:
                return None
            fault.times -= 1
            self.state.faulted += 1
            self.state.holding += fault.do == "hold"
        if fault.do == "hold":
            self._released.wait()
            with self._lock:
                self.state.holding -= 1
        return fault

    def count(self, table: str) -> None:
        with self._lock:
            self.state.inserts[table] = self.state.inserts.get(table, 0) + 1


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    engine: Engine
    faults: Faults

    def do_GET(self) -> None:
        if self.path == "/ping":
            self._answer(200, b"Ok.\n")
        elif self.path == "/state":
            self._answer(200, msgspec.json.encode(self.faults.state))
        else:
            self._statement()

    def do_POST(self) -> None:
        if self.path == "/faults":
            self.faults.replace(msgspec.json.decode(self._body(), type=list[Fault]))
            self._answer(200, b"")
        elif self.path == "/release":
            self.faults.release()
            self._answer(200, b"")
        else:
            self._statement()

    def _statement(self) -> None:
        asked = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = self._body()
        if self.headers.get_content_type() == "multipart/form-data":  # of long parameters
            fields = form_fields(self.headers["Content-Type"], body)
            asked |= {name: value for name, value in fields.items() if name != "query"}
            body = fields.get("query", "").encode()
        sql = b"\n".join(part for part in (asked.get("query", "").encode(), body) if part)
        insert = INSERT.match(sql)
        table = insert[1].decode() if insert else ""
        fault = self.faults.strike(table)
        if fault and fault.do == "refuse":
            self._refuse(f"Code: {fault.code}. DB::Exception: Told to refuse it. (TEST)")
            return
        settings = {name: value for name, value in asked.items() if name not in TRANSPORT and name[:6] != "param_"}
        parameters = {name[6:]: value for name, value in asked.items() if name[:6] == "param_"}
        try:
            answer = self.engine.run(sql, asked.get("database", ""), settings, parameters)
        except Exception as error:  # noqa: BLE001  # whatever the engine says goes to the client
            self._refuse(str(error))
            return
        if table:
            self.faults.count(table)
        if fault and fault.do == "lose":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._answer(200, answer, is_compressible=asked.get("enable_http_compression") == "1")

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        match self.headers.get("Content-Encoding"):
            case None:
                return body
            case "gzip":
                return gzip.decompress(body)
            case "zstd":
                return bytes(cramjam.zstd.decompress(body))
            case other:
                raise ValueError(f"unknown Content-Encoding {other}")

    def _refuse(self, message: str) -> None:
        found = CODE.search(message)
        code = int(found[1]) if found else 1002
        body = f"{message[found.start() if found else 0 :]}\n".encode()
        self._answer(STATUS.get(code, 500), body, headers={"X-ClickHouse-Exception-Code": str(code)})

    def _answer(
        self, status: int, body: bytes, *, headers: Mapping[str, str] | None = None, is_compressible: bool = False
    ) -> None:
        headers = {"X-ClickHouse-Timezone": "UTC", "X-ClickHouse-Summary": "{}", **(headers or {})}
        accepted = self.headers.get("Accept-Encoding") or ""
        if is_compressible and "zstd" in accepted:
            headers["Content-Encoding"], body = "zstd", bytes(cramjam.zstd.compress(body))
        elif is_compressible and "deflate" in accepted:
            headers["Content-Encoding"], body = "deflate", zlib.compress(body)
        try:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # the client has given up, as one that was killed has
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a test run has enough to read."""


class Server(ThreadingHTTPServer):
    """Threads end with the process, whatever they hold."""

    daemon_threads = True
    request_queue_size = 100

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    Handler.engine = Engine(options.data)
    Handler.faults = Faults()
    print(json.dumps({"ready": options.port}), flush=True)
    Server(("127.0.0.1", options.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
