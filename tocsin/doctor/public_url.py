"""PUBLIC_URL: what the bot's links and logins lead to. Asked as a person's browser would, with nobody logged in."""

import ssl

import httpx

from tocsin.doctor.environment import place
from tocsin.doctor.finding import Environ, Finding, note, ok, warn

CHECK = "Public URL"
SECONDS = 4.0
ASKED = "/api/v1/queues"
"""An address that answers JSON to everybody: items, or that a login is needed."""


async def check_public_url(environ: Environ) -> list[Finding]:
    """Warnings at most: the doctor is also asked before anything runs, and from where people are not."""
    url = environ.get("PUBLIC_URL", "").rstrip("/")
    if not url:
        return [note(CHECK, "PUBLIC_URL is not set: links lead to this machine, and only from it")]
    where = place(url)
    try:
        async with httpx.AsyncClient(timeout=SECONDS) as client:
            answer = await client.get(url + ASKED)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return [_unreachable(where, error)]
    if answer.is_redirect:
        return [ok(CHECK, f"{where} asks to log in elsewhere ({place(answer.headers['location'])})")]
    if answer.status_code == 403 and _is_ours(answer):
        return [
            warn(
                CHECK,
                f"Tocsin answers at {where}, but refuses to be called that",
                f"logsvc needs this PUBLIC_URL too, and the proxy must pass `Host: {where}` on as people send it",
            )
        ]
    if answer.status_code in (200, 401) and _is_ours(answer):
        return [ok(CHECK, f"Tocsin answers at {where}")]
    if answer.status_code == 401 and "basic" in answer.headers.get("www-authenticate", "").lower():
        return [ok(CHECK, f"{where} asks for a password before it lets anybody through to Tocsin")]
    if answer.status_code in (502, 503, 504):
        return [
            warn(
                CHECK, f"{where} answers {answer.status_code}: no logsvc behind it", "does logsvc run, and is it ready?"
            )
        ]
    return [
        warn(
            CHECK,
            f"{where} answers {answer.status_code}, and not as Tocsin does",
            f"the proxy must pass all below PUBLIC_URL on to logsvc, its path included: curl -i {where}…{ASKED}",
        )
    ]


def _is_ours(answer: httpx.Response) -> bool:
    try:
        body: object = answer.json()
    except ValueError:
        return False
    return isinstance(body, dict) and ("items" in body or "detail" in body)


def _unreachable(where: str, error: Exception) -> Finding:
    if isinstance(error.__cause__, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY" in str(error):
        return warn(
            CHECK,
            f"the certificate of {where} is not trusted here: {str(error)[:120]}",
            "right if only people's browsers know its CA; else its chain is incomplete, or it is for another name",
        )
    return warn(
        CHECK,
        f"nothing answers at {where} from here ({type(error).__name__})",
        "right if nothing runs yet; else: does its name lead to the proxy, and does the proxy listen there?",
    )
