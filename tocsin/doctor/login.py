"""Who can log into the page, by the settings alone: what logsvc would refuse, its own check of them tells."""

import ipaddress
from urllib.parse import urlsplit

from tocsin.doctor.environment import Unreadable, value
from tocsin.doctor.finding import Environ, Finding, bad, note, ok, warn

CHECK = "Login"
LEAST_TOKEN = 24
"""Characters of TOCSIN_SERVICE_TOKEN that nobody guesses."""


async def check_login(environ: Environ) -> list[Finding]:
    """Whether there is a login, by which ways, and what makes it weaker than it looks."""
    try:
        secret, token = value(environ, "SESSION_SECRET"), value(environ, "TOCSIN_SERVICE_TOKEN")
    except Unreadable as error:
        mend = f"make the file readable, or set {error.name.removesuffix('_FILE')}"
        return [bad(CHECK, f"{error.name}: {error}", mend)]
    findings = [_strength("TOCSIN_SERVICE_TOKEN")] if token and _is_weak(token, LEAST_TOKEN) else []
    if not secret:
        told = "none: the page is open, to this machine only (SESSION_SECRET is not set)"
        return [*findings, note(CHECK, told, "docs/login.md says how to let others in")]
    if len(set(secret)) < 8:
        findings.append(_strength("SESSION_SECRET"))
    ways = [*(["links from the bot"] if token else []), *(["a trusted proxy"] if _has_proxy(environ) else [])]
    if ways:
        findings.append(ok(CHECK, f"by {' and '.join(ways)}, and by API tokens"))
    url = environ.get("PUBLIC_URL")
    if not url:
        findings.append(
            warn(CHECK, "PUBLIC_URL is not set: login links lead to 127.0.0.1", "export PUBLIC_URL=https://HOST")
        )
    elif urlsplit(url).scheme != "https" and not _is_loopback(urlsplit(url).hostname or ""):
        findings.append(bad(CHECK, "PUBLIC_URL is not https: sessions would travel in the clear", "put TLS in front"))
    return findings


def _strength(name: str) -> Finding:
    return warn(CHECK, f"{name} is easy to guess", new_secret(name))


def new_secret(name: str) -> str:
    """The command that makes one."""
    return f"export {name}=$(openssl rand -hex 32)   the same for all services"


def _is_weak(text: str, least: int) -> bool:
    return len(text) < least or len(set(text)) < 8


def _has_proxy(environ: Environ) -> bool:
    return bool(environ.get("TRUSTED_PROXIES") and environ.get("LOGSVC_PROXY_USER_HEADER"))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
