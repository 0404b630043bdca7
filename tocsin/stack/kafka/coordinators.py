"""Wait until a new node can serve consumer groups and transactions, not just connections.

Kafka makes the topics behind both when first asked, and answers "not available" meanwhile, which clients log as
errors. Asking once here keeps that out of everybody's first seconds.
"""

import asyncio
import importlib
from typing import Any

# aiokafka's own client: it has no types.
_client: Any = importlib.import_module("aiokafka.client")
_errors: Any = importlib.import_module("aiokafka.errors")

_NOT_YET = (_errors.GroupCoordinatorNotAvailableError, _errors.GroupLoadInProgressError, _errors.KafkaConnectionError)
_SECONDS = 30.0
_PAUSE_SECONDS = 0.05


async def wait_for_coordinators(address: str) -> None:
    """Ask for a group's and a transaction's coordinator until both are there. Raises TimeoutError."""
    client = _client.AIOKafkaClient(bootstrap_servers=address)
    async with asyncio.timeout(_SECONDS):
        try:
            await client.bootstrap()
            for kind in (_client.CoordinationType.GROUP, _client.CoordinationType.TRANSACTION):
                await _ask(client, kind)
        finally:
            await client.close()


async def _ask(client: Any, kind: Any) -> None:
    while True:
        try:
            await client.coordinator_lookup(kind, "tocsin")
        except _NOT_YET:
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            return
