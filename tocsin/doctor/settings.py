"""The settings, as the services read them: each is asked, in a process of its own, what it would refuse."""

import asyncio
import re
import sys
from collections.abc import Mapping, Sequence

from tocsin.doctor.finding import Environ, Finding, bad, ok, warn
from tocsin.doctor.login import new_secret

SERVICES = ("bridge", "logsvc", "bot")
SECONDS = 6.0
REFUSED = 2
"""Exit status of a service that does not like its settings."""

_GIVEN_BY_UP = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
    "DATABASE_URL": "postgresql://127.0.0.1/tocsin",
    "CLICKHOUSE_URL": "chdb:///tocsin",
    "TOCSIN_SERVICE_TOKEN": "made-by-tocsin-up-at-its-first-start",
}
"""What `tocsin up` sets when it is not set. Nothing connects there: the services only look at the settings."""
_MISSED_ELSEWHERE = {"REDIS_URL": "redis://127.0.0.1", "TELEGRAM_BOT_TOKEN": "0:none"}
"""Whose absence another check tells, with the way to get one."""
_MADE = ("TOCSIN_SERVICE_TOKEN", "SESSION_SECRET")
_SOURCES = ("REDIS_URL", "REDIS_SOURCES", "TOCSIN_SOURCES_FILE")
_PROBLEM = re.compile(r"  (\w+): (.+)")


async def check_settings(
    environ: Environ, services: Sequence[str] = (), *, seconds: float | None = None
) -> list[Finding]:
    """One finding per problem, whichever services have it.

    services: the ones to ask, which then need every server named; default all, as `tocsin up` runs them.
    seconds: how long each may take to answer (SECONDS).
    """
    complete = _completed(environ, _MISSED_ELSEWHERE if services else _GIVEN_BY_UP | _MISSED_ELSEWHERE)
    services = services or SERVICES
    answers = await asyncio.gather(*(_ask(service, complete, seconds or SECONDS) for service in services))
    refusing: dict[str, list[str]] = {}
    findings: list[Finding] = []
    for service, answer in zip(services, answers, strict=True):
        if isinstance(answer, Finding):
            findings.append(answer)
            continue
        for problem in answer:
            refusing.setdefault(problem, []).append(service)
    for problem, refusers in sorted(refusing.items()):
        name = problem.partition(":")[0]
        findings.append(bad("Settings", f"{problem} ({', '.join(refusers)})", _mend(name, problem)))
    verb = "accepts" if len(services) == 1 else "accept"
    return findings or [ok("Settings", f"{', '.join(services)} {verb} them")]


async def _ask(service: str, environ: Mapping[str, str], seconds: float) -> list[str] | Finding:
    """A service's problems, `NAME: what is wrong`; a finding if it could not be asked."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", service, "--check"),
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds):
            _, said = await child.communicate()
    except TimeoutError:
        return warn("Settings", f"{service} did not say in {seconds:g} s what it thinks of them", _by_hand(service))
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode == 0:
        return []
    lines = said.decode(errors="replace").splitlines()
    problems = [line.strip() for line in lines if _PROBLEM.fullmatch(line)]
    if child.returncode != REFUSED or not problems:
        return bad("Settings", f"{service} could not look at them (exit status {child.returncode})", _by_hand(service))
    return problems


def _by_hand(service: str) -> str:
    return f"ask it yourself: python -m {service} --check"


def _completed(environ: Environ, defaults: Mapping[str, str]) -> dict[str, str]:
    """The environment with what need not be set here. Variables set to nothing are left out: they count as not set."""
    given = {name: value for name, value in environ.items() if value.strip()}
    filled = {
        name: value
        for name, value in defaults.items()
        if not any(option in given or f"{option}_FILE" in given for option in _ways(name))
    }
    return given | filled


def _ways(name: str) -> tuple[str, ...]:
    return _SOURCES if name in _SOURCES else (name,)


def _mend(name: str, problem: str) -> str:
    if "unknown setting" in problem:
        return f"unset {name}   or write it as docs/settings.md does"
    if "not available in this release" in problem:
        return f"unset {name}"
    if name in _MADE and "at least" in problem:
        return new_secret(name)
    if name == "settings":
        return "unset what is too much; docs/settings.md says what each one is for"
    return f"export {name}=…   docs/settings.md says what it may be; or unset {name}"
