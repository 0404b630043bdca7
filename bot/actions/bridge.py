"""The bridge's Actions API (docs/actions.md), on any replica, behind the breaker."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from tocsin.bearer import shown
from tocsin.breakers import Breakers, Unavailable
from tocsin.discovery import Directory
from tocsin.settings import Settings

BRIDGE = "bridge"
PATH = "/internal/v1/actions"
ANSWER_SECONDS = 45.0
"""The bridge answers within 40 s, if only to say that it is still at it."""
CONNECT_SECONDS = 3.0
SICK = (httpx.HTTPError, ValueError)
ELSEWHERE = "unknown_source"
"""The error of a bridge of another site: one that knows the source may be next."""
BUSY = "busy"
"""The error of a replica that is stopping, or at its most: another may take it up."""
NOT_TAKEN_UP = frozenset((BUSY, "not_configured"))
"""The 503s after which nothing was begun; after any other the bridge may be at it."""


@dataclass(frozen=True)
class Answer:
    """What the bridge said. body: JSON as its docs tell. retry_after: as in the header; empty if it had none."""

    status: int
    body: dict[str, Any]
    retry_after: str = ""

    @property
    def error(self) -> str:
        """The word of a refusal; empty if it is none."""
        return "" if self.status == 200 else str(self.body.get("error", "internal"))

    @property
    def may_be_done(self) -> bool:
        """Whether some of what was asked for may be done, or under way, although it is refused."""
        return self.status >= 500 and self.error not in NOT_TAKEN_UP


def may_have_heard(failure: Unavailable) -> bool:
    """Whether a bridge may have got the request it did not answer: not if there was no connection."""
    return not isinstance(failure.__cause__, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | None)


class Bridge:
    """Sends actions. The same request again does nothing again, so it may be sent to one replica after the other."""

    def __init__(self, settings: Settings, directory: Directory, breakers: Breakers, client: httpx.AsyncClient) -> None:
        self._headers = shown(settings.tocsin_service_token)
        self._directory = directory
        self._breakers = breakers
        self._client = client
        directory.look_for(BRIDGE)  # people act seldom: their first action is not to fail for want of an address

    async def act(self, body: Mapping[str, Any], *, seconds: float = ANSWER_SECONDS) -> Answer:
        """Send one request. Refusals are answers. Raises Unavailable if no replica gives one in so many seconds.

        Each replica gets its turn until one knows the source and takes it up.
        """
        async with self._breakers.guard(BRIDGE, timeout=seconds, errors_that_count=SICK):
            answer: Answer | None = None
            failure: httpx.TransportError | None = None
            for url in self._directory.urls_of(BRIDGE):
                try:
                    told = await self._send(url, body)
                except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                    failure = error
                    continue
                if told.error not in (ELSEWHERE, BUSY):
                    return told
                if answer is None or answer.error == ELSEWHERE:
                    answer = told
            if failure is not None and (answer is None or answer.error == ELSEWHERE):
                raise failure  # the one that knows the source may be the one that is away
            if answer is None:
                raise Unavailable(BRIDGE, "no address known")
            return answer

    async def probe(self) -> None:
        """Raise if no bridge is there."""
        url = self._directory.url_of(BRIDGE)
        if url is None:
            raise Unavailable(BRIDGE, "no address known")
        (await self._client.get(f"{url}/health/live")).raise_for_status()

    async def _send(self, url: str, body: Mapping[str, Any]) -> Answer:
        """Raises httpx.HTTPError for no answer, ValueError for one that is not the API's."""
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        answer = await self._client.post(f"{url}{PATH}", json=dict(body), headers=self._headers, timeout=timeout)
        told = msgspec.json.decode(answer.content, type=dict[str, Any])
        if answer.status_code != 200 and "error" not in told:
            raise ValueError(f"HTTP {answer.status_code} with a body that is not the API's")
        return Answer(answer.status_code, told, answer.headers.get("retry-after", ""))
