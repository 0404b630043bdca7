"""A stand-in for a replica of logsvc in a process of its own, to be killed: `python -m tests.servers.replica PORT`."""

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER_SECONDS = 0.02
"""So long it thinks, so that whoever kills it under load kills it before an answer."""


class Answer(BaseHTTPRequestHandler):
    """Every path says which replica this is."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves whole, or not at all

    def do_GET(self) -> None:  # the name http.server calls
        time.sleep(ANSWER_SECONDS)
        body = f"replica {sys.argv[1]}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
