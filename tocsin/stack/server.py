"""What every embedded server has in common once it runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from tocsin.stack.process import Child


@dataclass(frozen=True)
class Server:
    """A running server and the settings by which services find it, such as {"REDIS_URL": "redis://127.0.0.1:6379/0"}.

    address: host:port, without secrets, for people.
    """

    name: str
    child: Child
    address: str
    settings: Mapping[str, str]
