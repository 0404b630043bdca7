"""One TLS context for all of httpx's clients in this process.

Each makes its own otherwise and reads the system's CAs for it: 30 ms of CPU, whether TLS is spoken or not. A test that
asks a service again and again until something is so makes one for every question.
"""

import functools
import os
import ssl
from typing import Any

import httpx

_NAMES_OF_CAS = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@functools.cache
def _context(*_cas: str | None) -> ssl.SSLContext:
    return httpx.create_ssl_context()


def share_one_context() -> None:
    """From now on, where a client's maker names no CA of its own; another one where the environment names others."""
    plain = httpx.AsyncClient.__init__

    @functools.wraps(plain)
    def with_shared(client: httpx.AsyncClient, *args: Any, **options: Any) -> None:
        if "verify" not in options:
            options["verify"] = _context(*map(os.environ.get, _NAMES_OF_CAS))
        plain(client, *args, **options)

    setattr(httpx.AsyncClient, "__init__", with_shared)  # noqa: B010  # a type checker sees no assignment to a method
