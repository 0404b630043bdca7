"""Drain the outbox of channels other than Telegram: each at its own pace, so that none holds up another."""

import asyncio
import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
import structlog

from bot.delivery.addresses import host_of
from bot.delivery.channels import Channel, Form, What
from bot.metrics import Metrics
from bot.store.database import Database, Session
from bot.store.dispatches import DEAD, SENT, claim_dispatches, end_dispatch, end_unknown, retry_dispatch
from bot.store.models import DispatchRow
from tocsin.breakers import Breakers, Unavailable
from tocsin.lifecycle import pause
from tocsin.times import current_ms

log = structlog.get_logger("dispatching")

LOOK_SECONDS = 1.0
CALL_SECONDS = 10.0
LEASE_SECONDS = 30.0
AT_ONCE = 8
MOST_APART_SECONDS = 300.0
LONGEST_REST_SECONDS = 3600.0
NOT_KNOWN = (301, 302, 307, 308, 401, 403, 404)
REFUSED_SECONDS = 3600.0
"""How long a channel may refuse to know us or its address: whoever set it wrongly mends it meanwhile."""

UNKNOWN_SECONDS = 24 * 3600.0
"""How long what waits for a channel that is not set is kept: another bot may have other settings for a while."""
UNKNOWN_LOOK_SECONDS = 3600.0


class _Later(Exception):
    """It may be taken another time. seconds: the whole channel wants to rest for so long; 0 = only this one waits."""

    def __init__(self, note: str, seconds: float = 0) -> None:
        super().__init__(note)
        self.seconds = seconds


class _Never(Exception):
    """The channel refuses this very message."""


@dataclass
class Dispatching:
    """The one sender of this process."""

    database: Database
    channels: Sequence[Channel]
    form: Form
    breakers: Breakers
    client: httpx.AsyncClient
    metrics: Metrics
    _resting: dict[str, float] = field(default_factory=dict[str, float])
    _outcomes: dict[int, tuple[str, str]] = field(default_factory=dict[int, tuple[str, str]])
    """What became of those that Postgres does not know it of yet: state and note."""
    _next_look: float = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Send until stop."""
        if not self.channels:
            await stop.wait()
            return
        try:
            while not stop.is_set():
                try:
                    is_more = await self._round()
                except Unavailable as failure:
                    log.info("dispatching_waits", error=str(failure))
                    is_more = False
                await pause(stop, 0.05 if is_more else LOOK_SECONDS)
        finally:
            with suppress(Unavailable):
                await self._write_outcomes()

    async def _round(self) -> bool:
        """Send what is due now; return whether there was anything. Raises Unavailable."""
        await self._write_outcomes()
        now = time.monotonic()
        self._resting = {name: until for name, until in self._resting.items() if until > now}
        closed = [one.name for one in self.channels if self.breakers.is_open(one.name)]
        async with self.database.transaction() as session:
            if now >= self._next_look:
                await self._give_up_unknown(session)
                self._next_look = now + UNKNOWN_LOOK_SECONDS
            free = [one.name for one in self.channels if one.name not in {*self._resting, *closed}]
            begins_by = time.monotonic() + LEASE_SECONDS - CALL_SECONDS
            rows = await claim_dispatches(
                session,
                free,
                now_ms=current_ms(),
                most=AT_ONCE,
                lease_seconds=LEASE_SECONDS,
                spared_seconds=self.database.spared_seconds,
            )
        if time.monotonic() <= begins_by:  # else this process was stopped, and another may have claimed them since
            await asyncio.gather(*(self._dispatch(row) for row in rows))
        return bool(rows)

    async def _give_up_unknown(self, session: Session) -> None:
        before_ms = current_ms() - int(UNKNOWN_SECONDS * 1000)
        names = [one.name for one in self.channels]
        given_up = await end_unknown(session, names, "not set any more", now_ms=current_ms(), before_ms=before_ms)
        if given_up:
            log.error("dispatches_given_up", messages=given_up, reason="no setting names their channels any more")

    async def _dispatch(self, row: DispatchRow) -> None:
        """Send one and write down what came of it. If Postgres is away, the next round has it written."""
        try:
            await self._try(row)
            await self._write_outcomes()
        except Unavailable as failure:
            log.info("outcome_not_written", subject=row.subject, error=str(failure))

    async def _try(self, row: DispatchRow) -> None:
        channel = next(one for one in self.channels if one.name == row.channel)
        try:
            await self._send(channel, row)
        except _Never as why:
            log.error("dispatch_refused", channel=row.channel, subject=row.subject, reason=str(why))
            self.metrics.dispatched.labels(row.channel, "refused").inc()
            self._outcomes[row.id] = (DEAD, str(why)[:200])
        except (_Later, Unavailable) as why:
            self.metrics.dispatched.labels(row.channel, "later").inc()
            await self._put_off(row, why)
        else:
            self.metrics.dispatched.labels(row.channel, "sent").inc()
            self._outcomes[row.id] = (SENT, "")

    async def _send(self, channel: Channel, row: DispatchRow) -> None:
        """POST it. Raises _Later, _Never or Unavailable; no error tells more of the address than its host."""
        request = self.form.request(channel, row.id, row.subject, What(row.what), row.told, int(time.time()))
        host = host_of(request.url)
        async with self.breakers.guard(channel.name, timeout=CALL_SECONDS, errors_that_count=(_Sick,)):
            try:
                answer = await self.client.post(
                    request.url, content=request.body, headers=request.headers, follow_redirects=False
                )
            except (httpx.HTTPError, httpx.InvalidURL) as failure:
                raise _Sick(f"{host} does not answer ({type(failure).__name__})") from None
            if answer.status_code >= 500 or answer.status_code == 408:
                raise _Sick(f"{host} answers {answer.status_code}")
        if answer.status_code == 429:
            raise _Later(f"{host} asks for a rest (429)", retry_after(answer))
        if answer.status_code in NOT_KNOWN and current_ms() - row.created_ms < REFUSED_SECONDS * 1000:
            raise _Later(f"{host} answers {answer.status_code}: is the address right?")
        if not answer.is_success:
            raise _Never(f"{host} answers {answer.status_code}: {answer.text[:100]!r}")

    async def _put_off(self, row: DispatchRow, why: Exception) -> None:
        rest = why.seconds if isinstance(why, _Later) else 0
        if rest:
            self._resting[row.channel] = time.monotonic() + rest
        wait = rest or min(2.0 ** min(row.failures + 1, 20), MOST_APART_SECONDS)
        note = str(why.__cause__ or why)
        log.warning("dispatch_put_off", channel=row.channel, subject=row.subject, reason=note, retry_seconds=wait)
        async with self.database.transaction() as session:
            await retry_dispatch(session, row.id, note[:200], not_before_ms=current_ms() + int(wait * 1000))

    async def _write_outcomes(self) -> None:
        for dispatch_id, (state, note) in list(self._outcomes.items()):
            async with self.database.transaction() as session:
                await end_dispatch(session, dispatch_id, state, note, now_ms=current_ms())
            self._outcomes.pop(dispatch_id, None)


class _Sick(Exception):
    """The channel is ill: it does not answer, or answers 5xx."""


def retry_after(answer: httpx.Response) -> float:
    """Seconds, as the channel says; a minute where it does not, or says no number: a date, `nan`, `inf`."""
    try:
        seconds = float(answer.headers.get("retry-after", ""))
    except ValueError:
        return 60.0
    return min(max(seconds, 1.0), LONGEST_REST_SECONDS) if math.isfinite(seconds) else 60.0
